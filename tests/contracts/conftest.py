"""Both databases, made ready, for the contract suites over the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.store import Store

NOW = datetime(2026, 3, 28, 23, 59, 59, 123456, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after the beginning of every test."""
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'frugal.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def make_store(store_url: str) -> Iterator[Callable[[], Store]]:
    """Stores over one and the same database, as several processes would have."""
    made: list[Store] = []

    def make(busy_seconds: float = 15.0) -> Store:
        made.append(Store(store_url, busy_seconds=busy_seconds))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    """A store with its tables."""
    made = make_store()
    made.migrate()
    return made
