"""Windows back from the cut-off, chosen from how far back and how densely training rows reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from automl.relations.tables import SECONDS_PER_DAY, EventTable, Floats, Integers, Spans

# Shares of the median history, so that one window is recent, one short and one a season.
SHARES = (0.03, 0.1, 0.3)
# A window is worth its features where the median row has so many events in it.
LEAST_EVENTS = 2.0
# Where rows see the same events over and over (a point of a series sees all points before it),
# the whole history would cost the square of the series; they see so many last rows instead.
MOST_ROWS = 500
OVERLAP = 16.0

_DATED = {
    **{f"{n}s": float(n) for n in (1, 5, 10, 30)},
    **{f"{n}min": 60.0 * n for n in (1, 5, 10, 30)},
    **{f"{n}h": 3600.0 * n for n in (1, 2, 6, 12)},
    **{
        f"{n}d": SECONDS_PER_DAY * n
        for n in (1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650)
    },
}


@dataclass(frozen=True, kw_only=True)
class Window:
    """The last part of a history: so much time, so many rows, or (neither) all of it.

    Parameters
    ----------
    name : as features are named, e.g. ``30d``, ``12h``, ``5units``, ``100rows`` or ``all``
    length : in units of the table's time
    rows : number of last rows
    """

    name: str
    length: float | None = None
    rows: int | None = None

    def start(self, table: EventTable, spans: Spans) -> Integers:
        """First row of the table in the window of each entity row, shape (n_entities,)."""
        if self.rows is not None:
            return spans.last(self.rows).start
        return spans.start if self.length is None else spans.since(table, self.length).start

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        found: dict[str, Any] = {"name": self.name}
        if self.length is not None:
            found["length"] = self.length
        if self.rows is not None:
            found["rows"] = self.rows
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**data)


ALL = Window(name="all")


def choose_windows(table: EventTable, spans: Spans) -> tuple[Window, ...]:
    """The widest window first, then up to three shorter ones, from training rows.

    Where there is no cut-off, or no time but the order, shorter windows count rows.
    """
    length = spans.end - spans.start
    some = np.flatnonzero(length > 0)
    if len(some) == 0:
        return (ALL,)
    widest = _widest(spans)
    timed = some[np.isfinite(spans.cut_off[some])]
    if len(timed) * 2 < len(some):
        return (widest, *_by_rows(length[some], at_most=widest.rows))
    age = spans.cut_off[timed] - table.time[spans.start[timed]]
    return (widest, *_by_time(table, spans, age[np.isfinite(age)], at_most=widest.rows))


def most_seen(spans: Spans) -> Integers:
    """How many events of each row are in its widest window."""
    rows = _widest(spans).rows
    length = spans.end - spans.start
    return length if rows is None else np.minimum(length, rows)


def _widest(spans: Spans) -> Window:
    length = spans.end - spans.start
    some = length > 0
    if not some.any() or length[some].mean() <= MOST_ROWS:
        return ALL
    n_used = int(spans.end[some].max() - spans.start[some].min())
    if float(length.sum()) <= OVERLAP * n_used:
        return ALL
    return Window(name=f"{MOST_ROWS}rows", rows=MOST_ROWS)


def _by_rows(length: Integers, *, at_most: int | None) -> list[Window]:
    median = float(np.median(length))
    found: dict[int, Window] = {}
    for share in SHARES:
        rows = int(_rounded(share * median))
        if rows >= LEAST_EVENTS and rows < (at_most or np.inf):
            found[rows] = Window(name=f"{rows}rows", rows=rows)
    return [found[rows] for rows in sorted(found, reverse=True)]


def _by_time(
    table: EventTable, spans: Spans, age: Floats, *, at_most: int | None
) -> Sequence[Window]:
    span = float(np.median(age)) if len(age) else 0.0
    if span <= 0.0:
        return []
    found: dict[float, Window] = {}
    for share in SHARES:
        name, length = _nice(share * span, dated=table.dated)
        window = Window(name=name, length=length)
        inside = spans.end - window.start(table, spans)
        events = float(np.median(inside[spans.end > spans.start]))
        if events >= LEAST_EVENTS and events < (at_most or np.inf) and length < span:
            found[length] = window
    return [found[length] for length in sorted(found, reverse=True)]


def _nice(length: float, *, dated: bool) -> tuple[str, float]:
    """The nearest length, by ratio, that people count in, and how it is called.

    >>> _nice(100 * 3600.0, dated=True)
    ('3d', 259200.0)
    >>> _nice(17.0, dated=False)
    ('20units', 20.0)
    """
    if dated:
        return min(_DATED.items(), key=lambda one: abs(np.log(one[1] / length)))
    rounded = _rounded(length)
    # No dot in a name: it divides the parts of a feature's name.
    return f"{rounded:g}units".replace(".", "p"), rounded


def _rounded(number: float) -> float:
    """To 1, 2, 3 or 5 times a power of ten."""
    if number <= 0.0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(number))
    return float(min((1, 2, 3, 5, 10), key=lambda one: abs(np.log(one * power / number))) * power)
