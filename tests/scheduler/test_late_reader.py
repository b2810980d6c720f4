"""The process that reads labels: kept while it is used, ended when not, never more than one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automl.errors import DataError
from scheduler import late_reader
from scheduler.child import Channel, Child
from scheduler.config import Settings
from scheduler.errors import ChildDied
from scheduler.late_reader import LateReader
from tests.scheduler.test_child import wait_until


def echo(channel: Channel) -> None:
    """Stands in for reading: answers what the order says, as late as it says."""
    while True:
        order = channel.read_line()
        time.sleep(order.get("seconds", 0))
        channel.write_line(order["line"])


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LateReader]:
    class Echo(Child):
        def __init__(self, function: str, arguments: Any, **limits: Any) -> None:
            assert function == "scheduler.late:serve"
            super().__init__("tests.scheduler.test_late_reader:echo", arguments, **limits)

    monkeypatch.setattr(late_reader, "Child", Echo)
    made = LateReader(Settings(data_dir=tmp_path, idle_seconds=5))
    yield made
    made.stop()


OK: dict[str, Any] = {"line": {"result": {"n_labels": 1}}}


def test_it_is_kept_and_ends_when_idle(reader: LateReader) -> None:
    assert reader.read(OK) == {"n_labels": 1}
    pids = reader.pids()
    assert len(pids) == 1
    refused: dict[str, Any] = {
        "kind": "data",
        "message": "no",
        "code": "x",
        "details": {"field": "at"},
    }
    refused |= {"table": None, "column": None, "row": 3}
    with pytest.raises(DataError) as error:
        reader.read({"line": {"error": refused}})
    assert (error.value.row, error.value.details) == (3, {"field": "at"})
    assert reader.pids() == pids
    wait_until(lambda: reader.pids() == [])
    assert reader.read(OK) == {"n_labels": 1}


def test_one_that_ran_out_of_memory_or_time_is_not_kept(
    reader: LateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.read(OK)
    with pytest.raises(ChildDied) as error:
        reader.read({"line": {"error": {"kind": "memory"}}})
    assert (error.value.code, reader.pids()) == ("child_out_of_memory", [])
    reader.read(OK)
    monkeypatch.setattr(late_reader, "READ_SECONDS", 0.1)
    with pytest.raises(ChildDied) as error:
        reader.read({**OK, "seconds": 5})
    assert (error.value.code, reader.pids()) == ("child_timed_out", [])


def test_two_at_once_do_not_wait_for_each_other_and_one_is_kept(reader: LateReader) -> None:
    threads = [
        threading.Thread(target=reader.read, args=({**OK, "seconds": 0.3},)) for _ in range(2)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(reader.pids()) == 1
    reader.stop()
    assert reader.pids() == []
