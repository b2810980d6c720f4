"""Data sets of several tables that grow: their next versions, and what is refused of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scheduler.errors import Conflict
from scheduler.records import DatasetState, StoredDataset
from scheduler.renewing import check_settled
from tests.api.parts import Site, build
from tests.api.relations import frame_csv, ready, uploaded

N_PEOPLE = 40


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("versions")
    (folder / "feed").mkdir()
    (folder / "site").mkdir()
    made = build(folder / "site", reads_files=True, feed_roots=str(folder / "feed"))
    yield made
    made.store.close()


def people(first: int, last: int) -> pd.DataFrame:
    number = range(first, last)
    return pd.DataFrame(
        {
            "id": [f"P{i:03}" for i in number],
            "age": [20 + i % 60 for i in number],
            "day": "2026-05-01T00:00:00",
            "bad": [int(i % 4 == 0) for i in number],
        }
    )


def visits(first: int, last: int, *, day: str = "2026-04-02") -> pd.DataFrame:
    number = range(first, last)
    return pd.DataFrame(
        {
            "id": [f"P{i:03}" for i in number],
            "at": f"{day}T10:00:00",
            "amount": [float(i % 7) + 0.5 for i in number],
        }
    )


def spec_of(people_id: str, visits_from: dict[str, str]) -> dict[str, Any]:
    return {
        "tables": {
            "people": {"role": "entities", "source": {"dataset": people_id}},
            "visits": {
                "role": "events",
                "key": "id",
                "to": "people",
                "time": "at",
                "source": visits_from,
            },
        },
        "key": "id",
        "target": "bad",
        "cut_off": {"column": "day"},
    }


def made(site: Site, spec: dict[str, Any], name: str = "clinic") -> dict[str, Any]:
    answer = site.post("/v1/datasets", json={"name": name, "spec": spec})
    assert answer.status_code in (200, 201), answer.text
    found = ready(site, answer.json["id"])
    assert found["state"] == "READY", found["problem"]
    return found


def appended(site: Site, dataset_id: str, frame: pd.DataFrame) -> dict[str, Any]:
    answer = site.post(
        f"/v1/datasets/{dataset_id}/versions", data=frame_csv(frame), content_type="text/csv"
    )
    assert answer.status_code == 201, answer.text
    return ready(site, answer.json["id"])


def renewed(site: Site, dataset_id: str, **body: Any) -> Any:
    return site.post(f"/v1/datasets/{dataset_id}/versions", json=body)


def test_a_version_has_the_newest_rows_of_every_table_and_the_old_one_stays(site: Site) -> None:
    one = uploaded(site, frame_csv(people(0, N_PEOPLE)), name="people")
    two = uploaded(site, frame_csv(visits(0, 30)), name="visits")
    base = made(site, spec_of(one["id"], {"dataset": two["id"]}))
    same = renewed(site, base["id"])
    assert (same.status_code, same.json["id"]) == (200, base["id"]), "nothing has changed"
    appended(site, one["id"], people(N_PEOPLE, N_PEOPLE + 10))
    more = appended(site, two["id"], visits(N_PEOPLE, N_PEOPLE + 5))
    answer = renewed(site, base["id"])
    assert answer.status_code == 201, answer.text
    found = ready(site, answer.json["id"])
    assert (found["state"], found["version"], found["base"]) == ("READY", 2, base["id"])
    assert (found["n_rows"], base["n_rows"]) == (N_PEOPLE + 10, N_PEOPLE)
    assert found["name"] == base["name"]
    assert found["tables"]["visits"]["rows"] == 35
    assert found["tables"]["visits"]["dataset"] == more["id"]
    again = renewed(site, found["id"])
    assert (again.status_code, again.json["id"]) == (200, found["id"])
    assert ready(site, base["id"])["tables"]["visits"]["rows"] == 30
    listed = site.get(f"/v1/datasets/{base['id']}/versions").json["items"]
    assert [one["id"] for one in listed] == [base["id"], found["id"]]


def test_files_of_a_registered_folder_that_grew(site: Site) -> None:
    root = Path(site.settings.feed_roots[0])
    folder = root / "visits"
    folder.mkdir()
    (folder / "2026-04.csv").write_bytes(frame_csv(visits(0, 30)))
    one = uploaded(site, frame_csv(people(0, N_PEOPLE)), name="people", key="id")
    spec = spec_of(one["id"], {"uri": folder.as_uri()})
    base = made(site, spec)
    (folder / "2026-05.csv").write_bytes(frame_csv(visits(10, 20, day="2026-04-20")))
    answer = renewed(site, base["id"])
    assert answer.status_code == 201, answer.text
    found = ready(site, answer.json["id"])
    assert found["state"] == "READY", found["problem"]
    assert found["tables"]["visits"]["rows"] == 40
    # a folder whose new file lacks a column, and one with another type
    broken = visits(0, 3).drop(columns=["amount"])
    (folder / "2026-06.csv").write_bytes(frame_csv(broken))
    answer = renewed(site, found["id"])
    assert answer.status_code == 422, answer.text
    assert (answer.json["code"], answer.json["table"]) == ("different_columns", "visits")
    assert answer.json["column"] == "amount"
    listed = site.get(f"/v1/datasets/{base['id']}/versions").json["items"]
    assert [one["id"] for one in listed] == [base["id"], found["id"]], "nothing is kept of it"
    os.remove(folder / "2026-06.csv")


@pytest.mark.parametrize(
    ("frame", "code", "column"),
    [
        (visits(0, 30).drop(columns=["amount"]), "missing_columns", "amount"),
        (visits(0, 30).assign(amount="much"), "wrong_type", "amount"),
        (visits(0, 30).assign(id=range(30)), "key_type_mismatch", "id"),
    ],
)
def test_a_table_that_no_longer_fits_is_named(
    site: Site, frame: pd.DataFrame, code: str, column: str
) -> None:
    one = uploaded(site, frame_csv(people(0, N_PEOPLE)), name="people")
    two = uploaded(site, frame_csv(visits(0, 30)), name="visits")
    base = made(site, spec_of(one["id"], {"dataset": two["id"]}))
    other = uploaded(site, frame_csv(frame), name="other")
    answer = renewed(site, base["id"], sources={"visits": {"dataset": other["id"]}})
    assert answer.status_code == 422, answer.text
    said = {name: answer.json[name] for name in ("code", "table", "column")}
    assert said == {"code": code, "table": "visits", "column": column}


def test_what_is_asked_of_a_version_is_checked(site: Site) -> None:
    one = uploaded(site, frame_csv(people(0, N_PEOPLE)), name="people")
    two = uploaded(site, frame_csv(visits(0, 30)), name="visits")
    base = made(site, spec_of(one["id"], {"dataset": two["id"]}))
    answer = renewed(site, base["id"], sources={"calls": {"dataset": two["id"]}})
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_table")
    answer = renewed(site, one["id"])
    assert (answer.status_code, answer.json["code"]) == (422, "not_several_tables")
    answer = renewed(site, base["id"], nonsense=1)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    answer = renewed(site, "0" * 32)
    assert answer.status_code == 404


def test_a_version_that_a_dead_service_began_is_put_together_again(site: Site) -> None:
    one = uploaded(site, frame_csv(people(0, N_PEOPLE + 1)), name="people")
    two = uploaded(site, frame_csv(visits(0, 30)), name="visits")
    base = made(site, spec_of(one["id"], {"dataset": two["id"]}))
    fits, other = (
        uploaded(site, frame_csv(frame), name="other")["id"]
        for frame in (visits(3, 30), visits(3, 30).drop(columns=["amount"]))
    )
    for number, (source, state) in enumerate(((other, "INVALID"), (fits, "READY"))):
        left, created = site.store.add_dataset(
            StoredDataset(
                id=str(number) * 32,
                project_id=site.project,
                name="left",
                fingerprint=str(number) * 64,
                state=DatasetState.INGESTING,
                created_at=datetime.now(UTC),
                upload=None,
                bytes_in=1,
                base_id=base["id"],
                options={"spec": spec_of(one["id"], {"dataset": source})},
            )
        )
        assert created
        assert site.ingestor.recover(datetime.now(UTC)) == 1  # type: ignore[attr-defined]
        found = ready(site, left.id)
        assert (found["state"], found["base"]) == (state, base["id"])
        if state == "INVALID":
            problem = found["problem"]
            assert (problem["code"], problem["table"]) == ("missing_columns", "visits")


def test_a_file_that_is_still_being_written_to_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("id\n1\n")
    now = datetime.now(UTC)
    tables = {"visits": {"files": [str(file), {"uri": "s3://objects/are/whole"}]}}
    with pytest.raises(Conflict) as caught:
        check_settled(tables, timedelta(seconds=60), now=now)
    assert (caught.value.code, "visits" in str(caught.value)) == ("not_settled", True)
    check_settled(tables, timedelta(seconds=60), now=now + timedelta(minutes=2))
