"""Which version of a model answers, and the labels that decide it: what is sent and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas import Body
from api.schemas_answers import Answer, JsonObject
from api.schemas_jobs import NO_NUL, Integer
from scheduler.records_schedules import Promotion


class PromoteRequest(Body):
    """Which version is to answer."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1), Integer]
    because: Annotated[str, Field(max_length=1000, pattern=NO_NUL)] | None = Field(
        None, description="for the audit"
    )


class PromotionAnswer(Answer):
    """From when on which version answered."""

    version: int
    kind: Literal["promote", "rollback", "schedule"]
    actor: str
    at: datetime
    reason: JsonObject

    @classmethod
    def of(cls, promotion: Promotion) -> PromotionAnswer:
        return cls(
            version=promotion.version,
            kind=promotion.kind,
            actor=promotion.actor,
            at=promotion.at,
            reason=dict(promotion.reason),
        )


class PromotionsAnswer(Answer):
    """What answered for a name, newest first; empty: the newest version always did."""

    serving: int = Field(description="the version that answers now")
    before: int | None = Field(
        description="the version that a rollback would let answer; null: none answered before"
    )
    versions: list[int] = Field(description="those that there are, newest first")
    items: list[PromotionAnswer]


class OutcomesAnswer(Answer):
    """Labels that were taken in."""

    id: str
    received_at: datetime
    n_labels: int = Field(description="one for each key")
    n_positive: int
    n_unknown_keys: int = Field(
        description="of a key that no row has yet; they are kept, for rows may come"
    )
    n_conflicting: int = Field(
        description="keys that came with several labels: the one known last counts"
    )
    n_replaced: int = Field(description="rows that had another label before")
