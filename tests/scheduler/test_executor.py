from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.child import environment
from scheduler.config import Settings
from scheduler.errors import ChildDied, Conflict
from scheduler.executor import ForkserverExecutor, make_executor
from tests.scheduler import children
from tests.scheduler.test_child import is_running, wait_until


@pytest.fixture
def executor() -> Iterator[ForkserverExecutor]:
    made = ForkserverExecutor(nice=7, preload=("json", "tests.scheduler.children"))
    yield made
    made.shutdown(cancel_futures=True)


def test_a_job_has_its_own_group_niceness_and_no_secret(
    executor: ForkserverExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRUGAL_DATABASE_URL", "postgresql://user:password@host/db")
    facts = executor.submit(children.job_facts, "a").result(timeout=120)
    assert facts["group"] == facts["pid"] != os.getpid()
    assert facts["nice"] == min(19, os.nice(0) + 7)
    assert facts["environment"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert facts["environment"]["GOMP_SPINCOUNT"] == "0"
    assert "FRUGAL_DATABASE_URL" not in facts["environment"]


def test_jobs_know_the_storage_only_where_it_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("FRUGAL_DATABASE_URL", "postgresql://user:password@host/db")
    for roots, key in (((), None), (("s3://bank/data",), "key")):
        passed = Settings(s3_roots=roots).storage_variables
        made = make_executor("processes", passed=passed)
        try:
            facts = made.submit(children.job_facts, "a").result(timeout=120)
        finally:
            made.shutdown(cancel_futures=True)
        assert facts["environment"].get("AWS_SECRET_ACCESS_KEY") == key
        assert "FRUGAL_DATABASE_URL" not in facts["environment"]


def test_jobs_are_forked_from_one_warm_server(executor: ForkserverExecutor) -> None:
    assert executor.server_pid() is None
    pids = {executor.submit(children.job_facts, "a").result(timeout=120)["pid"] for _ in range(3)}
    assert len(pids) == 3
    server = executor.server_pid()
    assert server is not None
    assert is_running(server)
    assert not executor.release_idle(idle_seconds=60)
    assert executor.release_idle(idle_seconds=0)
    assert not is_running(server)
    assert executor.submit(children.job_add, "a", 1, 1).result(timeout=120) == 2


def test_a_server_with_a_job_is_not_idle(executor: ForkserverExecutor, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    future = executor.submit(children.job_sleep, "a", 60.0, str(marker))
    wait_until(marker.exists)
    assert not executor.release_idle(idle_seconds=0)
    executor.kill("a")
    future.exception(timeout=120)


def test_an_unexpected_error_shows_no_value(executor: ForkserverExecutor) -> None:
    error = executor.submit(children.job_fail, "a").exception(timeout=120)
    assert isinstance(error, ChildDied)
    assert "RuntimeError at children.py:" in str(error)
    assert "FR7612345" not in str(error)


def test_a_crash_is_known_at_once(executor: ForkserverExecutor) -> None:
    with pytest.raises(ChildDied, match="SIGSEGV") as died:
        executor.submit(children.job_crash, "a").result(timeout=120)
    assert died.value.status == -signal.SIGSEGV


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_kill_takes_the_whole_group(
    executor: ForkserverExecutor, tmp_path: Path, state: str
) -> None:
    marker = tmp_path / "pids"
    future = executor.submit(children.job_burn_with_child, "a", str(marker))
    wait_until(lambda: marker.exists() and marker.read_text())
    pids = [int(pid) for pid in marker.read_text().split()]
    wait_until(lambda: executor.pid("a") == pids[0])  # its server tells it at its own pace
    if state == "stopped":
        os.kill(pids[0], signal.SIGSTOP)
    executor.kill("a")
    with pytest.raises(ChildDied, match="SIGKILL"):
        future.result(timeout=120)
    wait_until(lambda: not any(map(is_running, pids)))


def test_the_same_job_does_not_run_twice(executor: ForkserverExecutor, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    future = executor.submit(children.job_sleep, "a", 60.0, str(marker))
    with pytest.raises(Conflict):
        executor.submit(children.job_add, "a", 1, 1)
    executor.kill("a")
    future.exception(timeout=120)


def test_a_killed_server_is_replaced(executor: ForkserverExecutor, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    future = executor.submit(children.job_burn, "a", str(marker))
    wait_until(lambda: marker.exists() and marker.read_text())
    server = executor.server_pid()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_running(server))
    assert executor.submit(children.job_add, "b", 1, 1).result(timeout=120) == 2
    executor.kill("a")  # the new server does not know it
    with pytest.raises(ChildDied, match="server of job processes"):
        future.result(timeout=120)


def test_shutdown_leaves_no_process(tmp_path: Path) -> None:
    executor = ForkserverExecutor(preload=())
    marker = tmp_path / "pids"
    future = executor.submit(children.job_burn_with_child, "a", str(marker))
    wait_until(lambda: marker.exists() and marker.read_text())
    pids = [int(pid) for pid in marker.read_text().split()] + [executor.server_pid() or 0]
    executor.shutdown(cancel_futures=True)
    assert future.done()
    wait_until(lambda: not any(map(is_running, pids)))


def test_nothing_outlives_a_service_that_was_killed(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    service = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from scheduler.executor import ForkserverExecutor\n"
            "from tests.scheduler import children\n"
            "executor = ForkserverExecutor(preload=())\n"
            "executor.submit(children.job_burn, 'a', sys.argv[1])\n"
            "print(executor.server_pid(), flush=True)\n"
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


def test_an_unknown_url_is_refused() -> None:
    with pytest.raises(ValueError, match="'processes' and 'inline'"):
        make_executor("celery://")
