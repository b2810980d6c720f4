"""The audit: which lines are asked for, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas import Query
from api.schemas_answers import Answer, JsonObject
from scheduler.records_schedules import AuditLine


class AuditQuery(Query):
    """One page of the audit."""

    limit: int = Field(100, ge=1, le=1000)
    after: int | None = Field(None, ge=0, le=2**31 - 1, description="next_after of the page before")
    verify: Literal["true", "false"] = Field(
        "false", description="true: check that no line of the whole audit was altered"
    )


class AuditLineAnswer(Answer):
    """Who did what to what."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: JsonObject
    sha256: str = Field(description="of this line and the hash of the one before it")

    @classmethod
    def of(cls, line: AuditLine) -> AuditLineAnswer:
        return cls(
            seq=line.seq,
            at=line.at,
            actor=line.actor,
            action=line.action,
            subject=line.subject,
            details=dict(line.details),
            sha256=line.sha256,
        )


class AuditAnswer(Answer):
    """One page of the audit, oldest first."""

    items: list[AuditLineAnswer]
    next_after: int | None
    verified: bool | None = Field(description="whether no line was altered; null: not asked")
    first_broken: int | None
