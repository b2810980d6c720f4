"""The store: the only SQL of the service, over SQLite or PostgreSQL, chosen by URL."""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy import inspect

from scheduler.store_access import AccessStore
from scheduler.store_audit import AuditStore
from scheduler.store_datasets import DatasetStore
from scheduler.store_deletions import DeletionStore
from scheduler.store_engine import SAFE_WAL, journal_mode, translated
from scheduler.store_figures import FigureStore
from scheduler.store_jobs import JobStore
from scheduler.store_ledger import LedgerStore
from scheduler.store_models import ModelStore
from scheduler.store_outbox import OutboxStore
from scheduler.store_outcomes import OutcomeStore
from scheduler.store_pauses import PauseStore
from scheduler.store_predictions import PredictionStore
from scheduler.store_promotions import PromotionStore
from scheduler.store_queue import QueueStore
from scheduler.store_runs import RunStore
from scheduler.store_schedules import ScheduleStore
from scheduler.store_trials import LeaderboardSort, TrialStore
from scheduler.store_uploads import UploadStore
from scheduler.store_waiting import WaitingStore

__all__ = ["LeaderboardSort", "Store"]

logger = logging.getLogger(__name__)


class Store(
    AccessStore,
    DatasetStore,
    DeletionStore,
    JobStore,
    QueueStore,
    PauseStore,
    WaitingStore,
    TrialStore,
    ModelStore,
    LedgerStore,
    OutboxStore,
    ScheduleStore,
    RunStore,
    PromotionStore,
    OutcomeStore,
    PredictionStore,
    UploadStore,
    AuditStore,
    FigureStore,
):
    """Projects, tokens, data sets, jobs, trials, events and models in one database.

    Every method is one transaction; every move of a job or data set is one conditional UPDATE with
    its event. A database that is locked or out of reach is a StoreUnavailable. Threads may share a
    store; processes make their own.

    Parameters
    ----------
    url : str
        `sqlite:///file` or `postgresql://…`.
    busy_seconds : float
        How long to wait for a lock or a free connection before StoreUnavailable.
    """

    def migrate(self) -> None:
        """Bring the database to the shape of this version; safe when several processes do so.

        Raises IncompatibleStore, and changes nothing, when a newer version wrote the database.
        """
        from scheduler.migrations import upgrade  # Alembic is needed for this moment only

        with translated():
            upgrade(self.engine)
        if self.is_sqlite:
            logger.info("%s", sqlite_decision(sqlite3.sqlite_version_info))

    def is_empty(self) -> bool:
        """Whether there are no tables at all: a database that was never used."""
        with self.read() as connection:
            return set(inspect(connection).get_table_names()) <= {"alembic_version"}


def sqlite_decision(version: tuple[int, ...]) -> str:
    """Which journal is used with this SQLite, and why.

    >>> sqlite_decision((3, 40, 1))
    'SQLite 3.40.1: synchronous=FULL, journal_mode=DELETE (WAL can lose commits before 3.51.3)'
    """
    mode = journal_mode(version)
    why = "" if mode == "WAL" else f" (WAL can lose commits before {'.'.join(map(str, SAFE_WAL))})"
    return f"SQLite {'.'.join(map(str, version))}: synchronous=FULL, journal_mode={mode}{why}"
