"""What searches are expected to take: against those that were measured, limits, and shapes."""

from __future__ import annotations

import json
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from automl.cost import Speed
from automl.models.expected import CostModel
from automl.search.expectation import Expectation
from automl.search.outlook import (
    BEGINS_SECONDS,
    MOST_WAITING,
    P95,
    START_SECONDS,
    WEIGHTS,
    expected_search,
    ranking_seconds,
    work,
)

COSTS = CostModel.shipped()
HERE = Speed(watts=4.0)
TABLE: dict[str, Any] = {"n_rows": 20_000, "n_positive": 400, "n_columns": 20, "mode": "balanced"}
RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "search.jsonl"
# Columns of the sets that were measured, which their rows do not tell.
COLUMNS = {
    "german_credit": 20,
    "hypothyroid": 29,
    "stroke": 10,
    "hmeq": 12,
    "ai4i_2020": 13,
    "mammography": 6,
    "uci_default_credit": 24,
    "bank_marketing": 20,
    "adb_shuttle": 9,
    "customs_fraud": 22,
    "give_me_some_credit": 11,
    "adb_cover": 10,
    "credit_next_month": 29,
}


def expected(**changes) -> Expectation:
    return expected_search(**{**TABLE, "costs": COSTS, "speed": HERE, **changes})


@pytest.mark.parametrize(("system", "mode"), [("frugal", "balanced"), ("frugal-eco", "eco")])
def test_searches_took_what_is_expected_of_them(system, mode):
    last = {}
    for line in RESULTS.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["system"] == system and row["set"] in COLUMNS:
            last[row["set"], row["seed"]] = row
    ratios = []
    for (name, _), row in last.items():
        parts = work(
            n_rows=row["n_train"],
            n_positive=row["n_train_positive"],
            n_columns=COLUMNS[name],
            mode=mode,
            costs=COSTS,
        )
        ratios.append(log(row["cpu_seconds"] / (WEIGHTS[mode] * sum(parts))))
    assert len(last) >= len(COLUMNS)
    assert 0.7 < exp(median(ratios)) < 1.4
    assert sum(ratio <= log(P95) for ratio in ratios) >= 0.93 * len(ratios)
    assert sum(ratio >= log(0.4) for ratio in ratios) >= 0.85 * len(ratios)


@pytest.mark.parametrize(("field", "more"), [("n_rows", 40_000), ("n_columns", 40)])
def test_larger_tables_take_longer(field, more):
    assert expected(**{field: more}).cpu_seconds > expected().cpu_seconds


def test_modes_are_in_order():
    modes = [expected(mode=mode).cpu_seconds for mode in ("eco", "balanced", "best")]
    assert modes == sorted(modes)
    assert len(set(modes)) == 3


def test_a_slow_or_busy_machine_takes_longer():
    slow = expected(speed=Speed(watts=4.0, seconds=2.0))
    assert slow.cpu_seconds == pytest.approx(2 * expected().cpu_seconds)
    assert slow.joules == pytest.approx(2 * expected().joules)
    busy = expected(speed=Speed(watts=4.0, wall=2.0))
    assert busy.cpu_seconds == expected().cpu_seconds
    alone = expected().seconds - BEGINS_SECONDS
    assert busy.seconds == pytest.approx(BEGINS_SECONDS + 2 * alone)
    interrupted = expected(speed=Speed(watts=4.0, wall=20.0))
    assert interrupted.seconds == pytest.approx(BEGINS_SECONDS + MOST_WAITING * alone)


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"cpu_seconds": 3.0}, 3.0),
        ({"wall_seconds": 3.0}, 3.0),
        ({"joules": 8.0}, 2.0),
        ({"gco2e": 1e-3}, 1e-3 / 300 * 3.6e6 / 4.0),
        ({"cpu_seconds": 3.0, "joules": 8.0, "gco2e": None, "trials": None}, 2.0),
    ],
)
def test_limits_are_never_expected_to_be_passed(limits, most):
    start = START_SECONDS + 3.5e-7 * TABLE["n_rows"] * TABLE["n_columns"]
    found = expected(limits=limits, grams_per_kwh=300.0)
    assert found.cpu_seconds == pytest.approx(start + most)
    assert found.p95_cpu_seconds == pytest.approx(start + most)


def test_fewer_trials_take_less():
    counts = [expected(limits={"trials": n}).cpu_seconds for n in (1, 3, 100)]
    assert counts[0] < counts[1] < counts[2] == expected().cpu_seconds


def test_one_in_twenty_takes_more_than_the_95th_percentile():
    found = expected()
    start = found.cpu_seconds - (found.p95_cpu_seconds - found.cpu_seconds) / (P95 - 1)
    assert start == pytest.approx(START_SECONDS + 3.5e-7 * 400_000)
    assert 0 < found.pause_seconds < found.seconds < found.p95_seconds


@pytest.mark.parametrize("n_positive", [1, 5, 19_999, 20_000])
@pytest.mark.parametrize("n_rows", [20, 20_000, 3_000_000])
def test_odd_tables_have_an_expectation(n_rows, n_positive):
    assert expected(n_rows=n_rows, n_positive=n_positive).cpu_seconds > 0


@pytest.mark.parametrize("shape", [(20, 3), (5000, 40), (1_000_000, 12), (50_000, 5000)])
def test_without_labels_it_is_what_the_ranking_says(shape):
    from automl.search.anomaly import expected_seconds

    n_rows, n_columns = shape
    told = ranking_seconds(n_rows=n_rows, n_columns=n_columns)
    assert told == pytest.approx(expected_seconds(n_rows=n_rows, n_columns=n_columns))
    found = expected(n_rows=n_rows, n_columns=n_columns, n_positive=0)
    assert found.cpu_seconds > told
