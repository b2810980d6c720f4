"""The front against its definition: what no other point dominates."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from automl.search.pareto import Point, dominates, pareto_front, picks

# Few values, so that equal scores and equal costs are common.
points = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=25).map(
    lambda pairs: [
        Point(number=i, score=score / 5, joules=float(joules), name=f"c{i:02d}")
        for i, (score, joules) in enumerate(pairs)
    ]
)


def no_error(one: int, other: int) -> float:
    return 0.0


@given(points)
def test_the_front_is_what_nothing_dominates(found: list[Point]) -> None:
    undominated = {
        (p.score, p.joules) for p in found if not any(dominates(other, p) for other in found)
    }
    front = pareto_front(found)
    assert {(p.score, p.joules) for p in front} == undominated
    assert len(front) == len(undominated)  # one of each set of equals


@given(points, st.randoms())
def test_the_front_does_not_depend_on_the_order(found: list[Point], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pareto_front(shuffled) == pareto_front(found)


@given(points)
def test_the_front_gets_better_as_it_gets_dearer(found: list[Point]) -> None:
    front = pareto_front(found)
    for one, other in pairwise(front):
        assert one.joules < other.joules
        assert one.score < other.score


@given(points)
def test_picks_are_the_ends_and_one_between(found: list[Point]) -> None:
    front = pareto_front(found)
    chosen = picks(front, standard_error=no_error)
    by_number = {p.number: p for p in front}
    assert by_number[chosen["most_accurate"]].score == max(p.score for p in found)
    assert by_number[chosen["most_frugal"]].joules == min(p.joules for p in front)
    recommended = by_number[chosen["recommended"]]
    best = by_number[chosen["most_accurate"]]
    near = [p for p in front if best.score - p.score <= 0.005 * best.score]
    assert recommended == min(near, key=lambda p: p.joules)


def test_a_cheaper_one_within_the_uncertainty_is_recommended() -> None:
    front = [
        Point(number=0, score=0.30, joules=1.0, name="a"),
        Point(number=1, score=0.39, joules=2.0, name="b"),
        Point(number=2, score=0.40, joules=9.0, name="c"),
    ]
    assert picks(front, standard_error=no_error)["recommended"] == 2
    assert picks(front, standard_error=lambda one, other: 0.05)["recommended"] == 1
