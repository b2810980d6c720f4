"""Weights of members: the greedy rule by brute force, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest

from automl.search.ensemble import (
    MOST_ADMITTED,
    admitted,
    equal_weights,
    greedy_weights,
    mean_logit,
)
from automl.search.metrics import average_precision


def members(n_rows: int = 400, seed: int = 0) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n_rows) < 0.1).astype(int)
    return y, {
        3: y + rng.normal(size=n_rows),
        1: 0.8 * y + rng.normal(size=n_rows),
        7: rng.normal(size=n_rows),
    }


def test_each_addition_is_the_best_of_all_single_additions() -> None:
    y, logits = members()

    def score(logit: np.ndarray) -> float:
        return average_precision(y, logit)

    shares = dict.fromkeys(logits, 1)
    for n_additions in range(1, 7):
        scores = {
            n: score(sum((shares[m] + (m == n)) * logits[m] for m in sorted(logits)))
            for n in sorted(logits)
        }
        shares[max(scores, key=lambda n: (scores[n], -n))] += 1
        found = greedy_weights(logits, score=score, n_additions=n_additions)
        assert found == pytest.approx({n: s / (3 + n_additions) for n, s in shares.items()})


def test_weights_sum_to_one_and_keep_every_member() -> None:
    y, logits = members()
    weights = greedy_weights(logits, score=lambda logit: average_precision(y, logit))
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) >= 1 / 9
    assert weights[7] == min(weights.values())  # noise gets no addition


def test_the_order_of_members_does_not_matter() -> None:
    y, logits = members()

    def score(logit: np.ndarray) -> float:
        return average_precision(y, logit)

    other = {n: logits[n] for n in (7, 3, 1)}
    assert greedy_weights(logits, score=score) == greedy_weights(other, score=score)


def test_one_member_has_it_all() -> None:
    assert greedy_weights({4: np.zeros(3)}, score=lambda logit: 0.0) == {4: 1.0}


def test_the_mean_is_in_logit_space() -> None:
    logits = {1: np.array([0.0, 2.0]), 2: np.array([4.0, -2.0])}
    assert mean_logit(logits, {1: 0.25, 2: 0.75}).tolist() == [3.0, -1.0]
    assert equal_weights([2, 1]) == {1: 0.5, 2: 0.5}


def among(n_rows: int, others: dict[int, np.ndarray], first: np.ndarray, y: np.ndarray) -> dict:
    """Weights of a mixture of one, after others asked to join it."""

    def error(one: np.ndarray, other: np.ndarray) -> float:
        gap = [
            average_precision(y[rows], one[rows]) - average_precision(y[rows], other[rows])
            for rows in np.random.default_rng(0).integers(0, n_rows, (100, n_rows))
        ]
        return float(np.std(gap))

    return admitted(
        {0: 1.0},
        {0: first, **others},
        score=lambda logit: average_precision(y, logit),
        error=error,
    )


def test_the_luckiest_of_many_that_say_nothing_new_is_not_let_in() -> None:
    let_in = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        n_rows = 600
        y = (rng.random(n_rows) < 0.1).astype(int)
        first = 2.0 * y + rng.normal(size=n_rows)
        # As good as the first, and wrong on the same rows but for some noise of their own.
        others = {n: first + 0.5 * rng.normal(size=n_rows) for n in range(1, 31)}
        let_in += len(among(n_rows, others, first, y)) > 1
    assert let_in <= 1


def test_what_truly_adds_is_let_in_by_equal_shares_and_few_of_it() -> None:
    rng = np.random.default_rng(0)
    n_rows = 3000
    y = (rng.random(n_rows) < 0.1).astype(int)
    first = 1.5 * y + rng.normal(size=n_rows)
    others = {n: 1.5 * y + rng.normal(size=n_rows) for n in range(1, 9)}
    weights = among(n_rows, others, first, y)
    assert len(weights) == 1 + MOST_ADMITTED
    assert list(weights.values()) == pytest.approx([1 / len(weights)] * len(weights))
    assert among(n_rows, {}, first, y) == {0: 1.0}
