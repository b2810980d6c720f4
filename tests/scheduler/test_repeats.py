"""The same seed gives the same champion, three times, here and in the processes of jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.executor import ForkserverExecutor
from tests.automl.search.repeats import digest, found
from tests.scheduler import children

CASES = ("plain", "rates of levels", "objective and monotone", "warm start")


@pytest.fixture(scope="module")
def executor() -> Iterator[ForkserverExecutor]:
    made = ForkserverExecutor(nice=0, preload=("lightgbm", "sklearn", "automl.search.run"))
    yield made
    made.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_inline_and_in_worker_processes(case: str, executor: ForkserverExecutor) -> None:
    n_runs = 3 if case == "plain" else 1
    here = {digest(case) for _ in range(n_runs)}
    there = {
        executor.submit(children.job_search, f"{case} {k}", case, 3).result(timeout=240)
        for k in range(max(n_runs, 2))
    }
    assert here == there
    assert len(here) == 1


def test_the_cases_are_what_they_are_called() -> None:
    rated = [trial.candidate.model for trial in found("rates of levels").trials]
    assert "rated_lightgbm" in rated
    warm = found("warm start").start
    assert warm is not None
    assert warm["kind"] == "recalled"
    assert digest("plain", seed=4) != digest("plain")
