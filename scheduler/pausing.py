"""When a running job makes way: asked by its user, or because its clean hours are over."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.errors import StoreUnavailable
from scheduler.plan import Plan, Slot
from scheduler.planner import MARGIN, utc_text
from scheduler.records import Job
from scheduler.work import CANCELLED, Work

# A shorter pause is not worth giving the process up and loading the data again.
LEAST_PAUSE = timedelta(minutes=2)


class Pausing(BaseException):
    """The job pauses between two trials. No model's `except Exception` catches it.

    `until` is when it goes on by itself; None: when its user says so.
    """

    def __init__(self, reason: str, *, until: datetime | None) -> None:
        super().__init__(reason)
        self.reason, self.until = reason, until


def stop_reason(work: Work) -> str | None:
    """Why the search is to end now with its best so far, or None; asked between two trials.

    Raises Pausing when the job is to give its place up and go on later.
    """
    if work.heart.cancel_requested.is_set():
        return CANCELLED
    asked = _asked(work)
    if asked.pause_requested:
        raise Pausing("paused by the user", until=None)
    if asked.yield_requested:
        raise Pausing("makes way for a job whose deadline is near", until=work.clock())
    if work.job.plan is not None and len(work.job.plan["slots"]) > 1:
        now = work.clock()
        later = next_slot(Plan.from_json(work.job.plan), now=now, begun_at=work.job.start_at)
        if later is not None:
            reason = f"its window has ended; it goes on at {utc_text(later.start, now)}"
            raise Pausing(reason, until=later.start)
    return None


def _asked(work: Work) -> Job:
    """The job with what is asked of it now: trials may be shorter than a heartbeat's pause."""
    try:
        return work.store.job(work.job.id)
    except StoreUnavailable:  # it is asked again after the next trial
        return work.job


def next_slot(plan: Plan, *, now: datetime, begun_at: datetime | None = None) -> Slot | None:
    """The slot to pause for; None while one is open, after the last, and when time is short.

    Nor does a job pause that was let go on in this very pause (`begun_at`), because the queue
    leaves it no time to wait: it would only come and go.

    What was not done in the slots that are over is still to do: the pause is made only when the
    deadline leaves room for it, with the margin that plans have.
    """
    begun = [slot for slot in plan.slots if slot.start <= now]
    ahead = [slot for slot in plan.slots if slot.start > now]
    if not begun or not ahead or now < begun[-1].end or ahead[0].start - now < LEAST_PAUSE:
        return None
    if begun_at is not None and begun_at >= begun[-1].end:
        return None
    done = sum((slot.end - slot.start).total_seconds() for slot in begun)
    left = max(MARGIN * plan.expectation.seconds, plan.expectation.p95_seconds) - done
    deadline = plan.finish_by
    late = deadline is not None and ahead[0].start + timedelta(seconds=left) > deadline
    return None if late else ahead[0]
