"""Quality against cost: the front, and three picks on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

PICKS = ("recommended", "most_accurate", "most_frugal")
# Half a percent of the best score is below what any validation set here can tell apart
# (docs/method.md, Validation: 5-20 % between folds), so it is not worth a joule.
TOLERANCE = 0.005
# ... and a cheaper one is also taken when it is this close to the best in standard errors of
# their paired difference. Half an error would give up the mean gain of 3 % of an ensemble that
# the evidence shows, since one validation set can hardly ever prove it.
CLOSE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One trial on the plane of quality against cost."""

    number: int
    score: float
    joules: float  # expected, never measured: a choice must follow from data and seed alone
    name: str  # candidate id: the last word between equals


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is at least as good on both sides, and better on one.

    >>> a = Point(number=0, score=0.5, joules=1.0, name="a")
    >>> dominates(a, Point(number=1, score=0.5, joules=2.0, name="b"))
    True
    """
    if one.score < other.score or one.joules > other.joules:
        return False
    return one.score > other.score or one.joules < other.joules


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that none dominates, cheapest first; of equal points the first by name."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.joules, -p.score, p.name, p.number)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front


def picks(
    front: Sequence[Point],
    *,
    standard_error: Callable[[int, int], float],
    tolerance: float = TOLERANCE,
    close: float = CLOSE,
) -> Mapping[str, int]:
    """Three numbers of a front that is sorted cheapest first and not empty.

    `most_accurate` has the highest score, `most_frugal` the lowest cost, and `recommended` is the
    cheapest whose gap to the highest score is within `tolerance` of that score, or within `close`
    standard errors of the paired difference, `standard_error(number, best_number)`.
    """
    best = front[-1]

    def good_enough(point: Point) -> bool:
        gap = best.score - point.score
        if gap <= tolerance * abs(best.score):
            return True
        return gap <= close * standard_error(point.number, best.number)

    recommended = next(point for point in front if good_enough(point))
    return {
        "recommended": recommended.number,
        "most_accurate": best.number,
        "most_frugal": front[0].number,
    }
