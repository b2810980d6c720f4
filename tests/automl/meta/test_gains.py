"""Gains and orders against tables small enough to work out by hand, and against a plain search."""

from __future__ import annotations

from itertools import permutations
from statistics import fmean, stdev

import pytest

from automl.meta.gains import (
    SHRINKAGE,
    Evidence,
    Expectation,
    expected_gain,
    greedy_order,
    mean_gain,
    pair,
    shrunk_mean,
)

FAMILY = {"a": "one", "b": "one", "c": "two", "d": "three"}.__getitem__


def task(weight: float = 1.0, *, shipped: bool = True, **scores: float) -> Evidence:
    """Both halves alike; ``ab=0.9`` is the mean of a and b."""
    options = {pair(key[0], key[-1]): (score, score) for key, score in scores.items()}
    return Evidence(options=options, weight=weight, shipped=shipped)


def test_the_value_is_the_best_single_or_mean_of_two() -> None:
    one = task(a=0.8, b=0.7, ab=0.9)
    assert one.value(["a"]) == 0.8
    assert one.value(["b", "a"]) == pytest.approx(0.9)
    assert one.value(["c"]) is None
    assert one.gain("b", ["a"]) == pytest.approx(100 * (0.9 / 0.8 - 1))
    assert one.gain("c", ["a"]) is None
    assert one.gain("a", ["c"]) is None


def test_the_best_of_noise_is_no_gain() -> None:
    """b looks better on each half in turn, where it is chosen, and worse where it is judged."""
    noise = Evidence(
        options={("a", "a"): (0.5, 0.5), ("b", "b"): (0.6, 0.4), ("c", "c"): (0.4, 0.6)},
        weight=1,
        shipped=True,
    )
    # Chosen on one half and judged on the other: 0.4. On the same rows: 0.5. The mean: 0.45.
    assert noise.value(["a", "b", "c"]) == pytest.approx(0.45)
    assert noise.gain("c", ["a", "b"]) < 0


def test_own_tasks_move_the_shipped_mean_as_the_formula_says() -> None:
    values = [(task(w), x) for w, x in ((1.0, 2.0), (3.0, 4.0))]
    own = [(task(0.5, shipped=False), 10.0), (task(1.0, shipped=False), 7.0)]
    mean, weight = shrunk_mean(values + own)
    shipped = (1 * 2 + 3 * 4) / 4
    assert mean == pytest.approx((SHRINKAGE * shipped + 5 + 7) / (SHRINKAGE + 1.5))
    assert weight == 5.5
    assert shrunk_mean(values)[0] == shipped
    assert shrunk_mean([]) == (0.0, 0.0)


def test_the_order_takes_each_family_once_and_then_the_largest_gain() -> None:
    tasks = [task(a=0.9, b=0.99, c=0.7, d=0.5, ac=0.95, bc=1.0, cd=0.7, bd=0.99)] * 4
    assert greedy_order(tasks, list("abcd"), family=FAMILY) == ["b", "c", "d", "a"]


def test_what_is_level_stays_in_the_order_given() -> None:
    """On one table of ten the second is much better: within a standard error that is nothing."""
    tasks = [task(a=0.95, b=0.94)] * 9 + [task(a=0.5, b=1.0)]
    assert mean_gain(tasks, "b", ["a"]) > 0
    assert greedy_order(tasks, ["a", "b"], family=FAMILY) == ["a", "b"]
    assert greedy_order(tasks, ["b", "a"], family=FAMILY) == ["b", "a"]
    clear = [task(a=0.9 + i / 1000, b=0.99) for i in range(10)]
    assert greedy_order(clear, ["a", "b"], family=FAMILY) == ["b", "a"]


def test_greedy_is_within_its_bound_of_the_best_order() -> None:
    tasks = [
        task(a=0.9, c=0.2, d=0.3),
        task(a=0.3, c=0.9, d=0.2),
        task(a=0.2, c=0.3, d=0.9),
        task(a=0.8, c=0.8, d=0.1),
    ]

    def worth(order: tuple[str, ...]) -> float:
        return sum(one.value(order[:2]) or 0 for one in tasks)

    greedy = tuple(greedy_order(tasks, ["a", "c", "d"], family=FAMILY))
    best = max(map(worth, permutations("acd")))
    assert worth(greedy) >= (1 - 1 / 2.718281828) * best


def expected(tasks: list[Evidence], config: str, scores: dict[str, float], **how: object) -> float:
    given = {"probability": None, "conditional": False} | how
    found = expected_gain(tasks, config, scores=scores, family=FAMILY, **given)
    assert found is not None
    return found.gain_percent


def test_a_gain_is_the_mean_or_that_of_tasks_alike() -> None:
    alive = [task(a=1.0, b=1.0, c=0.9, ab=1.1, ac=1.0, bc=1.0)] * 10
    dead = [task(a=0.5, b=0.5, c=1.0, ab=0.5, ac=1.0, bc=1.0)] * 10
    both = alive + dead
    assert expected(both, "b", {"a": 0.4, "c": 0.4}) == pytest.approx(5.0)
    told = expected(both, "b", {"a": 0.4, "c": 0.4}, conditional=True)
    assert told == pytest.approx((SHRINKAGE * 5 + 10 * 10) / (SHRINKAGE + 10))
    behind = expected(both, "b", {"a": 0.3, "c": 0.4}, conditional=True)
    assert behind == pytest.approx((SHRINKAGE * 5 + 10 * 0) / (SHRINKAGE + 10))


def test_a_family_not_raced_yet_counts_by_its_probability() -> None:
    alive, dead = [task(a=1.0, c=1.0, ac=1.2)] * 10, [task(a=1.0, c=0.2, ac=0.9)] * 10
    gains = [
        expected(alive + dead, "c", {"a": 0.5}, conditional=True, probability=p)
        for p in (0.0, 0.5, 1.0)
    ]
    assert gains[0] < gains[1] < gains[2]
    assert gains[1] == pytest.approx((gains[0] + gains[2]) / 2)


def test_a_prior_counts_by_its_precision() -> None:
    def told(mean: float, error: float) -> float:
        return Expectation(
            gain_percent=mean, standard_error=error, weight=9.0, alive=None, why=""
        ).after(0.25)

    assert told(1.0, 0.25) == pytest.approx((0.25 + 1.0) / 2)
    assert told(1.7, 1.7) == pytest.approx(0.25, abs=0.04)
    assert told(-0.5, 0.01) == pytest.approx(-0.5, abs=0.01)
    assert told(-0.5, 0.0) == -0.5
    assert told(9.0, float("inf")) == 0.25


def test_the_error_of_a_gain_is_that_of_a_mean_over_tasks() -> None:
    tasks = [task(a=1.0, b=1.0 + i / 100) for i in range(8)]
    found = expected_gain(
        tasks, "b", scores={"a": 0.5}, family=FAMILY, probability=None, conditional=False
    )
    gains = [float(i) for i in range(8)]
    assert found is not None
    assert found.standard_error == pytest.approx(stdev(gains) / 8**0.5)
    assert found.gain_percent == pytest.approx(fmean(gains))


@pytest.mark.parametrize(
    ("config", "scores"), [("a", {"a": 0.5}), ("x", {"a": 0.5}), ("b", {}), ("b", {"x": 0.5})]
)
def test_nothing_is_told_of_what_is_not_known(config: str, scores: dict[str, float]) -> None:
    told = expected_gain(
        [task(a=1.0, b=0.9)],
        config,
        scores=scores,
        family=lambda name: "one",
        probability=None,
        conditional=False,
    )
    assert told is None
