"""A short form of `python -m benchmarks.faults`, whose control must be caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults import run

pytestmark = [pytest.mark.slow, pytest.mark.server]


def test_killed_and_frozen_workers_lose_and_double_nothing(tmp_path: Path) -> None:
    found = run(f"sqlite:///{tmp_path}/a.db", n_kills=12, n_pauses=6, seed=1, folder=tmp_path)
    assert found.is_clean, found
    assert found.accepted >= 5
    assert found.trials >= 6 * (found.accepted - found.quarantined)


@pytest.mark.postgres
def test_so_it_is_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    found = run(postgres_url, n_kills=12, n_pauses=4, seed=2, folder=tmp_path)
    assert found.is_clean, found
    assert found.accepted >= 5


def test_without_fencing_the_harness_sees_what_is_doubled(tmp_path: Path) -> None:
    found = run(
        f"sqlite:///{tmp_path}/b.db", n_kills=0, n_pauses=12, seed=0, fenced=False, folder=tmp_path
    )
    assert found.stale or found.doubled, found
