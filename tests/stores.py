"""Stores for tests that are not about durability."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from scheduler.store import Store


def hurried(store: Store) -> Store:
    """The same store, which does not wait for the disk where its database is SQLite.

    Every commit syncs several times, which takes most of a short test on a busy disk. Nothing
    that a test sees depends on it: what is committed survives any death but the machine's.
    """
    if store.is_sqlite:

        @event.listens_for(store.engine, "connect")
        def set_up(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

    return store
