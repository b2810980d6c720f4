"""What somebody wishes of the time a job runs, and what was planned: records that go to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from automl.search.expectation import Expectation

NOW, LOW_CARBON = "now", "low_carbon"
POLICIES = (NOW, LOW_CARBON)
# Waits that are expected to gain less than this share of the emissions are not worth it.
DEFAULT_FLOOR = 0.03
LEAST_SECONDS = 1e-3  # no job takes less; a window of nothing has no mean

_MOMENTS = ("start_after", "latest_start", "finish_by")


@dataclass(frozen=True, kw_only=True, slots=True)
class When:
    """When a job may run. `zone` None is the service's own; times are aware and become UTC.

    `interruptible` None means jobs of more than eight hours; `floor` is the share of the
    emissions that a wait has to save, beside 5 g/kWh; with 0 any gain is waited for.

    Raises
    ------
    ValueError
        A time without an offset, bounds in the wrong order, an unknown policy or a floor that is
        no share; requests are checked by their schema, with the field named.
    """

    policy: str = NOW
    zone: str | None = None
    start_after: datetime | None = None
    latest_start: datetime | None = None
    finish_by: datetime | None = None
    interruptible: bool | None = None
    floor: float = DEFAULT_FLOOR

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"policy {self.policy!r} is not one of {', '.join(POLICIES)}")
        if not 0 <= self.floor < 1:
            raise ValueError(f"a floor of {self.floor!r} is not a share of at least 0, below 1")
        for name in _MOMENTS:
            moment = getattr(self, name)
            if moment is None:
                continue
            if moment.utcoffset() is None:
                raise ValueError(f"{name} has no offset")
            object.__setattr__(self, name, moment.astimezone(UTC))
        for later in (self.latest_start, self.finish_by):
            if self.start_after is not None and later is not None and self.start_after > later:
                raise ValueError("start_after is later than the end of what it begins")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> When:
        """From a request's `when`, or from what `to_json` gave."""
        given = {name: one for name, one in value.items() if one is not None}
        moments = {n: datetime.fromisoformat(given[n]) for n in _MOMENTS if n in given}
        return cls(**{**given, **moments})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A stretch of time in which a job is to run."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """A window that could be chosen, and what it would emit and save beside the first moment."""

    start: datetime
    end: datetime
    grams_per_kwh: float
    gco2e: float
    saving_gco2e: float
    worst_saving_gco2e: float | None  # None where nobody measured the source's error


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """When a job runs and why, by which forecast, and what that is expected to save.

    ``_now`` is a run from the first moment that the wish allows, which is the present where it
    names no `start_after`. All intensities are the forecast's. `grams_per_kwh` and `gco2e` are
    those of the plan, with the work of coming back from its pauses; `worst_saving_gco2e` is what
    95 of 100 such plans save at least, below 0 where that means dirtier, and None where nobody
    measured the error of this source. Without a forecast all of these are None.
    """

    when: When
    decided_at: datetime
    slots: tuple[Slot, ...]  # one at least, in order of time
    latest_start: datetime  # the job starts then whatever the forecast says
    expectation: Expectation
    reason: str  # one sentence, with its numbers
    zone: str | None = None  # of the forecast
    source: str | None = None
    factor_type: str | None = None
    signal: str | None = None
    issued_at: datetime | None = None
    error_grams: float | None = None
    grams_per_kwh_now: float | None = None
    grams_per_kwh: float | None = None
    gco2e_now: float | None = None
    gco2e: float | None = None
    worst_saving_gco2e: float | None = None
    alternatives: tuple[Option, ...] = ()  # the five best windows, the best first

    @property
    def start_at(self) -> datetime:
        """When the first slot begins."""
        return self.slots[0].start

    @property
    def finish_by(self) -> datetime | None:
        """The deadline, if there is one."""
        return self.when.finish_by

    @property
    def seconds(self) -> float:
        """Expected seconds of the work itself."""
        return max(self.expectation.seconds, LEAST_SECONDS)

    @property
    def saving_gco2e(self) -> float | None:
        """What the plan is expected to save beside a run from the first moment."""
        if self.gco2e_now is None or self.gco2e is None:
            return None
        return self.gco2e_now - self.gco2e

    def running_on(self, now: datetime) -> Plan:
        """The plan of a job that its user sends on at `now`: to its end, in no later slot."""
        begun = tuple(slot for slot in self.slots if slot.start < now)
        length = timedelta(seconds=self.seconds)
        return replace(self, slots=(*begun, Slot(start=now, end=now + length)))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what follows from others is there too, for readers."""
        return {
            "policy": self.when.policy,
            "start_at": self.start_at.isoformat(),
            "finish_by": None if self.finish_by is None else self.finish_by.isoformat(),
            "expected_seconds": self.expectation.seconds,
            "expected_kwh": self.expectation.kwh,
            "saving_gco2e": self.saving_gco2e,
            **_plain(asdict(self)),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """From what `to_json` gave."""
        own = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        for name in ("decided_at", "latest_start", "issued_at"):
            if own.get(name) is not None:
                own[name] = datetime.fromisoformat(own[name])
        return cls(
            **{
                **own,
                "when": When.from_json(own["when"]),
                "expectation": Expectation.from_json(own["expectation"]),
                "slots": tuple(Slot(**_moments(one)) for one in own["slots"]),
                "alternatives": tuple(Option(**_moments(one)) for one in own["alternatives"]),
            }
        )


def _moments(value: Mapping[str, Any]) -> dict[str, Any]:
    read = {name: datetime.fromisoformat(value[name]) for name in ("start", "end")}
    return {**value, **read}


def _plain(value: Any) -> Any:
    """The same with every time as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
