"""Data sets of several tables over HTTP: made, refused with the right code, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from api import schemas_relations
from automl.relations import spec as library
from scheduler.records import DatasetState, StoredDataset
from tests.api.parts import Site, build
from tests.api.relations import (
    N_CUSTOMERS,
    assembled,
    bank_spec,
    bank_tables,
    frame_csv,
    ready,
    uploaded,
)

pytestmark = pytest.mark.slow  # a process for each table and each data set


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("relations"), reads_files=True)
    yield made
    made.ingestor.stop()  # type: ignore[attr-defined]
    made.store.close()


def people(n: int = 200) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"{i:05d}" for i in range(n)],
            "age": [20 + i % 60 for i in range(n)],
            "until": pd.Timestamp("2024-06-30", tz="UTC"),
            "bad": [int(i % 20 == 0) for i in range(n)],
        }
    )


def visits(ids: list[Any], day: str = "2024-03-01") -> pd.DataFrame:
    return pd.DataFrame(
        {"id": ids, "at": pd.Timestamp(day, tz="UTC"), "spent": [float(len(str(i))) for i in ids]}
    )


def small_spec(first: str, second: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tables": {
            "people": {"role": "entities", "source": {"dataset": first}},
            "visits": {
                "role": "events",
                "key": "id",
                "to": "people",
                "time": "at",
                "source": {"dataset": second},
            },
        },
        "key": "id",
        "target": "bad",
        "cut_off": {"column": "until"},
    }
    return found | changes


def made_of(
    site: Site, rows: pd.DataFrame, events: pd.DataFrame, types: str = "", **changes: Any
) -> dict[str, Any]:
    options = {"types": types} if types else {}
    first = uploaded(site, frame_csv(rows), **options)
    second = uploaded(site, frame_csv(events), **options)
    assert {first["state"], second["state"]} == {"READY"}, (first["problem"], second["problem"])
    return assembled(site, small_spec(first["id"], second["id"], **changes))


TEXT_IDS = '{"id":"string"}'


def test_three_tables_become_one_data_set(site: Site, tmp_path: Path) -> None:
    ids = bank_tables(site, tmp_path)
    found = assembled(site, bank_spec(ids))
    assert found["state"] == "READY", found["problem"]
    assert found["n_rows"] == N_CUSTOMERS
    assert found["spec"]["key"] == ["customer_id"]
    assert {name: one["dataset"] for name, one in found["tables"].items()} == ids
    assert found["tables"]["balances"]["rows"] == 18 * N_CUSTOMERS
    assert found["tables"]["balances"]["orphans"] == 0
    storage = found["storage"]
    assert 0 < storage["bytes_after"] < 2 * storage["bytes_before"]
    assert found["cost"]["cpu_seconds"] > 0
    again = site.post("/v1/datasets", json={"name": "other", "spec": bank_spec(ids)})
    assert (again.status_code, again.json["id"]) == (200, found["id"])
    profile = site.get(f"/v1/datasets/{found['id']}/profile").json
    assert "customer_id" in {one["name"] for one in profile["columns"]}


def test_the_key_and_the_cut_off_are_no_features(site: Site) -> None:
    rows = people()
    rows["until"] = pd.date_range("2024-05-01", periods=len(rows), freq="D", tz="UTC")
    found = made_of(site, rows, visits(list(rows["id"])), TEXT_IDS)
    assert found["state"] == "READY", found["problem"]
    answer = site.post("/v1/jobs", json={"dataset": found["id"], "mode": "eco"})
    assert answer.status_code == 202, answer.text
    asked = answer.json["request"]
    assert (asked["target"], asked["time_column"], asked["exclude"]) == ("bad", "until", ["id"])
    said = {"dataset": found["id"], "mode": "eco", "time_column": None}
    without = site.post("/v1/jobs", json=said).json["request"]
    assert (without["time_column"], without["exclude"]) == (None, ["id", "until"])


def test_rows_of_one_entity_are_a_group(site: Site) -> None:
    rows = pd.concat([people(), people().assign(until=pd.Timestamp("2024-05-31", tz="UTC"))])
    found = made_of(site, rows, visits(list(people()["id"])), TEXT_IDS)
    assert found["state"] == "READY", found["problem"]
    answer = site.post("/v1/jobs", json={"dataset": found["id"], "time_column": None})
    assert answer.json["request"]["group_column"] == "id"


def test_a_plain_table_still_needs_a_target(site: Site) -> None:
    plain = uploaded(site, frame_csv(people()))
    answer = site.post("/v1/jobs", json={"dataset": plain["id"]})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert answer.json["errors"][0]["field"] == "target"


def test_a_few_orphans_are_dropped_and_counted(site: Site) -> None:  # row 63
    ids = list(people()["id"])
    found = made_of(site, people(), visits([*ids, *ids, "99999"]), TEXT_IDS)
    assert found["state"] == "READY"
    assert found["tables"]["visits"]["orphans"] == 1
    assert [one["code"] for one in found["warnings"]] == ["orphan_events"]


def test_entities_without_events_are_kept(site: Site) -> None:  # row 64
    found = made_of(site, people(), visits(["00001", "00002"]), TEXT_IDS)
    assert (found["state"], found["n_rows"]) == ("READY", 200)


def no_cut_off(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(until=rows["until"].where(rows.index != 7))


# Rows 63 and 65-69 of what goes wrong: how the tables are wrong, and the code that says so.
CASES: dict[str, tuple[Any, Any, str, str]] = {
    "63 orphans": (people(), visits(["00001", *["99999"] * 9]), TEXT_IDS, "orphan_events"),
    "65 future": (people(), visits(["00001"], "2060-01-01"), TEXT_IDS, "future_events"),
    "66 no cut-off": (no_cut_off(people()), visits(["00001"]), TEXT_IDS, "cut_off"),
    "67 key types": (
        people(),
        visits([1, 2, 3]),
        "",
        "key_type_mismatch",
    ),
    "69 twice": (pd.concat([people(), people()]), visits(["00001"]), TEXT_IDS, "duplicate_entity"),
}


@pytest.mark.parametrize("name", CASES)
def test_tables_that_do_not_fit_are_invalid_with_the_code(site: Site, name: str) -> None:
    rows, events, types, code = CASES[name]
    if not types:  # ids with leading zeros are texts on one side, numbers on the other
        first = uploaded(site, frame_csv(rows), types=TEXT_IDS)
        second = uploaded(site, frame_csv(events), types='{"id":"integer"}')
        found = assembled(site, small_spec(first["id"], second["id"]))
    else:
        found = made_of(site, rows, events, types)
    assert (found["state"], (found["problem"] or {}).get("code")) == ("INVALID", code)
    assert found["problem"]["detail"]
    answer = site.post("/v1/jobs", json={"dataset": found["id"]})
    assert (answer.status_code, answer.json["code"]) == (409, "dataset_invalid")


def test_a_join_that_explodes_is_refused_before_it_runs(site: Site) -> None:  # row 68
    rows = uploaded(site, frame_csv(people()), types=TEXT_IDS)
    links = pd.DataFrame({"id": list(people()["id"]) * 2, "shop": [1] * 200 + [2] * 200})
    sales = pd.DataFrame({"shop": [1] * 500, "at": pd.Timestamp("2024-01-01", tz="UTC")})
    sales["sold"] = range(500)
    between = uploaded(site, frame_csv(links), types=TEXT_IDS)
    events = uploaded(site, frame_csv(sales))
    spec = small_spec(rows["id"], events["id"])
    spec["tables"]["visits"] |= {"key": "shop", "to": "links.shop"}
    spec["tables"]["links"] = {
        "role": "static",
        "key": "id",
        "to": "people",
        "source": {"dataset": between["id"]},
    }
    found = assembled(site, spec)
    assert (found["state"], found["problem"]["code"]) == ("INVALID", "join_too_large")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entities": "nobody"}, "tables"),
        ({"key": "id", "windows": {"table": "nothing"}}, "tables"),
        ({"tables": {"people": {"role": "entities"}}}, "tables.people.source"),
    ],
)
def test_a_spec_that_cannot_be_meant_names_its_field(
    site: Site, change: dict[str, Any], field: str
) -> None:
    spec = small_spec("0" * 32, "0" * 32, **change)
    answer = site.post("/v1/datasets", json={"spec": spec})
    assert (answer.status_code, answer.json["code"]) == (422, "bad_spec"), answer.text
    assert answer.json["details"]["field"].startswith(field)


def test_unknown_fields_are_refused_with_their_place(site: Site) -> None:
    spec = small_spec("0" * 32, "0" * 32)
    spec["tables"]["visits"]["regex"] = ".*"
    answer = site.post("/v1/datasets", json={"spec": spec})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert answer.json["errors"][0]["field"] == "spec.tables.visits.regex"


def test_a_table_of_nobody_and_one_that_is_not_ready(site: Site) -> None:
    answer = site.post("/v1/datasets", json={"spec": small_spec("0" * 32, "0" * 32)})
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    bad = made_of(site, *CASES["69 twice"][:2], TEXT_IDS)
    first = bad["tables"] or bad["spec"]["tables"]
    spec = small_spec(bad["id"], first["visits"]["source"]["dataset"])
    answer = site.post("/v1/datasets", json={"spec": spec})
    assert (answer.status_code, answer.json["code"]) == (409, "dataset_not_ready")


def test_another_project_sees_nothing_of_it(site: Site) -> None:
    found = made_of(site, people(), visits(["00001", "00002"]), TEXT_IDS)
    answer = site.get(f"/v1/datasets/{found['id']}", secret=site.other_secret)
    assert answer.status_code == 404
    answer = site.post("/v1/datasets", json={"spec": found["spec"]}, secret=site.other_secret)
    assert answer.status_code == 404


def test_a_table_is_not_deleted_under_what_was_made_of_it(site: Site) -> None:
    found = made_of(site, people(150), visits(["00001", "00002", "00003"]), TEXT_IDS)
    table = found["tables"]["visits"]["dataset"]
    answer = site.call("DELETE", f"/v1/datasets/{table}")
    assert (answer.status_code, answer.json["code"]) == (409, "dataset_in_use")
    assert found["id"] in answer.json["detail"]
    artifact = site.store.get_dataset(site.project, found["id"]).artifact
    assert artifact is not None
    assert site.artifacts.exists(artifact)
    answer = site.call("DELETE", f"/v1/datasets/{table}?force=true")
    assert answer.json["deleted"] == [table, found["id"]]
    assert ready(site, found["id"])["state"] == "DELETED"
    assert not site.artifacts.exists(artifact)
    assert site.get(f"/v1/datasets/{found['tables']['people']['dataset']}").json["state"] == "READY"


def test_rows_that_are_appended_later_are_in_what_is_made_again(site: Site) -> None:
    found = made_of(site, people(160), visits(["00001"]), TEXT_IDS)
    table = found["tables"]["visits"]["dataset"]
    more = site.post(
        f"/v1/datasets/{table}/versions",
        data=frame_csv(visits(["00002", "00003"])),
        content_type="text/csv",
    )
    assert more.status_code == 201, more.text
    newer = ready(site, more.json["id"])
    assert ready(site, found["id"])["tables"]["visits"]["rows"] == 1
    spec = small_spec(found["tables"]["people"]["dataset"], newer["id"])
    again = assembled(site, spec)
    assert again["id"] != found["id"]
    assert again["tables"]["visits"]["rows"] == 3


def test_no_file_is_appended_to_several_tables_and_a_schedule_may_train_on_them(site: Site) -> None:
    found = made_of(site, people(180), visits(["00001"]), TEXT_IDS)
    more = site.post(
        f"/v1/datasets/{found['id']}/versions",
        data=frame_csv(people(3)),
        content_type="text/csv",
    )
    assert (more.status_code, more.json["code"]) == (422, "not_supported")
    job = {"dataset": found["id"], "target": "bad", "model": "nightly"}
    body: dict[str, Any] = {"job": job, "at": {"start": "02:30"}, "time_zone": "Europe/Paris"}
    answer = site.post("/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    kept = site.store.get_schedule(site.project, answer.json["id"]).request["job"]
    assert "id" in kept["exclude"], "keys are not learnt from, as in a job"
    del job["target"]
    answer = site.post("/v1/schedules", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")


def test_what_a_service_that_died_was_putting_together_is_put_together_again(site: Site) -> None:
    found = made_of(site, people(170), visits(["00001"]), TEXT_IDS)
    stored = site.store.get_dataset(site.project, found["id"])
    left, created = site.store.add_dataset(
        StoredDataset(
            id="ab" * 16,
            project_id=site.project,
            name="left",
            fingerprint="f" * 64,
            state=DatasetState.INGESTING,
            created_at=datetime.now(UTC),
            upload=None,
            bytes_in=1,
            options=stored.options,
        )
    )
    assert created
    assert site.ingestor.recover(datetime.now(UTC)) == 1  # type: ignore[attr-defined]
    again = ready(site, left.id)
    assert (again["state"], again["n_rows"]) == ("READY", found["n_rows"])
    first, second = (
        site.store.get_dataset(site.project, one).profile or {} for one in (found["id"], left.id)
    )
    assert first["sha256"] == second["sha256"], "the same tables are the same bytes"


def test_the_body_has_every_field_of_a_spec_and_no_other() -> None:
    """The schema is written by hand, since the API's process knows no pandas; it is held here."""
    pairs: tuple[tuple[Any, Any, set[str]], ...] = (
        (schemas_relations.SpecBody, library.Spec, set()),
        (schemas_relations.CutOffBody, library.CutOff, set()),
        (schemas_relations.WindowsBody, library.Windows, set()),
        (schemas_relations.TableBody, library.TableSpec, {"name", "link"}),
    )
    for body, record, own in pairs:
        names = {one.name for one in fields(record)} - own
        assert set(body.model_fields) - {"key", "to"} == names - {"key"}, body
    table = schemas_relations.TableBody.model_fields
    assert set(table["role"].annotation.__args__) == set(library.ROLES)  # type: ignore[union-attr]
    formats = table["time_format"].annotation.__args__  # type: ignore[union-attr]
    assert set(formats) == set(library.TIME_FORMATS)
