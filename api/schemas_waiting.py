"""The queue as it is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from api.schemas import JobStateName
from api.schemas_answers import Answer


class WaitingJob(Answer):
    """A job of the project that waits."""

    job: str
    state: JobStateName
    position: int | None = Field(
        description="place among the jobs of all projects that are due, from 1; null while its "
        "time has not come"
    )
    start_at: datetime | None = Field(
        description="not before this; null while its user has paused it"
    )
    why: str = Field(description="one sentence, with its numbers")


class QueueAnswer(Answer):
    """The queue of this service, and what of it is the project's."""

    running: int = Field(description="jobs that run, of all projects")
    processes: int = Field(description="jobs that may run at the same time")
    due: int = Field(description="jobs that wait for a process, of all projects")
    items: list[WaitingJob] = Field(description="of the project: those that start first come first")
