"""Quality against cost: the front, and three picks on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

PICKS = ("recommended", "most_accurate", "most_frugal")
# A gap of half a percent of the best score is below what any validation set here can tell apart
# (docs/method.md, Validation: 5-20 % between folds).
TOLERANCE = 0.005


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
    price: float,
    standard_error: Callable[[int, int], float],
    tolerance: float = TOLERANCE,
) -> Mapping[str, int]:
    """Three numbers of a front that is sorted cheapest first and not empty.

    `most_accurate` has the highest score, `most_frugal` the lowest cost. `recommended` has the
    highest score once its cost is paid at the `price`, percent of the best score per joule: the
    price at which the search itself went on or stopped. A price of zero recommends the best.

    However much a model is to be used, none is recommended that is told apart from the best as a
    worse one: its gap must be within `tolerance` of the best score, or within a standard error of
    the paired difference, `standard_error(number, best_number)`.

    >>> near = [Point(number=0, score=0.399, joules=1.0, name="a"),
    ...         Point(number=1, score=0.400, joules=9.0, name="b")]
    >>> [picks(near, price=price, standard_error=lambda one, other: 0.0)["recommended"]
    ...  for price in (0.01, 0.1)]
    [1, 0]
    """
    best = front[-1]

    def good_enough(point: Point) -> bool:
        gap = best.score - point.score
        if gap <= tolerance * abs(best.score):
            return True
        return gap <= standard_error(point.number, best.number)

    def utility(point: Point) -> float:
        return 100 * point.score / max(abs(best.score), 1e-12) - price * point.joules

    recommended = max(filter(good_enough, front), key=utility)  # of equals the cheapest
    return {
        "recommended": recommended.number,
        "most_accurate": best.number,
        "most_frugal": front[0].number,
    }
