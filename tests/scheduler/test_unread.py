"""A file of a folder that cannot be read: the others feed the night, it is told until mended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.readings import Readings
from scheduler.records_schedules import Run, RunState, Schedule
from tests.scheduler.nights import NAME, START, Nights, rows
from tests.scheduler.test_retraining import base_of, opened

pytestmark = pytest.mark.slow  # a process for each file

SECRET = "4971 1234 5678 9012"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "data"
    folder.mkdir()
    made = opened(folder)
    made.train(made.upload(rows(0, 600, seed=1)[0], key="id"))
    made.ingestor.stop()
    made.store.close()
    return folder


@pytest.fixture
def nights(trained: Path, tmp_path: Path) -> Iterator[Nights]:
    shutil.copytree(trained, tmp_path / "data")
    (tmp_path / "in").mkdir()
    made = opened(tmp_path / "data")
    made.settings = made.settings.model_copy(update={"feed_roots": (tmp_path / "in",)})
    made.retraining = made.service()
    yield made
    made.ingestor.stop()
    made.store.close()


def put(nights: Nights, name: str, body: bytes, *, days: float = 0) -> Path:
    file = nights.settings.feed_roots[0] / name
    file.write_bytes(body)
    written = (START + timedelta(days=days)).timestamp()
    os.utime(file, (written, written))
    return file


def good(first: int, n_rows: int = 30) -> bytes:
    return rows(first, first + n_rows, seed=first, labelled=False)[0]


def night(nights: Nights, schedule: Schedule) -> Run:
    """The next run, with as many looks as its files take."""
    nights.now = nights.store.get_schedule(nights.project, schedule.id).next_at
    for _ in range(9):
        nights.retraining.due(nights.now)
        run = nights.runs(schedule)[0]
        if run.state is not RunState.DECIDING:
            return run
        nights.read_in(nights.store.series(nights.project, base_of(nights))[-1].id)
        nights.now += timedelta(seconds=11)
    raise TimeoutError


def unread(run: Run) -> dict[str, str]:
    return {one["file"]: one["code"] for one in run.decision["unread"]}


def calls(nights: Nights) -> list[list[str]]:
    """The files that the webhook was told of since it was asked last, call by call."""
    taken = nights.store.take_calls(now=nights.now, seconds=1e9, limit=99)
    said = [one.payload for one in taken if one.payload["event"] == "feed.unread"]
    assert all(SECRET not in str(one) for one in said)
    return [[one["file"] for one in payload["files"]] for payload in said]


def test_the_others_feed_the_night_and_the_file_is_told_until_it_is_mended(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(nights.settings.feed_roots[0])
    schedule = nights.schedule(
        feed={"dataset": None, "folder": folder}, webhook="https://hooks.example/x"
    )
    put(nights, "1.csv", good(1000))
    bad = f"card,owner\n{SECRET},Mme Durand\n".encode()
    put(nights, "2.csv", bad)  # seen at once
    put(nights, "3.csv", good(1100))  # seen when it is read to its end
    put(nights, "4.csv", good(1200))
    finish = Readings._finish

    def spoilt(self: Any, dataset: Any, *rest: Any) -> Any:
        if dataset.name == "3.csv":
            raise DataError("row 27: a quote is never closed", code="unreadable", row=27)
        return finish(self, dataset, *rest)

    monkeypatch.setattr(Readings, "_finish", spoilt)
    accept, came = nights.ingestor.accept, []

    def counted(*args: Any, **options: Any) -> Any:
        came.append(options["name"])
        return accept(*args, **options)

    monkeypatch.setattr(nights.ingestor, "accept", counted)
    run = night(nights, schedule)
    assert run.state is RunState.SKIPPED, run.decision
    assert run.decision["numbers"]["n_new_rows"] == 60
    assert unread(run) == {"2.csv": "missing_columns", "3.csv": "unreadable"}
    (_, told) = run.decision["unread"]
    assert (told["detail"], told["row"]) == ("row 27: a quote is never closed", 27)
    assert (told["since"], SECRET in str(run.decision)) == (run.local_date, False)
    assert calls(nights) == [["2.csv", "3.csv"]]

    once = sorted(came)
    again = night(nights, schedule)  # told again, not read again, not called again
    assert (unread(again), sorted(came)) == (unread(run), once)
    assert again.decision["unread"][0]["since"] == run.local_date
    assert again.decision["because"].startswith("not worth it today")
    assert calls(nights) == []

    put(nights, "2.csv", bad, days=2)  # touched, and as it was
    put(nights, "3.csv", good(1100, 31), days=2)  # another version, as bad
    third = night(nights, schedule)
    assert unread(third) == unread(run)
    assert [one["since"] for one in third.decision["unread"]] == [run.local_date, third.local_date]
    assert calls(nights) == [["3.csv"]]

    monkeypatch.undo()
    put(nights, "2.csv", good(1300), days=3)
    put(nights, "3.csv", good(1400), days=3)
    mended = night(nights, schedule)
    assert mended.decision["unread"] == []
    assert mended.decision["numbers"]["n_new_rows"] == 120
    assert calls(nights) == []
    assert mended.decision["numbers"]["n_new_labels"] == 0


def test_a_file_that_may_not_be_opened_is_told_and_the_night_goes_on(nights: Nights) -> None:
    folder = nights.settings.feed_roots[0]
    schedule = nights.schedule(feed={"dataset": None, "folder": str(folder)})
    put(nights, "1.csv", good(1000))
    nights.settings = nights.settings.model_copy(update={"max_upload_bytes": 2000})
    nights.ingestor._settings = nights.settings
    put(nights, "2.csv", good(1100, 300))
    run = night(nights, schedule)
    assert (run.state, unread(run)) == (RunState.SKIPPED, {"2.csv": "too_large"})
    assert run.decision["numbers"]["n_new_rows"] == 30
    assert nights.store.get_model(nights.project, NAME).version == 1


def test_a_run_that_fails_tells_what_it_could_not_read_too(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = nights.schedule(feed={"dataset": None, "folder": str(nights.settings.feed_roots[0])})
    put(nights, "1.csv", b"a\n1\n")

    def broken(*_: Any, **__: Any) -> Any:
        raise DataError("the rows cannot be looked at", code="unreadable")

    monkeypatch.setattr("scheduler.retraining.appraised", broken)
    run = night(nights, schedule)
    assert (run.state, list(unread(run))) == (RunState.FAILED, ["1.csv"])
    assert run.decision["problem"]["code"] == "unreadable"
