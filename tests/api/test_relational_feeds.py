"""A folder that feeds several tables: what of it is appended where, waited for, and refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from automl.errors import DataError
from scheduler.feeding import PATIENCE, fed
from scheduler.records import StoredDataset
from scheduler.records_schedules import Run, RunState, Schedule, ScheduleState
from tests.api.parts import Site, build
from tests.api.relations import frame_csv, uploaded
from tests.api.test_relational_versions import made, people, spec_of, visits

pytestmark = pytest.mark.slow  # a process for each file

N_PEOPLE = 40
AGO = time.time() - 3600


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "feed").mkdir()
    (tmp_path / "site").mkdir()
    found = build(tmp_path / "site", reads_files=True, feed_roots=str(tmp_path / "feed"))
    yield found
    found.ingestor.stop()  # type: ignore[attr-defined]
    found.store.close()


@pytest.fixture
def base(site: Site) -> dict[str, Any]:
    one = uploaded(site, frame_csv(people(0, N_PEOPLE)), name="people")
    two = uploaded(site, frame_csv(visits(0, 30)), name="visits")
    return made(site, spec_of(one["id"], {"dataset": two["id"]}))


def folder_of(site: Site) -> Path:
    return Path(site.settings.feed_roots[0])


def put(site: Site, name: str, frame: pd.DataFrame, *, written: float = AGO) -> Path:
    file = folder_of(site) / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(frame_csv(frame))
    os.utime(file, (written, written))
    return file


def night(site: Site, base: dict[str, Any], *, late: bool = False) -> StoredDataset:
    """The version that a run trains on; `late`: after all that may be waited for."""
    now = datetime.now(UTC)
    schedule = Schedule(
        id="5" * 32,
        project_id=site.project,
        name="daily",
        request={
            "feed": {"dataset": None, "folder": str(folder_of(site))},
            "job": {"dataset": base["id"]},
        },
        state=ScheduleState.ACTIVE,
        created_at=now,
        next_at=now,
        next_date=now.date().isoformat(),
    )
    run = Run(
        schedule_id=schedule.id,
        local_date=now.date().isoformat(),
        due_at=now - PATIENCE if late else now,
        state=RunState.DECIDING,
    )
    end = time.monotonic() + 240
    while time.monotonic() < end:
        found = fed(
            schedule,
            run,
            None,
            store=site.store,
            reader=site.ingestor,  # type: ignore[attr-defined]
            settings=site.settings,
            now=now,
        )
        if found is not None:
            return found
        time.sleep(0.05)
    raise TimeoutError


def told(dataset: StoredDataset, name: str) -> Any:
    return (dataset.profile or {})["relations"]["tables"][name]["rows"]


def test_each_table_gets_the_files_of_its_folder_or_name(site: Site, base: dict[str, Any]) -> None:
    assert night(site, base).id == base["id"], "nothing has come"
    put(site, "people/1.csv", people(N_PEOPLE, N_PEOPLE + 6))
    put(site, "people/2.csv", people(N_PEOPLE + 6, N_PEOPLE + 10))
    put(site, "visits.2026-11-23.csv", visits(N_PEOPLE, N_PEOPLE + 5))
    (folder_of(site) / "people" / ".3.csv").write_text("half")
    (folder_of(site) / "visits.part").write_text("half")
    found = night(site, base)
    assert (found.version, found.n_rows, told(found, "visits")) == (2, N_PEOPLE + 10, 35)
    names = [one.name for one in site.store.series(site.project, people_of(base))]
    assert names[1:] == ["people/1.csv", "people/2.csv"]
    assert night(site, base).id == found.id, "no file is appended twice"


def people_of(base: dict[str, Any]) -> str:
    return str(base["tables"]["people"]["dataset"])


def test_a_file_that_is_still_being_written_to_is_not_read(
    site: Site, base: dict[str, Any]
) -> None:
    put(site, "people/1.csv", people(N_PEOPLE, N_PEOPLE + 6))
    put(site, "visits/1.csv", visits(N_PEOPLE, N_PEOPLE + 5), written=time.time() + 3600)
    found = night(site, base, late=True)
    assert (found.n_rows, told(found, "visits")) == (N_PEOPLE + 6, 30)


def test_what_was_deleted_does_not_come_back(site: Site, base: dict[str, Any]) -> None:
    put(site, "visits/1.csv", visits(N_PEOPLE - 5, N_PEOPLE))
    found = night(site, base)
    newest = found.spec["tables"]["visits"]["source"]["dataset"] if found.spec else ""
    assert site.call("DELETE", f"/v1/datasets/{found.id}").status_code == 204
    assert site.call("DELETE", f"/v1/datasets/{newest}").status_code == 204
    assert night(site, base).id == base["id"]


def test_a_file_that_cannot_be_read_ends_the_run_with_its_name(
    site: Site, base: dict[str, Any]
) -> None:
    put(site, "visits/1.csv", visits(0, 5).assign(amount="a lot"))
    with pytest.raises(DataError) as caught:
        night(site, base)
    assert "visits/1.csv" in str(caught.value)
    assert caught.value.column == "amount"


def scheduled(site: Site, base: dict[str, Any], folder: Path | None = None) -> Any:
    body = {
        "job": {"dataset": base["id"], "target": "bad", "model": "nightly"},
        "at": {"start": "02:30"},
        "time_zone": "Europe/Paris",
        "feed": {"folder": str(folder or folder_of(site))},
    }
    return site.post("/v1/schedules", json=body)


def test_what_is_no_table_is_refused_when_it_is_asked_for(site: Site, base: dict[str, Any]) -> None:
    assert scheduled(site, base).status_code == 201
    file = put(site, "calls/1.csv", visits(0, 5))
    answer = scheduled(site, base)
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_table"), answer.text
    assert answer.json["table"] == "calls"
    assert "people, visits" in answer.json["detail"]
    with pytest.raises(DataError) as caught:
        night(site, base)
    assert (caught.value.code, caught.value.table) == ("unknown_table", "calls")
    answer = scheduled(site, base, file)
    assert (answer.status_code, answer.json["code"]) == (422, "not_a_folder"), answer.text


def test_a_table_in_place_has_its_own_folder(site: Site) -> None:
    one = uploaded(site, frame_csv(people(0, N_PEOPLE)), name="people")
    lying = put(site, "lake/0.csv", visits(0, 30)).parent
    base = made(site, spec_of(one["id"], {"uri": lying.as_uri()}))
    put(site, "visits.csv", visits(0, 5))
    (folder_of(site) / "lake").rename(folder_of(site) / ".lake")
    answer = scheduled(site, base)
    assert (answer.status_code, answer.json["code"]) == (422, "table_in_place"), answer.text
    assert answer.json["table"] == "visits"
