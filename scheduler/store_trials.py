"""What a job did: its trials, the cost of its phases, its events."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from automl.cost import Cost
from automl.trial import RUNGS, Proposal, Trial
from scheduler.errors import Conflict
from scheduler.records import Event, JobState, Json, Phase, StoredTrial
from scheduler.store_engine import Database
from scheduler.store_rows import (
    known_id,
    lost,
    move_job,
    to_event,
    to_trial,
    unknown,
)
from scheduler.tables import events, jobs, phases, trials

LeaderboardSort = Literal["score", "joules", "predict_joules", "number"]
_NEWEST = 50  # trials that tell how long the next one may take
# The last column of each is the one that a trial may have no value in. Only scores of one rung
# compare, so the rung comes before them.
_SORT = {
    "score": (trials.c.rung, trials.c.score),
    "joules": (trials.c.joules,),
    "predict_joules": (trials.c.predict_joules,),
    "number": (trials.c.number,),
}


class TrialStore(Database):
    """Trials of a job, written under its epoch only, and what clients read of them."""

    def begin_trial(
        self,
        job_id: str,
        *,
        epoch: int,
        number: int,
        proposal: Proposal,
        expected: Cost,
        now: datetime,
    ) -> bool:
        """Say that a trial starts; returns whether the job's cancellation was asked for.

        Raises LostLease; Conflict when the number was begun before.
        """
        with self.write() as connection:
            cancel_requested = _fence(connection, job_id, epoch)
            taken = connection.scalar(select(trials.c.number).where(*_is(job_id, number)))
            if taken is not None:
                raise Conflict(f"trial {number} of job {job_id} was begun before")
            connection.execute(
                insert(trials).values(
                    job_id=job_id,
                    number=number,
                    epoch=epoch,
                    proposal=proposal.to_json(),
                    expected=expected.to_json(),
                    started_at=now,
                    rung=RUNGS.index(proposal.rung),
                )
            )
        return cancel_requested

    def end_trial(self, job_id: str, *, epoch: int, trial: Trial, now: datetime) -> bool:
        """Keep a finished trial for good, with its event.

        Returns whether the job's cancellation was asked for: a job of a second is over before
        its next heartbeat. A trial that took no run of its own (a mean of stored predictions) may
        end without having been begun. Raises LostLease; Conflict when it ended before.
        """
        ended: dict[str, Any] = {
            "finished_at": now,
            "score": None if trial.score is None or math.isnan(trial.score) else trial.score,
            # Never null: it marks the trial as ended. What was not measured sorts as the dearest.
            "joules": math.inf if math.isnan(trial.cost.joules) else trial.cost.joules,
            "predict_joules": trial.predict_joules,
            "trial": trial.to_json(),
        }
        with self.write() as connection:
            moved = move_job(
                connection,
                job_id,
                *_held(epoch),
                kind="trial",
                data=trial.to_json(),
                now=now,
            )
            if moved is None:
                raise lost(job_id, epoch)
            begun = connection.execute(
                select(trials.c.finished_at).where(*_is(job_id, trial.number))
            ).first()
            if begun is None:
                connection.execute(
                    insert(trials).values(
                        job_id=job_id,
                        number=trial.number,
                        epoch=epoch,
                        proposal=trial.proposal.to_json(),
                        expected=trial.expected.to_json(),
                        started_at=now,
                        rung=RUNGS.index(trial.proposal.rung),
                        **ended,
                    )
                )
            elif begun[0] is None:
                connection.execute(update(trials).where(*_is(job_id, trial.number)).values(**ended))
            else:
                raise Conflict(f"trial {trial.number} of job {job_id} ended before")
        return moved.cancel_requested

    def trials(self, job_id: str) -> list[StoredTrial]:
        """Every trial of a job that was begun, by number: what a resume replays."""
        known_id(job_id, noun="job")
        query = select(trials).where(trials.c.job_id == job_id).order_by(trials.c.number)
        with self.read() as connection:
            return [to_trial(row) for row in connection.execute(query)]

    def running_trial(self, job_id: str) -> StoredTrial | None:
        """The trial that was begun last and has not ended; None between trials."""
        known_id(job_id, noun="job")
        query = (
            select(trials)
            .where(trials.c.job_id == job_id, trials.c.finished_at.is_(None))
            .order_by(trials.c.number.desc())
            .limit(1)
        )
        with self.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else to_trial(row)

    def longest_trial(self, job_id: str) -> float:
        """Seconds of wall time that the longest of a job's newest trials took; 0 before any."""
        known_id(job_id, noun="job")
        query = (
            select(trials.c.started_at, trials.c.finished_at)
            .where(trials.c.job_id == job_id, trials.c.finished_at.is_not(None))
            .order_by(trials.c.number.desc())
            .limit(_NEWEST)
        )
        with self.read() as connection:
            took = [end - start for start, end in connection.execute(query)]
        return max((one.total_seconds() for one in took), default=0.0)

    def leaderboard(
        self,
        job_id: str,
        *,
        sort: LeaderboardSort = "score",
        descending: bool = True,
        limit: int,
        offset: int = 0,
        front: Collection[int] | None = None,
        rung: str | None = None,
        model: str | None = None,
    ) -> tuple[list[StoredTrial], int]:
        """A page of the finished trials, and how many there are in all.

        By score means by rung first (descending: final, refinement, screening), because scores
        of two rungs do not compare. Trials without the value that is sorted by (failed ones have
        no score) come last, by number; `front` keeps only the trials of these numbers, `rung` and
        `model` only those of one. Raises ValueError for another sort or rung.
        """
        known_id(job_id, noun="job")
        if sort not in _SORT:
            raise ValueError(f"sort is {sort!r}; one of {', '.join(_SORT)}")
        columns = _SORT[sort]
        column = columns[-1]
        # Every column asked about is in an index, so that counting reads no payload.
        ended = [trials.c.job_id == job_id, trials.c.joules.is_not(None)]
        if front is not None:
            ended.append(trials.c.number.in_(sorted(front)))
        if rung is not None:
            ended.append(trials.c.rung == RUNGS.index(rung))
        if model is not None:
            ended.append(trials.c.proposal["candidate"]["model"].as_string() == model)
        count = select(func.count()).select_from(trials)
        # Ties follow the direction in which the index is read: the earlier trial first when the
        # best comes first.
        natural = descending == (sort == "score")
        by_number = trials.c.number.asc() if natural else trials.c.number.desc()
        order = [one.desc() if descending else one.asc() for one in columns]
        if sort != "number":
            order.append(by_number)
        # Two queries over one index each, because the two databases put nulls at opposite ends.
        valued = [*ended, column.is_not(None)]
        if column is not trials.c.number:
            del valued[1]  # what has a score has ended
        with self.read() as connection:
            total = connection.scalar(count.where(*ended)) or 0
            n_valued = connection.scalar(count.where(*valued)) or 0
            query = select(trials).where(*valued).order_by(*order).limit(limit).offset(offset)
            rows = list(connection.execute(query)) if offset < n_valued else []
            missing = limit - len(rows)
            if missing > 0 and total > n_valued:
                query = (
                    select(trials)
                    .where(*ended, column.is_(None))
                    .order_by(trials.c.number)
                    .limit(missing)
                    .offset(max(0, offset - n_valued))
                )
                rows.extend(connection.execute(query))
        return [to_trial(row) for row in rows], total

    def add_phase(self, phase: Phase) -> None:
        """Add the cost of a phase to what the same phase took under the same epoch before.

        It may come after the job's end (predictions do). Raises LostLease when the epoch is not
        the job's.
        """
        same = (
            phases.c.job_id == phase.job_id,
            phases.c.epoch == phase.epoch,
            phases.c.name == phase.name,
        )
        with self.write() as connection:
            held = connection.execute(
                select(jobs.c.id)
                .where(jobs.c.id == phase.job_id, jobs.c.epoch == phase.epoch)
                .with_for_update()
            ).first()
            if held is None:
                raise lost(phase.job_id, phase.epoch)
            before = connection.execute(select(phases.c.cost).where(*same)).first()
            if before is not None:
                cost = Cost(**before[0]) + phase.cost
                values = {"cost": cost.to_json(), "ended_at": phase.ended_at}
                connection.execute(update(phases).where(*same).values(values))
                return
            position = connection.scalar(
                select(func.count()).select_from(phases).where(phases.c.job_id == phase.job_id)
            )
            connection.execute(
                insert(phases).values(
                    job_id=phase.job_id,
                    epoch=phase.epoch,
                    name=phase.name,
                    position=position,
                    cost=phase.cost.to_json(),
                    started_at=phase.started_at,
                    ended_at=phase.ended_at,
                )
            )

    def phases(self, job_id: str) -> list[Phase]:
        """What each phase of a job took, per epoch, in the order in which they first ended."""
        known_id(job_id, noun="job")
        query = select(phases).where(phases.c.job_id == job_id).order_by(phases.c.position)
        with self.read() as connection:
            return [
                Phase(
                    job_id=job_id,
                    epoch=row.epoch,
                    name=row.name,
                    cost=Cost(**row.cost),
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                )
                for row in connection.execute(query)
            ]

    def add_event(self, job_id: str, *, kind: str, data: Json, now: datetime) -> Event:
        """Append an event to a job's history. Raises UnknownRecord."""
        known_id(job_id, noun="job")
        with self.write() as connection:
            moved = move_job(connection, job_id, kind=kind, data=data, now=now)
            if moved is None:
                raise unknown("job")
            row = connection.execute(
                select(events)
                .where(events.c.job_id == job_id)
                .order_by(events.c.seq.desc())
                .limit(1)
            ).one()
            return to_event(row)

    def events(self, job_id: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """What happened to a job after event number `after`, oldest first, at most `limit`."""
        known_id(job_id, noun="job")
        query = (
            select(events)
            .where(events.c.job_id == job_id, events.c.seq > min(max(after, 0), 2**31 - 1))
            .order_by(events.c.seq)
            .limit(limit)
        )
        with self.read() as connection:
            return [to_event(row) for row in connection.execute(query)]

    def newest_events(self, job_id: str, *, limit: int) -> list[Event]:
        """The last events of a job, at most `limit`, oldest first."""
        known_id(job_id, noun="job")
        query = (
            select(events)
            .where(events.c.job_id == job_id)
            .order_by(events.c.seq.desc())
            .limit(limit)
        )
        with self.read() as connection:
            return [to_event(row) for row in connection.execute(query)][::-1]


def _is(job_id: str, number: int) -> tuple[Any, ...]:
    return trials.c.job_id == job_id, trials.c.number == number


def _held(epoch: int) -> tuple[Any, ...]:
    return jobs.c.epoch == epoch, jobs.c.state == JobState.RUNNING


def _fence(connection: Connection, job_id: str, epoch: int) -> bool:
    """Hold the job's row until the transaction ends; whether to cancel it. Raises LostLease."""
    query = select(jobs.c.cancel_requested).where(jobs.c.id == job_id, *_held(epoch))
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise lost(job_id, epoch)
    return bool(row[0])
