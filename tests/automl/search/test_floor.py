"""The least that a search takes, told from counts alone."""

from __future__ import annotations

from math import inf

import pytest

from automl.cost import Budget, Speed
from automl.errors import BudgetExhausted, DataError
from automl.meters.cpu_time import CpuTimeMeter
from automl.models.expected import CostModel
from automl.search.floor import check_limits, least_seconds
from automl.search.run import search
from automl.search.speed import probed
from tests.automl.search.problems import rare

COSTS = CostModel.shipped()
SPEED = Speed(seconds=2.0, watts=5.0, wall=3.0)


def least(n_rows: int = 1500, n_positive: int = 120, n_columns: int = 6) -> float:
    return least_seconds(
        n_rows=n_rows, n_positive=n_positive, n_columns=n_columns, mode="eco", costs=COSTS
    )


def test_it_grows_with_the_table() -> None:
    assert 0 < least() < least(n_columns=60)
    assert least() < least(n_rows=1_000_000, n_positive=50_000, n_columns=6)
    assert least(n_rows=8, n_positive=2) > 0


@pytest.mark.parametrize(
    ("name", "factor"),
    [("cpu_seconds", 2.0), ("wall_seconds", 2.0), ("joules", 10.0), ("gco2e", 10 / 3.6e6 * 50)],
)
def test_each_unit_has_its_floor(name: str, factor: float) -> None:
    def check(limit: float | None) -> None:
        check_limits({name: limit, "trials": 1}, 0.3, speed=SPEED, grams_per_kwh=50, costs=COSTS)

    check(None)
    check(0.3 * factor * 1.001)
    with pytest.raises(DataError, match=name) as refused:
        check(0.3 * factor * 0.99)
    assert refused.value.code == "limit_too_small"
    assert refused.value.details["field"] == f"limits.{name}"
    assert refused.value.details["least"] == pytest.approx(0.3 * factor, rel=0.01)
    safe = refused.value.details["safe"]
    assert isinstance(safe, float)
    assert safe > 0.3 * factor
    check(safe)


def test_below_it_a_search_finds_nothing_and_at_the_safe_limit_it_does() -> None:
    dataset = rare()
    meter = CpuTimeMeter()
    floor = least(dataset.n_rows, dataset.n_positive, dataset.X.shape[1])
    takes = probed(meter, COSTS).cost(floor).cpu_seconds
    with pytest.raises(BudgetExhausted):
        search(dataset, meter=meter, mode="eco", budget=Budget(cpu_seconds=takes / 10))
    safe = COSTS.error["*"][-1] * takes
    found = search(dataset, meter=meter, mode="eco", budget=Budget(cpu_seconds=safe))
    assert found.champion.scores["average_precision"] > 0
    assert found.cost.cpu_seconds < inf
