"""What an operator watches, counted over all projects: no name and no id is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from automl.trial import RUNGS
from scheduler.records import DatasetState, JobState
from scheduler.records_schedules import RunState
from scheduler.store_engine import Database
from scheduler.tables import datasets, jobs, ledger, predictions, promotions, runs, trials

Counts = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What one phase took in all, and would have emitted at the moments of submission."""

    cpu_seconds: float
    joules: float
    gco2e: float
    gco2e_at_submission: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts by state or kind, sums by phase; a kind of which there is nothing yet is 0."""

    jobs: Counts
    oldest_submitted_at: datetime | None  # of the jobs that nobody has looked at yet
    trials: Counts  # that have a score, by rung
    trials_failed: int
    trials_running: int
    bills: Mapping[str, Bill]
    datasets: Counts
    bytes_in: int  # of uploads of data sets that are there
    bytes_stored: int
    runs: Counts  # of schedules
    promotions: Counts
    batches: Counts  # predictions of whole data sets


class FigureStore(Database):
    """One reading of everything that is counted."""

    def figures(self) -> Figures:
        """Count; a few index scans, so not more often than every few seconds."""
        sums = (
            func.sum(ledger.c.cpu_seconds),
            func.sum(ledger.c.joules),
            func.sum(ledger.c.gco2e),
            func.sum(func.coalesce(ledger.c.gco2e_at_submission, ledger.c.gco2e)),
        )
        kept = datasets.c.state == DatasetState.READY
        with self.read() as connection:

            def by(column: Any, *conditions: Any) -> list[tuple[Any, int]]:
                query = select(column, func.count()).where(*conditions).group_by(column)
                return [(row[0], row[1]) for row in connection.execute(query)]

            # Joules are never null of a trial that ended; rung, score and joules are in indexes.
            rungs = by(trials.c.rung, trials.c.score.is_not(None))
            ended = select(func.count()).where(trials.c.joules.is_not(None))
            running = select(jobs.c.id).where(jobs.c.state == JobState.RUNNING)
            begun = select(func.count()).where(
                trials.c.job_id.in_(running), trials.c.joules.is_(None)
            )
            oldest = select(func.min(jobs.c.submitted_at))
            oldest = oldest.where(jobs.c.state == JobState.SUBMITTED)
            sizes = select(func.sum(datasets.c.bytes_in), func.sum(datasets.c.bytes_stored))
            bytes_in, bytes_stored = connection.execute(sizes.where(kept)).one()
            billed = connection.execute(select(ledger.c.phase, *sums).group_by(ledger.c.phase))
            return Figures(
                jobs=_counts(by(jobs.c.state), JobState),
                oldest_submitted_at=connection.scalar(oldest),
                trials=_counts([(RUNGS[rung], n) for rung, n in rungs], RUNGS),
                trials_failed=(connection.scalar(ended) or 0) - sum(n for _, n in rungs),
                trials_running=connection.scalar(begun) or 0,
                bills={
                    phase: Bill(
                        cpu_seconds=cpu_seconds,
                        joules=joules,
                        gco2e=gco2e,
                        gco2e_at_submission=at_submission,
                    )
                    for phase, cpu_seconds, joules, gco2e, at_submission in billed
                },
                datasets=_counts(by(datasets.c.state), DatasetState),
                bytes_in=int(bytes_in or 0),
                bytes_stored=int(bytes_stored or 0),
                runs=_counts(by(runs.c.state), RunState),
                promotions=_counts(by(promotions.c.kind), ("promote", "rollback", "schedule")),
                batches=_counts(by(predictions.c.state), ("RUNNING", "DONE", "FAILED", "DELETED")),
            )


def _counts(found: Iterable[tuple[Any, int]], names: Iterable[str]) -> Counts:
    """Counts by name, 0 where nothing was found; what has no name of ours is left out."""
    own = {str(name): int(count) for name, count in found}
    return {str(name): own.get(str(name), 0) for name in names}
