import numpy as np
import pytest

from benchmarks.ratios import cpu_ratio, geometric, pairs, saturated, score_ratio


def results(*cells):
    """Rows of (set, seed, system, ap, cpu_seconds)."""
    return {
        (name, seed, system): {"ap": ap, "cpu_seconds": cpu, "n_rows": 100, "system": system}
        for name, seed, system, ap, cpu in cells
    }


def test_a_geometric_mean_of_a_ratio_and_its_inverse_is_one():
    assert geometric([4.0, 0.25]).mean == pytest.approx(1.0)
    assert geometric([2.0, 8.0]).mean == pytest.approx(4.0)


def test_the_interval_is_that_of_the_mean_over_sets():
    logs = np.random.default_rng(0).normal(0.1, 0.2, size=40)
    found = geometric(np.exp(logs))
    error = logs.std() / np.sqrt(len(logs))
    assert np.log(found.low) == pytest.approx(logs.mean() - 1.96 * error, abs=0.01)
    assert np.log(found.high) == pytest.approx(logs.mean() + 1.96 * error, abs=0.01)


def test_equal_ratios_have_no_width():
    found = geometric([1.1] * 5)
    assert found.low == pytest.approx(1.1)
    assert found.high == pytest.approx(1.1)


def test_a_set_counts_once_by_the_mean_of_the_splits_of_both():
    rows = results(
        ("a", 0, "one", 0.2, 1), ("a", 0, "two", 0.1, 10),
        ("a", 1, "one", 0.4, 3), ("a", 1, "two", 0.5, 30),
        ("a", 2, "one", 0.9, 9),  # the other was not run on this split
        ("b", 0, "one", 0.5, 1), ("b", 0, "two", 0.5, 100),
    )  # fmt: skip
    found = pairs(rows, "one", "two", ["a", "b"])
    assert [p.n_splits for p in found] == [2, 1]
    assert found[0].score == pytest.approx((0.3, 0.3))
    assert score_ratio(found).mean == pytest.approx(1.0)
    assert cpu_ratio(found) == pytest.approx((2 + 1) / (20 + 100))


def test_sets_that_are_not_asked_for_are_left_out():
    rows = results(("a", 0, "one", 0.2, 1), ("a", 0, "two", 0.1, 10))
    assert pairs(rows, "one", "two", ["b"]) == []


def test_a_set_is_saturated_by_its_best_systems_mean():
    rows = results(
        ("a", 0, "one", 0.99, 1), ("a", 1, "one", 0.96, 1), ("a", 0, "two", 0.5, 1),
        ("b", 0, "one", 0.5, 1), ("b", 0, "two", 0.985, 1),
    )  # fmt: skip
    assert saturated(rows) == {"b"}
