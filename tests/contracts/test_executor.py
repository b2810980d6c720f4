"""What every executor of jobs promises."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, wait

import pytest

from automl.errors import DataError
from scheduler.executor import ForkserverExecutor, InlineExecutor, JobExecutor
from tests.scheduler import children


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[JobExecutor]:
    made: JobExecutor
    made = InlineExecutor() if request.param == "inline" else ForkserverExecutor(preload=())
    yield made
    made.shutdown(cancel_futures=True)


def test_is_an_executor(executor: JobExecutor) -> None:
    assert isinstance(executor, Executor)


def test_returns_the_result(executor: JobExecutor) -> None:
    assert executor.submit(children.job_add, "a", 2, 3).result(timeout=120) == 5


def test_runs_several_jobs(executor: JobExecutor) -> None:
    futures = [executor.submit(children.job_add, str(n), n, n) for n in range(4)]
    assert not wait(futures, timeout=120).not_done
    assert [future.result() for future in futures] == [0, 2, 4, 6]


def test_a_data_error_crosses_with_its_place(executor: JobExecutor) -> None:
    error = executor.submit(children.job_refuse, "a").exception(timeout=120)
    assert isinstance(error, DataError)
    assert (error.code, error.column, error.row) == ("ragged_row", "c", 7)


def test_a_job_that_failed_does_not_harm_the_next(executor: JobExecutor) -> None:
    assert executor.submit(children.job_fail, "a").exception(timeout=120) is not None
    assert executor.submit(children.job_add, "a", 1, 1).result(timeout=120) == 2


def test_killing_an_ended_or_unknown_job_is_harmless(executor: JobExecutor) -> None:
    executor.submit(children.job_add, "a", 1, 1).result(timeout=120)
    executor.kill("a")
    executor.kill("never heard of")
    assert executor.pid("a") is None
    assert executor.submit(children.job_add, "a", 1, 1).result(timeout=120) == 2


def test_after_shutdown_nothing_is_accepted(executor: JobExecutor) -> None:
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(children.job_add, "a", 1, 1)
