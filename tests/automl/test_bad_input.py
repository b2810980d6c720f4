"""The inputs that make a search meaningless, or odd: a clear error or a stated treatment each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.cost import Budget
from automl.data.dataset import Dataset
from automl.errors import DataError
from automl.estimator import FrugalClassifier
from automl.meters.cpu_time import CpuTimeMeter
from automl.models.catalog import CATALOG, build
from automl.search.objective import Objective
from automl.search.run import search
from automl.trial import Candidate
from tests.automl.search.problems import rare

N = 200
RNG = np.random.default_rng(0)


def table() -> pd.DataFrame:
    X = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N)})
    return X.assign(place=RNG.choice(list("xyz"), N))


def labels(n_positive: int) -> np.ndarray[Any, Any]:
    y = np.zeros(N, dtype=int)
    y[RNG.choice(N, n_positive, replace=False)] = 1
    return y


def held(value: Any) -> np.ndarray[Any, Any]:
    """An array of objects made by a function of the row."""
    out = np.empty(N, dtype=object)
    for i in range(N):
        out[i] = value(i)
    return out


def small(**options: Any) -> FrugalClassifier:
    return FrugalClassifier(mode="eco", trials=1, **options)


@pytest.mark.parametrize("n_positive", [0, 1, N - 1, N])
def test_a_class_without_two_rows_is_refused(n_positive: int) -> None:
    y = labels(n_positive)
    with pytest.raises(ValueError, match=r"1 class|at least 2 of each"):
        small().fit(table(), y)
    codes = {0: "no_positives", N: "constant_target"}
    with pytest.raises(DataError) as caught:
        search(Dataset(X=table(), y=y.astype(np.int8)), meter=CpuTimeMeter())
    assert caught.value.code == codes.get(n_positive, "too_few_positives")


@pytest.mark.parametrize("n_positive", [2, 5])
def test_a_handful_of_positives_is_searched_with_a_warning(n_positive: int) -> None:
    model = FrugalClassifier(mode="balanced", trials=4).fit(table(), labels(n_positive))
    assert "few_positives" in [one["code"] for one in model.result_.warnings]
    assert np.isfinite(model.predict_proba(table())).all()


def test_columns_that_say_nothing_are_left_out() -> None:
    X = table()
    more = X.assign(one=1.0, text="q", empty=np.nan, none=pd.Series([None] * N, dtype=object))
    y = labels(40)
    model = small().fit(more, y)
    left_out = {entry["column"] for entry in model.champion_.encoder.dropped}
    assert left_out == {"one", "text", "empty", "none"}
    np.testing.assert_array_equal(model.predict_proba(more), small().fit(X, y).predict_proba(X))
    with pytest.raises(DataError, match="none of 4 columns"):
        small().fit(more[["one", "text", "empty", "none"]], y)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_model_takes_columns_that_are_constant_or_empty_in_a_sample(name: str) -> None:
    """The encoder drops them from a table; a fold's or a sample's rows may still have them."""
    from automl.data.encoding import TableEncoder

    X = table().assign(
        rare_number=[1.0] * (N - 1) + [2.0],
        rare_cell=[np.nan] * (N - 1) + [1.0],
        rare_level=["u"] * (N - 1) + ["v"],
        rare_text=[None] * (N - 1) + ["w"],
    )
    encoder = TableEncoder().fit(X)
    matrix, y = encoder.transform(X), labels(40).astype(np.int8)
    model = build(Candidate(model=name), encoder_info=encoder.info, seed=0, rung="screening")
    fitted = model.fit(matrix[:-1], y[:-1], valid=(matrix[100:-1], y[100:-1], None))
    assert np.isfinite(fitted.decision(matrix)).all()


def test_infinite_cells() -> None:
    X, y = table(), labels(40)
    X.loc[6, "b"] = -np.inf
    with pytest.raises(DataError, match="row 7 of column 'b' is infinity") as caught:
        small().fit(X[["a", "b"]], y)
    assert (caught.value.column, caught.value.row) == ("b", 7)
    missing = X.replace(-np.inf, np.nan)
    np.testing.assert_array_equal(
        small().fit(X, y).predict_proba(X), small().fit(missing, y).predict_proba(missing)
    )


def test_numbers_near_the_end_of_floats() -> None:
    X = table().assign(big=np.where(np.arange(N) % 3, 1e308, -1e308), tiny=1e-320)
    model = FrugalClassifier(mode="eco").fit(X, labels(40))
    assert np.isfinite(model.predict_proba(X)).all()
    assert not [trial.error for trial in model.result_.trials if trial.error]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda i: [i % 2], "the label of row 1 is a list"),
        (lambda i: {"y": i % 2}, "the label of row 1 is a dict"),
        (lambda i: [1] if i == 7 else i % 2, "the label of row 8 is a list"),
        (lambda i: "a" if i % 2 else 1, "several kinds"),
        (lambda i: None if i == 3 else i % 2, "missing labels"),
    ],
)
@pytest.mark.parametrize("numbers", [True, False])
def test_labels_that_are_no_labels(value: Any, said: str, numbers: bool) -> None:
    X = table()[["a", "b"]] if numbers else table()
    with pytest.raises(ValueError, match=said if "missing" not in said else "."):
        small().fit(X, held(value))


def test_numbers_held_as_objects_are_labels() -> None:
    y = labels(40)
    plain = small().fit(table(), y)
    for as_object in (y.astype(object), pd.Series(y == 1, dtype=object)):
        assert small().fit(table(), as_object).classes_.tolist() == plain.classes_.tolist()


def test_groups_of_one_row_each_and_one_group() -> None:
    y = labels(40)
    assert small().fit(table(), y, groups=np.arange(N)).champion_
    alone = np.where(y == 1, np.arange(N), -1)  # each positive an entity, the others one
    for groups in (np.zeros(N), alone, np.where(y == 1, -1, np.arange(N))):
        with pytest.raises(DataError, match="cannot be split by group"):
            small().fit(table(), y, groups=groups)


def test_time_with_one_value_and_gaps_beyond_the_span() -> None:
    y = labels(40)
    with pytest.raises(DataError, match="same time"):
        small().fit(table(), y, time=np.full(N, np.datetime64("2024-01-01")))
    days = np.datetime64("2024-01-01") + np.arange(N)
    for gap in (timedelta(days=400), timedelta.max, 1e308):
        with pytest.raises(DataError, match=r"labels known .* after their time"):
            small().fit(table(), y, time=days, gap=gap)


@pytest.mark.parametrize(
    "options",
    [
        {"alert_rate": "1"},
        {"recall": [1]},
        {"metric": "expected_cost", "missed_cost": "9", "alert_cost": 1},
        {"metric": "expected_cost", "missed_cost": 1e308, "alert_cost": 1e308},
        {"metric": "expected_cost", "missed_cost": 1e-9, "alert_cost": 1e9},
        {"metric": "expected_cost", "missed_cost": np.nan, "alert_cost": 1},
        {"predictions_per_day": np.inf},
        {"horizon_days": "a year"},
    ],
)
def test_objectives_that_no_number_comes_of(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"number|at most|between"):
        Objective(**options)


@pytest.mark.parametrize("costs", [(1e12, 1.0), (1.0, 1e12), (1e-300, 1e-300)])
def test_costs_that_are_far_apart_still_score(costs: tuple[float, float]) -> None:
    objective = Objective(metric="expected_cost", missed_cost=costs[0], alert_cost=costs[1])
    model = FrugalClassifier(mode="eco", trials=2, objective=objective).fit(table(), labels(40))
    assert model.leaderboard_["score"].between(0, 1).all()
    assert 0 <= model.champion_.threshold <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"monotonic_cst": [1, 0]}, "mapping by column"),
        ({"monotonic_cst": {"place": 1}}, "only numbers can be monotone"),
        ({"monotonic_cst": {"a": "increasing"}}, "must be 1 or -1"),
        ({"random_state": 2**40}, "random_state"),
        ({"random_state": -1}, "random_state"),
        ({"joules": "many"}, "a budget is a number"),
        ({"cpu_seconds": np.nan}, "above 0"),
        ({"gco2e": 1.0, "grams_per_kwh": -1.0}, "grams_per_kwh is -1.0"),
        ({"gco2e": 1.0, "grams_per_kwh": "56"}, "grams_per_kwh is a str"),
        ({"least_gain_per_gram": "1", "grams_per_kwh": 56.0}, "least_gain_per_gram is a str"),
        ({"knowledge": "off"}, "knowledge is a str"),
        ({"warm_start_from": 5}, "it is a fitted model"),
    ],
)
def test_clumsy_options_say_what_they_should_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FrugalClassifier(mode="eco", **options).fit(table(), labels(40))


def test_a_monotone_column_that_is_constant_says_nothing() -> None:
    X = table().assign(one=1.0)
    model = small(monotonic_cst={"one": 1}).fit(X, labels(40))
    assert not model.champion_.provenance.get("monotone")


@pytest.mark.parametrize("role", ["time", "group", "weight"])
def test_roles_have_one_value_for_each_row(role: str) -> None:
    base = rare(60, n_positive=10)
    for wrong in (np.ones((60, 2)), np.float64(1.0), np.ones(3)):
        with pytest.raises(DataError, match=f"{role} has"):
            Dataset(X=base.X, y=base.y, **{role: wrong})


def test_a_table_without_columns() -> None:
    with pytest.raises(DataError, match="no column"):
        small().fit(table()[[]], labels(40))


def test_a_budget_that_fits_nothing() -> None:
    dataset = rare(N, n_positive=40)
    from automl.errors import BudgetExhausted

    for budget in (Budget(joules=1e-12), Budget(wall_seconds=1e-9)):
        with pytest.raises(BudgetExhausted, match="before one candidate was scored"):
            search(dataset, meter=CpuTimeMeter(), budget=budget)


def test_weights_of_any_scale_find_the_same_model() -> None:
    """Weights that sum to 1 are as good as any; to LightGBM they would be next to no rows."""
    X, y = table(), labels(40)
    weights = RNG.uniform(1, 3, N)
    boards = [
        FrugalClassifier(mode="eco").fit(X, y, weights=scale * weights).leaderboard_
        for scale in (1.0, 2.0**-30)
    ]
    assert boards[0]["model"].tolist() == boards[1]["model"].tolist()
    np.testing.assert_allclose(boards[0]["score"], boards[1]["score"])


def test_times_that_never_come() -> None:
    days = np.arange(N, dtype=float)
    days[4] = np.inf
    with pytest.raises(DataError, match="time of row 5 is infinity"):
        small().fit(table(), labels(40), time=days)


def test_cells_without_a_text_of_their_own() -> None:
    """Their text is an address in memory, another one each time."""
    nameless = pd.Series([object() for _ in range(N)], dtype=object)
    with pytest.raises(DataError, match="row 1 of column 'odd' holds a object"):
        small().fit(table().assign(odd=nameless), labels(40))


def test_numbers_of_more_than_eight_bytes() -> None:
    X, y = table()[["a", "b"]], labels(40)
    wide = small().fit(X.astype(np.longdouble), y)
    np.testing.assert_array_equal(wide.predict_proba(X), small().fit(X, y).predict_proba(X))


@pytest.mark.slow  # LightGBM bins ten thousand columns a few times
def test_ten_thousand_columns() -> None:
    X = pd.DataFrame(RNG.normal(size=(60, 10_000)))
    model = small().fit(X, np.arange(60) % 6 == 0)
    assert np.isfinite(model.predict_proba(X[:2])).all()
