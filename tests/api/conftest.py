"""One site per test, and a machine that is not busy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from automl.meters.cpu_time import CpuTimeMeter
from automl.meters.probe import probe
from tests.api.parts import Site, build


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = build(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every probe of this process finds the machine as fast as it is when nothing else runs.

    A limit is judged by one probe, in a child, and kept by another: where the machine is busy only
    then, they differ by more than the estimates do.
    """
    quickest = min((probe(CpuTimeMeter()) for _ in range(20)), key=lambda took: took.cpu_seconds)
    monkeypatch.setattr("automl.search.speed.probe", lambda meter: quickest)
