"""A queue longer than its machine is fast: which jobs must not wait for their clean hours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from scheduler.planner import MARGIN
from scheduler.records import Deadline, JobState


def urgent(
    jobs: Sequence[Deadline], *, now: datetime, n_processes: int, notice_seconds: float
) -> list[str]:
    """The ids of the jobs that have to start now, or one of them misses its deadline.

    Each plan was made as if its job were alone. Here the work with the nearest deadlines is laid
    end to end: where it fills the time up to some deadline, everything due by then has to start,
    in the order of deadlines, and windows no longer count (earliest deadline first, Liu and
    Layland 1973; with several processes each is given its share of the work, which is a bound for
    jobs shorter than the room).

    Parameters
    ----------
    jobs : with a deadline, not ended, the nearest deadline first
    now : aware, UTC
    n_processes : jobs that run at once
    notice_seconds : how long until this is asked again
    """
    work, longest, last = 0.0, 0.0, -1
    for index, job in enumerate(jobs):
        seconds = MARGIN * (job.expected_seconds or 0.0)
        if job.state == JobState.RUNNING and job.claimed_at is not None:
            seconds = max(seconds - (now - job.claimed_at).total_seconds(), 0.0)
        work += seconds
        longest = max(longest, seconds)
        # A job cannot be shared out: beside the even share the longest may stand in the way.
        needed = work / n_processes + longest * (1 - 1 / n_processes)
        if now + timedelta(seconds=needed + notice_seconds) > job.finish_by:
            last = index
    return [job.id for job in jobs[: last + 1] if job.state != JobState.RUNNING]


def in_the_way(
    jobs: Sequence[Deadline], hurried: Collection[str], *, running: Collection[str]
) -> str | None:
    """The id of the running job that makes way for an urgent one, when all processes are busy.

    One without a deadline, or else the one with the latest, if that is later than the urgent
    job's: so the nearest deadline always runs (preemptive earliest deadline first, optimal on one
    processor: Dertouzos 1974). None when nobody has to.
    """
    due = {job.id: job.finish_by for job in jobs}
    waiting = [due[job_id] for job_id in hurried if job_id not in running]
    if not waiting or not running:
        return None
    free = sorted(job_id for job_id in running if job_id not in due)
    if free:
        return free[0]
    last = max(running, key=lambda job_id: (due[job_id], job_id))
    return last if due[last] > min(waiting) else None
