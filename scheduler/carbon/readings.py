"""Readings from the rows a provider or a file sends: strict about types, tolerant of repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Any

from scheduler.carbon.series import Reading
from scheduler.errors import ForecastUnavailable

# No source publishes means of longer intervals; further apart, rows have a hole between them.
LONGEST_STEP = timedelta(hours=1)


def bad_answer(what: str) -> ForecastUnavailable:
    """The error of an answer that is not as documented; never with a text from the answer."""
    return ForecastUnavailable(f"not an answer as documented: {what}", code="bad_answer")


def member(record: Any, name: str, kind: type[Any]) -> Any:
    """The member of a JSON object, which must be there and of that type.

    >>> member({"data": [1]}, "data", list)
    [1]
    """
    if not isinstance(record, dict) or not isinstance(record.get(name), kind):
        raise bad_answer(f"{name!r} is missing or is not a {kind.__name__}")
    return record[name]


def instant(value: Any) -> datetime:
    """An aware UTC datetime from ISO 8601 text with an offset, or from seconds since 1970.

    Raises ForecastUnavailable for anything else, local times without an offset included: nobody
    could tell the two hours of an autumn night apart.

    >>> instant("2018-01-20T13:00+01:00").isoformat()
    '2018-01-20T12:00:00+00:00'
    """
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
            if parsed.tzinfo is not None:
                return parsed.astimezone(UTC)
        elif isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise bad_answer("a time is not ISO 8601 with an offset")


def number(value: Any) -> float:
    """A finite float from a JSON number; text, truth values and NaN are refused.

    >>> number(57)
    57.0
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = float("inf")
        if isfinite(found):
            return found
    raise bad_answer("an intensity is not a finite number")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One value as it was sent: only where it begins is said."""

    start: datetime
    grams_per_kwh: float
    is_estimated: bool = False


def step_of(starts: Sequence[datetime]) -> timedelta:
    """The commonest distance of sorted, distinct starts, at most one hour; of one start, that.

    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> step_of([noon + timedelta(minutes=m) for m in (0, 15, 30, 90, 105)]).total_seconds() / 60
    15.0
    """
    distances = Counter(after - before for before, after in pairwise(starts))
    if not distances:
        return LONGEST_STEP
    most = max(distances.values())
    return min(min(step for step, count in distances.items() if count == most), LONGEST_STEP)


def from_starts(
    rows: Iterable[Row], *, step: timedelta | None = None, longest: timedelta = LONGEST_STEP
) -> tuple[Reading, ...]:
    """Readings in order of time; each ends at the next, or after one step where that comes first.

    The step is the commonest distance unless it is given. Of rows with the same start the last
    one sent counts: providers repeat an hour to revise it.
    """
    by_start = {row.start: row for row in rows}
    starts = sorted(by_start)
    step = min(step or step_of(starts), longest)
    ends = [min(after, start + step) for start, after in pairwise(starts)]
    ends += [start + step for start in starts[-1:]]
    return tuple(
        Reading(
            start=start,
            end=end,
            grams_per_kwh=by_start[start].grams_per_kwh,
            is_estimated=by_start[start].is_estimated,
        )
        for start, end in zip(starts, ends, strict=True)
    )


def from_intervals(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Readings in order of time; of those with the same start, the last one sent.

    Whether others overlap is for `IntensitySeries` to find.
    """
    by_start = {reading.start: reading for reading in readings}
    return tuple(by_start[start] for start in sorted(by_start))
