from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.child import Child, environment, start_from
from scheduler.errors import ChildDied
from scheduler.nursery import Nursery
from tests.scheduler.test_child import CHILDREN, is_running, run, wait_until


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery(preload=("json",))
    start_from(made.start)
    yield made
    start_from(None)
    made.close()


def facts(**settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = run("facts", **settings)
    return found


def test_children_are_forks_of_one_process_that_imports_what_they_name(nursery: Nursery) -> None:
    assert nursery.server_pid() is None, "nothing is kept before it is used"
    assert "colorsys" not in facts()["modules"]
    server = nursery.server_pid()
    assert "colorsys" in facts(imports=("colorsys", "no_such_module"))["modules"]
    assert "colorsys" in facts()["modules"]
    assert nursery.server_pid() == server


def test_what_a_child_does_stays_with_it(nursery: Nursery) -> None:
    for name in ("crash", "leave"):
        with pytest.raises(ChildDied):
            run(name)
    with pytest.raises(ChildDied) as caught:
        run("swallow_memory", {"n_bytes": 2 * 2**30})
    assert caught.value.code == "child_out_of_memory"
    server = nursery.server_pid()
    assert run("swallow_memory", {"n_bytes": 2 * 2**30}, memory_bytes=None) == 2 * 2**30
    assert nursery.server_pid() == server


def test_a_child_that_may_know_secrets_is_never_a_fork(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of storage")
    found = facts(passed=("AWS_SECRET_ACCESS_KEY",))
    assert found["environment"]["AWS_SECRET_ACCESS_KEY"] == "of storage"
    assert nursery.server_pid() is None
    assert "of storage" not in str(facts()["environment"])
    environ = Path(f"/proc/{nursery.server_pid()}/environ").read_bytes()
    assert b"of storage" not in environ


def test_a_server_that_died_is_replaced_and_its_children_are_told_dead(
    nursery: Nursery, tmp_path: Path
) -> None:
    marker, died = tmp_path / "pid", list[ChildDied]()

    def wait() -> None:
        with pytest.raises(ChildDied) as caught:
            run("burn", {"marker": str(marker)}, cpu_seconds=600, wall_seconds=600)
        died.append(caught.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: marker.exists() and marker.read_text())
    child, server = int(marker.read_text()), nursery.server_pid()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_running(server))
    assert run("add", {"a": 1, "b": 1}) == 2
    assert nursery.server_pid() not in (None, server)
    os.kill(child, signal.SIGKILL)  # nobody else may: its server is gone
    waiting.join(timeout=120)
    assert died[0].code == "child_crashed"


def test_what_a_child_started_ends_with_it(nursery: Nursery, tmp_path: Path) -> None:
    marker = tmp_path / "pids"
    with pytest.raises(ChildDied, match="cancelled"):
        run(
            "burn_with_child",
            {"marker": str(marker)},
            cancelled=lambda: marker.exists() and marker.read_text() != "",
        )
    pids = [int(pid) for pid in marker.read_text().split()]
    wait_until(lambda: not any(map(is_running, pids)))


def test_an_idle_service_keeps_no_process(tmp_path: Path) -> None:
    nursery = Nursery(preload=("json",), idle_seconds=0.5)
    start_from(nursery.start)
    try:
        marker = tmp_path / "pid"
        asked = {"function": f"{CHILDREN}:sleep", "memory_bytes": None, "cpu_seconds": None}
        arguments = {"seconds": 600.0, "marker": str(marker)}
        with Child(arguments=arguments, warm=(), **asked):  # type: ignore[arg-type]
            wait_until(marker.exists)
            server = nursery.server_pid()
            assert server is not None
            wait_until(lambda: nursery._timer is not None)
            nursery._on_time()
            assert nursery.server_pid() == server, "it has a child"
        wait_until(lambda: nursery.server_pid() is None)
        assert not is_running(server)
        assert run("add", {"a": 1, "b": 1}) == 2, "it is there again when it is needed"
    finally:
        start_from(None)
        nursery.close()


def test_after_its_end_children_are_fresh_interpreters(nursery: Nursery) -> None:
    nursery.close()
    assert run("add", {"a": 1, "b": 1}) == 2
    assert nursery.server_pid() is None


def test_children_at_once(nursery: Nursery) -> None:
    found = dict[int, int]()

    def add(number: int) -> None:
        found[number] = run("add", {"a": number, "b": 1})

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert found == {number: number + 1 for number in range(8)}


def test_nothing_outlives_a_service_that_was_killed(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    service = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, threading, time\n"
            "from scheduler.child import call, start_from\n"
            "from scheduler.nursery import Nursery\n"
            "nursery = Nursery(preload=('json',))\n"
            "start_from(nursery.start)\n"
            f"asked = '{CHILDREN}:burn', {{'marker': sys.argv[1]}}\n"
            "none = dict(memory_bytes=None, cpu_seconds=None, wall_seconds=None)\n"
            "threading.Thread(target=lambda: call(*asked, **none), daemon=True).start()\n"
            "while nursery.server_pid() is None: time.sleep(0.05)\n"
            "print(nursery.server_pid(), flush=True)\n"
            "time.sleep(600)\n",
            str(marker),
        ],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    with service.stdout:
        server = int(service.stdout.readline())
    wait_until(lambda: marker.exists() and marker.read_text())
    pids = [server, int(marker.read_text())]
    assert all(map(is_running, pids))
    service.kill()
    service.wait()
    wait_until(lambda: not any(map(is_running, pids)))
