"""When a job may run, as clients say it: policies, bounds in time, and what a wait must gain."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from api.schemas import Body
from scheduler.plan import DEFAULT_FLOOR, NOW, POLICIES

# RFC 3339; the offset is apart, since its absence is what is said.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|z|[+-]\d\d:\d\d)?")
_BOUNDS = ("start_after", "latest_start", "finish_by")


def _policy(value: Any) -> Any:
    if isinstance(value, str) and value not in POLICIES:
        listed = " and ".join(map(repr, POLICIES))
        raise PydanticCustomError("not_supported", f"only {listed} are supported")
    return value


def _moment(value: Any) -> Any:
    """A text with an offset as a time in UTC; None stays."""
    if value is None or isinstance(value, datetime):
        return value
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError(
            "date_time", "a time is written like 2026-11-23T18:00:00+01:00 (RFC 3339)"
        )
    if match[3] is None:
        raise PydanticCustomError(
            "no_offset", "a time needs its offset, Z or one like +01:00: nothing is assumed"
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("date_time", "there is no such time") from None


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class When(Body):
    """When to run: at once, or in the low-carbon hours that bounds in time leave."""

    policy: Annotated[
        str,
        WithJsonSchema({"type": "string", "enum": list(POLICIES)}),
        BeforeValidator(_policy),
    ] = Field(
        NOW,
        description="now: as soon as a worker is free; low_carbon: in the window (or slots) of "
        "lowest forecast intensity, never past its latest start",
    )
    zone: str | None = Field(
        None,
        min_length=1,
        max_length=40,
        description="zone of the grid, as GET /v1/zones lists them; null is the service's own",
    )
    start_after: Moment | None = Field(None, description="not before; null is at once")
    latest_start: Moment | None = Field(
        None,
        description="it starts then whatever the forecast says; null follows from finish_by, and "
        "without that is a day after the earliest start",
    )
    finish_by: Moment | None = Field(
        None,
        description="deadline: it starts so early that a fifth more than expected, or the 95th "
        "percentile, fits; a request that cannot be kept is refused with the earliest possible",
    )
    interruptible: bool | None = Field(
        None,
        description="whether it may pause between slots, at the end of a trial; null: if it is "
        "expected to take more than eight hours",
    )
    floor: float = Field(
        DEFAULT_FLOOR,
        ge=0,
        lt=1,
        description="share of the emissions that waiting must be expected to save, beside 5 g/kWh; "
        "with less it runs at once; 0 waits for any gain",
    )

    @field_validator(*_BOUNDS, "interruptible")
    @classmethod
    def _of_waiting(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("policy", "") == NOW:
            raise PydanticCustomError("needs_low_carbon", "it means something with low_carbon only")
        return value

    @field_validator("latest_start", "finish_by")
    @classmethod
    def _in_order(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        for name in ("start_after", "latest_start"):
            bound = info.data.get(name)
            if value is not None and bound is not None and value < bound:
                raise PydanticCustomError("too_early", "it is before {name}", {"name": name})
        return value
