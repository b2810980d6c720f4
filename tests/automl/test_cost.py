"""Costs add up, and a budget refuses in numbers."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.cost import ZERO, Budget, Cost, grams_co2e

amounts = st.floats(0, 1e6)


def cost(cpu_seconds: float, joules: float, *, wall_seconds: float = 0.0) -> Cost:
    return Cost(cpu_seconds=cpu_seconds, joules=joules, wall_seconds=wall_seconds, meter="cpu_time")


@given(joules=amounts, grams_per_kwh=st.floats(0, 2000))
def test_grams_are_kwh_times_intensity(joules: float, grams_per_kwh: float) -> None:
    kwh = joules / 1000 / 3600
    got = grams_co2e(joules, grams_per_kwh=grams_per_kwh)
    assert got == pytest.approx(kwh * grams_per_kwh)
    assert cost(1, joules).grams(grams_per_kwh) == got


@given(first=amounts, second=amounts)
def test_costs_add_up_and_zero_is_neutral(first: float, second: float) -> None:
    total = cost(first, second, wall_seconds=1.0) + cost(second, first, wall_seconds=2.0)
    assert total.cpu_seconds == first + second
    assert total.joules == second + first
    assert total.wall_seconds == 3.0
    assert (ZERO + cost(first, second)).joules == second
    assert (cost(first, 1.0) + ZERO).meter == (ZERO + cost(first, 1.0)).meter == "cpu_time"


def test_costs_of_two_meters_are_said_to_be_mixed() -> None:
    other = Cost(cpu_seconds=1, joules=1, meter="rapl")
    assert (cost(1, 1) + other).meter == "mixed"
    assert (cost(0, 0) + other).meter == "rapl"


@pytest.mark.parametrize(
    ("budget", "named"),
    [
        (Budget(cpu_seconds=10), "cpu_seconds"),
        (Budget(joules=40), "joules"),
        (Budget(wall_seconds=20), "wall_seconds"),
        (Budget(gco2e=grams_co2e(40, grams_per_kwh=56), grams_per_kwh=56), "gco2e"),
    ],
)
def test_a_limit_holds_to_the_edge(budget: Budget, named: str) -> None:
    spent = cost(8, 32, wall_seconds=16)
    fits, over = cost(2, 8, wall_seconds=4), cost(2.01, 8.04, wall_seconds=4.02)
    assert budget.refusal(spent, n_trials=3, expected=fits) is None
    refusal = budget.refusal(spent, n_trials=3, expected=over)
    assert refusal is not None
    assert refusal.name == named
    assert refusal.used + refusal.expected > refusal.limit
    assert str(refusal).startswith(f"{named}: ")
    assert "allowed" in str(refusal)


def test_trials_are_counted() -> None:
    budget = Budget(trials=4)
    assert budget.refusal(ZERO, n_trials=3, expected=ZERO) is None
    assert budget.refusal(ZERO, n_trials=4, expected=ZERO) is not None


def test_no_limit_refuses_nothing() -> None:
    assert Budget().refusal(cost(1e9, 1e9), n_trials=10**6, expected=cost(1e9, 1e9)) is None


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_is_above_zero(limit: float) -> None:
    for name in ("gco2e", "joules", "cpu_seconds", "wall_seconds", "trials"):
        with pytest.raises(ValueError, match=f"{name} is"):
            Budget(**{name: limit}, grams_per_kwh=50.0)


def test_grams_need_an_intensity_of_the_grid() -> None:
    with pytest.raises(ValueError, match="grams_per_kwh"):
        Budget(gco2e=1.0)
    with pytest.raises(ValueError, match="grams_per_kwh"):
        Budget(least_gain_per_gram=1.0)
    assert Budget(gco2e=inf).grams_per_kwh is None


def test_a_price_is_no_limit() -> None:
    priced = Budget(least_gain_per_gram=1.0, grams_per_kwh=50.0)
    assert not priced.is_limited
    assert Budget(wall_seconds=1.0).is_limited
    assert priced.refusal(cost(1e9, 1e9), n_trials=9, expected=ZERO) is None
    with pytest.raises(ValueError, match="least_gain_per_gram"):
        Budget(least_gain_per_gram=-1.0, grams_per_kwh=50.0)
