"""The cleanest set of slots for a job that may pause, with what each pause costs."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor, inf

from scheduler.carbon.series import IntensitySeries
from scheduler.window import DIGITS, TICK, Stretch, Window, stretches

# Slots begin and end at full steps of the clock (UTC): the shortest of these that the forecast
# can be cut into with no more than so many cells. A pause of less is not worth stopping for.
STEP_SECONDS = (1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0)
MOST_CELLS = 200
# Each pause is a process that has to come up again; the sixth slot gained nothing that counts.
MOST_SLOTS = 6
# Share of the emissions that each further pause has to save: below it the arithmetic goes on
# about minutes, and what a pause risks (a process that does not come up) is not in it.
LEAST_GAIN = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class _Grid:
    """Time from `earliest` in cells of one length, between a shorter first and last one.

    `costs` has seconds times g/kWh of each cell, infinite where it is not wholly covered.
    """

    covered: list[Stretch]
    step: float
    head: float  # seconds before the first full cell
    costs: list[float]
    end: float

    def area(self, start: float, end: float) -> float:
        """Seconds times g/kWh of [start, end), infinite where it is not covered."""
        if end > self.end + TICK:
            return inf
        index = bisect_right([one.edges[0] for one in self.covered], start + TICK) - 1
        if index < 0 or not self.covered[index].holds(start, end):
            return inf
        return self.covered[index].area(end) - self.covered[index].area(start)


def best_slots(
    series: IntensitySeries,
    *,
    seconds: float,
    earliest: datetime,
    latest_end: datetime,
    pause_seconds: float,
    most_slots: int = MOST_SLOTS,
    least_gain: float = LEAST_GAIN,
) -> tuple[Window, ...]:
    """The slots in [earliest, latest_end) in which `seconds` of work emit least, in order of time.

    Each slot after the first is `pause_seconds` longer, the work of coming back from a pause, at
    the intensity of its own time; each has to save `least_gain` of the emissions. Slots begin and
    end at full steps of half an hour (or more, where the forecast is longer than four days); the
    first may begin at `earliest` and the last ends when the work is done. Of those the answer is
    exact, a dynamic programme over the steps with the state on or off, steps done, and slots so
    far. Empty where too little is covered.
    """
    if not seconds >= TICK:
        raise ValueError(f"slots of {seconds!r} seconds have no mean")
    grid = _grid(series, earliest, latest_end)
    best: tuple[float, int, list[tuple[float, float]]] | None = None
    found = [
        _programme(grid, seconds, pause_seconds, most_slots, head=head)
        for head in ((0.0, grid.head) if grid.head else (0.0,))
    ]
    for n_slots in range(1, most_slots + 1):
        here = [one[n_slots] for one in found if n_slots in one]
        if not here:
            continue
        cost, spans = min(here)
        if best is None or cost < best[0] * (1 - least_gain * (n_slots - best[1])):
            best = cost, n_slots, spans
    spans = [] if best is None else best[2]
    return tuple(_slot(grid, earliest, start, end) for start, end in spans)


def _slot(grid: _Grid, earliest: datetime, start: float, end: float) -> Window:
    return Window(
        grams_per_kwh=round(grid.area(start, end) / (end - start), DIGITS),
        start=earliest + timedelta(seconds=start),
        end=earliest + timedelta(seconds=end),
    )


def _grid(series: IntensitySeries, earliest: datetime, latest_end: datetime) -> _Grid:
    covered = stretches(series, earliest, latest_end)
    end = covered[-1].edges[-1] if covered else 0.0
    step = next((one for one in STEP_SECONDS if end <= MOST_CELLS * one), STEP_SECONDS[-1])
    midnight = earliest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = (earliest - midnight).total_seconds()
    head = -since % step
    n_cells = max(0, floor((end - head) / step + TICK))
    empty = _Grid(covered=covered, step=step, head=head, costs=[], end=end)
    costs = [empty.area(head + i * step, head + (i + 1) * step) for i in range(n_cells)]
    return _Grid(covered=covered, step=step, head=head, costs=costs, end=end)


def _programme(
    grid: _Grid, seconds: float, pause_seconds: float, most_slots: int, *, head: float
) -> dict[int, tuple[float, list[tuple[float, float]]]]:
    """(seconds times g/kWh, slots) of the best set of each number of slots that is possible.

    With `head` it runs from the beginning up to the first full cell.
    """
    step, n_cells = grid.step, len(grid.costs)
    # By number of slots: whole steps that it takes, and what is left for the end of the last.
    needs = {}
    for n_slots in range(1, most_slots + 1):
        needed = seconds + (n_slots - 1) * pause_seconds - head
        whole = floor(needed / step + TICK)
        if needed > TICK and whole <= n_cells:
            needs[n_slots] = (whole, max(needed - whole * step, 0.0))
    if not needs:
        return {}
    most = max(whole for whole, _ in needs.values())
    nothing = [inf] * (most + 1)
    on = [list(nothing) for _ in range(most_slots + 1)]
    off = [list(nothing) for _ in range(most_slots + 1)]
    start_cost = grid.area(0.0, head) if head else 0.0
    if head:
        on[1][0] = start_cost
    else:
        off[0][0] = 0.0
    layers = [(on, off)]
    for cost in grid.costs:
        on_next, off_next = [nothing], [off[0]]
        for k in range(1, most_slots + 1):
            going, begun = on[k], off[k - 1]
            on_next.append(
                nothing
                if cost == inf
                else [
                    inf,
                    *(cost + (a if a < b else b) for a, b in zip(going, begun, strict=True)),
                ][: most + 1]
            )
            off_next.append([a if a < b else b for a, b in zip(off[k], going, strict=True)])
        on, off = on_next, off_next
        layers.append((on, off))
    sets = {}
    for n_slots, (whole, rest) in needs.items():
        best: tuple[float, int, int, bool] = (
            inf,
            0,
            0,
            False,
        )  # cost, cells passed, slots, goes on
        for i, (on, off) in enumerate(layers):
            last = 0.0
            if rest > TICK:
                at = grid.head + i * step
                last = grid.area(at, at + rest)
                best = min(best, (off[n_slots - 1][whole] + last, i, n_slots, False))
            best = min(best, (on[n_slots][whole] + last, i, n_slots, True))
        if best[0] < inf:
            cells = _cells(layers, best, whole)
            sets[n_slots] = best[0], _spans(grid, cells, best, rest=rest, head=head)
    return sets


def _cells(
    layers: list[tuple[list[list[float]], list[list[float]]]],
    best: tuple[float, int, int, bool],
    whole: int,
) -> list[int]:
    """The full cells that the best set runs in, found by walking back through the layers."""
    _, i, k, is_on = best
    m, cells = whole, []
    if not is_on:
        k -= 1
    while i > 0:
        on, off = layers[i - 1]
        if is_on:
            cells.append(i - 1)
            m -= 1
            is_on = on[k][m] <= off[k - 1][m]
            k = k if is_on else k - 1
        else:
            is_on = on[k][m] < off[k][m]
        i -= 1
    return cells[::-1]


def _spans(
    grid: _Grid,
    cells: list[int],
    best: tuple[float, int, int, bool],
    *,
    rest: float,
    head: float,
) -> list[tuple[float, float]]:
    """Start and end of each slot from its cells, the first and the last piece."""
    pieces = [(0.0, head)] if head else []
    pieces += [(grid.head + i * grid.step, grid.head + (i + 1) * grid.step) for i in cells]
    if rest > TICK:
        at = grid.head + best[1] * grid.step
        pieces.append((at, at + rest))
    spans: list[tuple[float, float]] = []
    for start, end in pieces:
        if spans and abs(spans[-1][1] - start) <= TICK:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
