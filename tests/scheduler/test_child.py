from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.child import call, environment, start_from
from scheduler.errors import ChildDied
from scheduler.nursery import Nursery

CHILDREN = "tests.scheduler.children"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery(preload=("json",))
    yield made
    made.close()


@pytest.fixture(autouse=True, params=["fresh", "forked"])
def started(request: pytest.FixtureRequest, nursery: Nursery) -> Iterator[None]:
    """All of this holds for a fresh interpreter and for a fork of a warm one."""
    if request.param == "forked":
        start_from(nursery.start)
    yield
    start_from(None)


def run(name: str, arguments: dict[str, Any] | None = None, **settings: Any) -> Any:
    limits = {"memory_bytes": 2**30, "cpu_seconds": 60, "wall_seconds": 60}
    return call(f"{CHILDREN}:{name}", arguments or {}, **(limits | settings))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (
        FileNotFoundError,
        ProcessLookupError,
    ):  # gone before it was opened, or before it was read
        return False


def wait_until(condition: Any, seconds: float = 120.0) -> None:
    """Only what never happens takes so long: another machine may be many times as slow."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_returns_json_whatever_is_printed() -> None:
    assert run("add", {"a": 2, "b": 3}) == 5


def test_a_data_error_crosses_with_its_place() -> None:
    with pytest.raises(DataError) as caught:
        run("refuse", {"secret": "x"})
    error = caught.value
    assert (error.code, error.table, error.column, error.row) == ("ragged_row", "t", "c", 7)
    assert error.details == {"n": 3}
    assert str(error) == "row 7 has 3 fields"


def test_any_other_error_says_type_and_place_but_no_value() -> None:
    with pytest.raises(ChildDied) as caught:
        run("fail", {"secret": "FR7612345"})
    assert caught.value.code == "child_crashed"
    assert "RuntimeError at children.py:" in str(caught.value)
    assert "FR7612345" not in str(caught.value)


@pytest.mark.parametrize(("name", "said"), [("crash", "SIGSEGV"), ("leave", "exited with 3")])
def test_a_crash_is_said(name: str, said: str) -> None:
    with pytest.raises(ChildDied, match=said) as caught:
        run(name)
    assert caught.value.code == "child_crashed"


def test_memory_is_limited() -> None:
    with pytest.raises(ChildDied) as caught:
        run("swallow_memory", {"n_bytes": 2 * 2**30})
    assert caught.value.code == "child_out_of_memory"
    assert run("swallow_memory", {"n_bytes": 2**20}) == 2**20


def test_a_wide_table_of_text_fits(tmp_path: Path) -> None:
    header = ",".join(f"c{i}" for i in range(1_000))
    row = ",".join(["text"] * 1_000)
    (tmp_path / "wide.csv").write_text("\n".join([header, *[row] * 400]))
    said = call(
        "scheduler.reading:read_in",
        {
            "source": str(tmp_path / "wide.csv"),
            "destination": str(tmp_path / "stored"),
            "options": {},
            "limits": {},
            "watts": {"per_core": 4.0, "per_gb": 0.4},
        },
        memory_bytes=2**30,
        cpu_seconds=120,
        wall_seconds=120,
    )
    assert said["profile"]["n_columns"] == 1_000


def test_wall_time_is_limited() -> None:
    with pytest.raises(ChildDied) as caught:
        run("sleep", {"seconds": 60}, wall_seconds=1)
    assert caught.value.code == "child_timed_out"


def test_cpu_time_is_limited_in_c_code() -> None:
    with pytest.raises(ChildDied) as caught:
        run("burn", cpu_seconds=1)
    assert caught.value.code == "child_timed_out"


def test_work_can_be_cancelled(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    with pytest.raises(ChildDied) as caught:
        run(
            "sleep",
            {"seconds": 60, "marker": str(marker)},
            cancelled=lambda: marker.exists() and marker.read_text() != "",
        )
    assert caught.value.code == "child_cancelled"
    assert not is_running(int(marker.read_text()))


def test_messages_are_answered_in_order() -> None:
    heard = []

    def answer(message: Any) -> int:
        heard.append(message["step"])
        return int(message["step"]) * 10

    assert run("converse", on_message=answer) == [0, 10, 20]
    assert heard == [0, 1, 2]


def test_an_error_of_the_listener_ends_the_child() -> None:
    def refuse(message: Any) -> None:
        raise LookupError("not wanted")

    with pytest.raises(LookupError, match="not wanted"):
        run("converse", on_message=refuse)


def test_time_of_the_listener_is_not_the_childs(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0])
    monkeypatch.setattr("scheduler.child.time", clock)

    def slow(message: Any) -> int:
        ahead[0] += 50.0
        return 0

    assert run("converse", on_message=slow, wall_seconds=60) == [0, 0, 0]


def test_secrets_stay_with_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUGAL_DATABASE_URL", "postgresql://user:password@host/db")
    facts = run("facts")
    assert "FRUGAL_DATABASE_URL" not in facts["environment"]
    assert facts["environment"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert facts["group"] == facts["pid"]
    assert not {"pandas", "sqlalchemy", "flask"} & set(facts["modules"])
    assert "password" not in str(environment())
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of storage")
    assert "of storage" not in str(environment())
    assert environment(["AWS_SESSION_TOKEN", "NOT_SET"]) == {
        **environment(),
        "AWS_SESSION_TOKEN": "of storage",
    }


@pytest.mark.parametrize("name", ["burn", "sleep"])
def test_a_child_dies_with_its_starter(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "pid"
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from scheduler.child import call; "
            f"call('{CHILDREN}:{name}', {{'seconds': 600.0, 'marker': sys.argv[1]}}, "
            "memory_bytes=None, cpu_seconds=None, wall_seconds=None)",
            str(marker),
        ],
        env=environment(),
    )
    wait_until(lambda: marker.exists() and marker.read_text())
    pid = int(marker.read_text())
    assert is_running(pid)
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    wait_until(lambda: not is_running(pid))
