"""The queue: which jobs wait, in which order, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiflask import APIBlueprint

from api.context import now, parts, project_id
from api.schemas_waiting import QueueAnswer, WaitingJob
from scheduler.planner import utc_text
from scheduler.records import JobState
from scheduler.store_waiting import Waiting

waiting = APIBlueprint("waiting", __name__, url_prefix="/v1", tag="Jobs")


@waiting.get("/queue")
@waiting.output(QueueAnswer)
@waiting.doc(operation_id="getQueue")
def index() -> Any:
    """Which jobs of the project wait, their place in the queue of all projects, and why.

    The nearest deadline comes first, then jobs without one in the order of their submission.
    """
    lines, n_running = parts().store.queue(project_id(), now=now())
    n_processes = parts().settings.job_processes
    due = [line for line in lines if line.is_due(now())]
    place = {line.id: number for number, line in enumerate(due, start=1)}
    items = [
        WaitingJob(
            job=line.id,
            state=line.state,
            position=place.get(line.id),
            start_at=line.start_at,
            why=why(
                line,
                ahead=place.get(line.id, 1) - 1,
                n_running=n_running,
                n_processes=n_processes,
                now=now(),
            ),
        )
        for line in lines
        if line.project_id == project_id()
    ]
    return QueueAnswer(running=n_running, processes=n_processes, due=len(due), items=items)


def why(line: Waiting, *, ahead: int, n_running: int, n_processes: int, now: datetime) -> str:
    """One sentence: what a job waits for.

    >>> from datetime import UTC
    >>> at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    >>> line = Waiting(id="1", project_id="p", state="SUBMITTED", submitted_at=at, start_at=at)
    >>> why(line, ahead=2, n_running=1, n_processes=1, now=at)
    'waits for a process: 1 of 1 is busy, 2 jobs are before it'
    """
    if line.start_at is None and line.state == JobState.PAUSED:
        return "paused by its user; it goes on when it is resumed"
    if line.start_at is not None and not line.is_due(now):
        begins = "goes on" if line.state == JobState.PAUSED else "starts"
        return line.reason or f"{begins} at {utc_text(line.start_at, now)}"
    if ahead == 0 and n_running < n_processes:
        return "starts within seconds: it is the next, and a process is free"
    busy = (
        "1 of 1 is" if n_processes == 1 else f"{min(n_running, n_processes)} of {n_processes} are"
    )
    before = "it is the next" if not ahead else f"{ahead} jobs are before it"
    if ahead == 1:
        before = "1 job is before it"
    return f"waits for a process: {busy} busy, {before}"
