import numpy as np
import pytest

from automl.search.metrics import alert_threshold
from benchmarks.verdict import alert_error, judgements, overview, per_set, tables

SETS = [f"set{i}" for i in range(12)]


def results(**systems):
    """Rows on all sets and two splits: system -> (ap, cpu_seconds, further fields)."""
    rows = {}
    for system, (ap, cpu, more) in systems.items():
        for name in SETS:
            for seed in (0, 1):
                rows[name, seed, system.replace("_", "-")] = {
                    "ap": ap, "cpu_seconds": cpu, "n_rows": 5000, "n_positive": 600, "n_test": 9000,
                    "extrapolated": False, "ece": 0.01, "alert_share": 0.01, **more,
                }  # fmt: skip
    return rows


def verdict(rows, start):
    found = [one for one in judgements(rows, SETS) if one.asks.startswith(start)]
    assert len(found) == 1, found
    return found[0].holds


def test_floors_hold_and_fail_by_their_figures():
    rows = results(frugal=(0.53, 2.0, {}), brute=(0.5, 60.0, {}), brute_bag=(0.53, 60.0, {}))
    assert verdict(rows, "balanced / brute: AP") is True
    assert verdict(rows, "balanced / brute: CPU") is True
    assert verdict(rows, "balanced / brute-bag") is False
    assert verdict(rows, "balanced / brute-wide") is None
    slow = results(frugal=(0.53, 3.0, {}), brute=(0.5, 60.0, {}))
    assert verdict(slow, "balanced / brute: CPU") is False
    worse = results(frugal=(0.5, 2.0, {}), brute=(0.5, 60.0, {}))
    assert verdict(worse, "balanced / brute: AP") is False


def test_a_mean_above_with_an_interval_below_one_is_missed():
    rows = results(frugal=(0.5, 2.0, {}), brute=(0.5, 60.0, {}))
    for seed in (0, 1):  # one set alone lifts the mean to 1.02
        rows["set0", seed, "frugal"] = {**rows["set0", seed, "frugal"], "ap": 0.65}
        rows["set1", seed, "frugal"] = {**rows["set1", seed, "frugal"], "ap": 0.49}
    assert verdict(rows, "balanced / brute: AP") is False


def test_calibration_is_judged_by_the_worst_set_with_enough_positives():
    rows = results(frugal=(0.5, 2.0, {}))
    assert verdict(rows, "ECE") is True
    for seed in (0, 1):
        rows["set3", seed, "frugal"] = {**rows["set3", seed, "frugal"], "ece": 0.05}
    assert verdict(rows, "ECE") is False
    for seed in (0, 1):
        rows["set3", seed, "frugal"] = {**rows["set3", seed, "frugal"], "n_positive": 400}
    assert verdict(rows, "ECE") is True


def shifted(share, *, seeds=(0, 1), **more):
    rows = results(frugal=(0.5, 2.0, {"details": {"limit_rows": 9000}}))
    for seed in seeds:
        rows["set3", seed, "frugal"] = {
            **rows["set3", seed, "frugal"],
            "alert_share": share,
            **more,
        }
    return rows


WITHIN, CHANCE = "alerts at 1%", "the same, off by more than counting"


def test_alerts_are_judged_set_by_set_over_the_mean_of_splits():
    rows = shifted(0.013, seeds=(0,))  # 1.15 % over both splits
    assert verdict(rows, WITHIN) is verdict(rows, CHANCE) is True
    rows = shifted(0.013)
    assert verdict(rows, WITHIN) is verdict(rows, CHANCE) is False


def test_chance_excuses_no_set_from_the_tolerance():
    rows = shifted(0.013, n_test=460)  # 12 alerts where 9 were asked for
    assert verdict(rows, WITHIN) is False
    assert verdict(rows, CHANCE) is True
    rows = shifted(0.0115, n_test=100_000, details={"limit_rows": 100_000})
    assert verdict(rows, WITHIN) is True
    assert verdict(rows, CHANCE) is False


def test_chance_is_counted_on_the_rows_that_told_the_limit_too():
    rows = shifted(0.013, details={"limit_rows": 400})
    assert verdict(rows, CHANCE) is True
    rows = shifted(0.013, details={})  # two folds of 21,000 rows
    assert verdict(rows, CHANCE) is False


def test_the_error_of_the_mean_is_that_of_simulated_splits():
    rng, n_rows, n_splits = np.random.default_rng(0), 4000, 3
    means = []
    for _ in range(400):
        score = rng.normal(size=n_rows)
        shares = []
        for _ in range(n_splits):
            drawn = rng.permutation(n_rows)
            limit = alert_threshold(score[drawn[:1600]], alert_rate=0.01)
            shares.append(np.mean(score[drawn[1600:2800]] >= limit))
        means.append(np.mean(shares))
    row = {"n_test": 1200, "n_positive": 300, "details": {"limit_rows": 1600}}
    rows = {("set0", seed, "frugal"): row for seed in range(n_splits)}
    assert alert_error(rows, "set0") == pytest.approx(np.std(means), rel=0.12)


def test_windows_of_one_span_are_not_counted_as_independent():
    row = {"n_test": 1200, "n_positive": 300, "details": {"limit_rows": 1600}}
    errors = {
        name: alert_error({(name, seed, "frugal"): row for seed in range(4)}, name)
        for name in ("ozone_eighthr", "hypothyroid")
    }
    assert errors["ozone_eighthr"] == pytest.approx(2 * errors["hypothyroid"])


def test_a_peer_must_be_matched_at_a_tenth_of_its_computing():
    rows = results(frugal=(0.5, 2.0, {}), autogluon_60=(0.49, 30.0, {}))
    assert verdict(rows, "balanced / autogluon-60") is True
    dear = results(frugal=(0.5, 4.0, {}), autogluon_60=(0.49, 30.0, {}))
    assert verdict(dear, "balanced / autogluon-60") is False


def test_a_peer_that_is_ahead_is_named():
    rows = results(frugal=(0.5, 2.0, {}), autogluon_60=(0.6, 30.0, {}), mljar_60=(0.4, 30.0, {}))
    text = tables(rows, SETS)
    ahead = text[text.index("ahead of `frugal`") :]
    assert "autogluon-60" in ahead
    assert "15.0x" in ahead
    assert "mljar" not in ahead


def test_extrapolated_figures_are_marked():
    rows = results(brute=(0.5, 600.0, {"extrapolated": True}), frugal=(0.5, 6.0, {}))
    text = per_set(rows, SETS)
    assert "0.500 (600.0*)" in text
    assert "0.500 (6.0)" in text


def test_a_rival_with_a_part_of_its_budget_is_not_judged_against():
    rows = results(frugal=(0.48, 2.0, {}), brute=(0.5, 60.0, {}), brute_wide=(0.5, 60.0, {}))
    for seed in (0, 1):
        rows["set0", seed, "frugal"] = {**rows["set0", seed, "frugal"], "ap": 0.9}
    assert verdict(rows, "balanced / brute-wide") is True
    for seed in (0, 1):
        rows["set0", seed, "brute"] = {**rows["set0", seed, "brute"], "extrapolated": True}
    assert verdict(rows, "balanced / brute-wide") is False


def test_failed_runs_are_in_no_table():
    rows = results(brute=(0.5, 60.0, {}))
    rows["set0", 0, "frugal"] = {"error": "exit 1"}
    assert "frugal`" not in overview({k: r for k, r in rows.items() if "error" not in r}, SETS)
    assert "| `frugal`" not in tables(rows, SETS)


def test_fits_outside_the_bill_fail_the_command():
    billed = {"phases": {"features": 0.1, "search": 1.5, "refit": 0.35}}
    assert verdict(results(frugal=(0.5, 2.0, {"details": billed})), "the search's bill") is True
    assert verdict(results(frugal=(0.5, 2.2, {"details": billed})), "the search's bill") is False
    assert verdict(results(frugal=(0.5, 2.2, {})), "the search's bill") is None
