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


@given(points, st.sampled_from([0.0, 0.5, 5.0, 20.0]))
def test_picks_are_the_ends_and_what_is_worth_its_price(found: list[Point], price: float) -> None:
    front = pareto_front(found)
    chosen = picks(front, price=price, standard_error=lambda one, other: 10.0)
    by_number = {p.number: p for p in front}
    best = max(p.score for p in found)
    assert by_number[chosen["most_accurate"]].score == best
    assert by_number[chosen["most_frugal"]].joules == min(p.joules for p in front)
    recommended = by_number[chosen["recommended"]]
    for other in front:
        gained = 100 * (other.score - recommended.score) / (best or 1e-12)
        assert gained <= price * (other.joules - recommended.joules) + 1e-9


def test_the_same_gain_is_bought_at_a_low_price_and_not_at_a_high_one() -> None:
    front = [
        Point(number=1, score=0.39, joules=2.0, name="b"),
        Point(number=2, score=0.40, joules=9.0, name="c"),
    ]
    # 2.5 % of the score for 7 J: 0.357 % a joule.
    for price, wanted in ((0.0, 2), (0.35, 2), (0.37, 1)):
        assert picks(front, price=price, standard_error=lambda a, b: 1.0)["recommended"] == wanted


def test_nothing_surely_worse_than_the_best_is_recommended_at_any_price() -> None:
    front = [
        Point(number=0, score=0.30, joules=1.0, name="a"),
        Point(number=1, score=0.39, joules=2.0, name="b"),
        Point(number=2, score=0.40, joules=9.0, name="c"),
    ]
    assert picks(front, price=50.0, standard_error=no_error)["recommended"] == 2
    assert picks(front, price=50.0, standard_error=lambda one, other: 0.02)["recommended"] == 1
