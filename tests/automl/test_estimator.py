"""FrugalClassifier behaves as scikit-learn expects, on any kind of table."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from automl.errors import BudgetExhausted, DataError
from automl.estimator import FrugalClassifier
from automl.search.champion import Champion
from automl.search.objective import Objective
from tests.automl.search.problems import rare


@parametrize_with_checks([FrugalClassifier(mode="eco", trials=2), FrugalClassifier(mode="eco")])
def test_scikit_learn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def table() -> pd.DataFrame:
    """Numbers, text, categories, booleans, timestamps, missing cells."""
    X = rare().X
    X["flag"] = X["a"] > 0
    X["opened"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(X)) % 300, unit="D")
    X["kind"] = pd.Categorical(np.where(X["b"] > 0, "x", "y"))
    X.loc[::50, "region"] = None
    return X


@pytest.fixture(scope="module")
def fitted() -> FrugalClassifier:
    return FrugalClassifier(mode="eco").fit(table(), rare().y)


@pytest.mark.parametrize("kind", ["polars", "arrow", "pandas with Arrow dtypes"])
def test_the_same_table_of_another_kind_gives_the_same(kind: str, fitted: FrugalClassifier) -> None:
    X = table()
    arrow = pa.Table.from_pandas(X, preserve_index=False)
    other: Any = {
        "polars": lambda: pl.from_arrow(arrow),
        "arrow": lambda: arrow,
        "pandas with Arrow dtypes": lambda: X.convert_dtypes(dtype_backend="pyarrow"),
    }[kind]()
    again = FrugalClassifier(mode="eco").fit(other, rare().y)
    expected = fitted.predict_proba(X)
    np.testing.assert_allclose(again.predict_proba(other), expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(other), expected, rtol=1e-6)
    assert list(fitted.feature_names_in_) == list(X.columns)


@pytest.mark.parametrize(
    ("rare_label", "common_label"),
    [("yes", "no"), ("a", "b"), (1, 2), (2, 1), (True, False), (-1, 1), ("OUI", "NON")],
)
def test_labels_of_any_kind(rare_label: Any, common_label: Any) -> None:
    dataset = rare()
    y = np.where(dataset.y == 1, rare_label, common_label)
    model = FrugalClassifier(mode="eco", trials=1, alert_rate=0.05).fit(dataset.X, y)
    assert model.classes_.tolist() == sorted({rare_label, common_label})
    column = model.classes_.tolist().index(rare_label)
    proba = model.predict_proba(dataset.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert proba[:, column].mean() == pytest.approx(dataset.y.mean(), abs=0.03)
    assert proba[dataset.y == 1, column].mean() > 2 * proba[dataset.y == 0, column].mean()
    np.testing.assert_array_equal(model.predict(dataset.X), model.classes_[proba.argmax(axis=1)])
    # Alerts are for the rare class, whichever column it is in.
    alerts = model.alert(dataset.X)
    assert 0.01 < alerts.mean() < 0.15
    assert proba[alerts, column].min() >= proba[~alerts, column].max()


def test_predict_takes_the_likelier_class_and_alert_the_threshold() -> None:
    dataset = rare()
    model = FrugalClassifier(mode="eco", alert_rate=0.2).fit(dataset.X, dataset.y)
    proba = model.predict_proba(dataset.X)[:, 1]
    np.testing.assert_array_equal(model.predict(dataset.X) == 1, proba > 0.5)
    np.testing.assert_array_equal(model.alert(dataset.X), proba >= model.champion_.threshold)
    assert model.alert(dataset.X).sum() > (model.predict(dataset.X) == 1).sum()


def test_what_it_tells_about_the_search(fitted: FrugalClassifier, tmp_path: Path) -> None:
    board = fitted.leaderboard_
    assert board["score"].is_monotonic_decreasing
    assert {"trial", "model", "score", "low", "high", "joules", "front", "picks"} <= set(board)
    assert sorted(name for names in board["picks"] for name in names) == [
        "most_accurate",
        "most_frugal",
        "recommended",
    ]
    assert fitted.stop_reason_
    assert fitted.cost_.joules > 0
    fitted.champion_.save(tmp_path / "model")
    loaded = Champion.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict_proba(table()), fitted.predict_proba(table())[:, 1]
    )


def test_failed_trials_are_last_on_the_leaderboard(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from automl.models.catalog import CATALOG

    def build(params: Any, **options: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setitem(CATALOG, "logistic", replace(CATALOG["logistic"], build=build))
    board = FrugalClassifier(mode="eco").fit(table(), rare().y).leaderboard_
    assert board["error"].iloc[-1] == "RuntimeError: broken"
    assert board["score"].iloc[:-1].notna().all()


def test_a_budget_in_grams_needs_the_grid() -> None:
    dataset = rare()
    with pytest.raises(ValueError, match="grams_per_kwh"):
        FrugalClassifier(gco2e=1.0).fit(dataset.X, dataset.y)
    model = FrugalClassifier(gco2e=10.0, grams_per_kwh=56.0, mode="eco").fit(dataset.X, dataset.y)
    assert model.cost_.grams(56.0) <= 10.0
    with pytest.raises(BudgetExhausted, match="gco2e"):
        FrugalClassifier(gco2e=1e-12, grams_per_kwh=56.0).fit(dataset.X, dataset.y)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "turbo"},
        {"alert_rate": 2.0},
        {"objective": "f1"},
        {"cpu_seconds": -1},
        {"trials": 0},
    ],
)
def test_wrong_options_are_told_at_fit(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FrugalClassifier(**options).fit(rare().X, rare().y)


def test_missing_labels_are_refused() -> None:
    y = rare().y.astype(object)
    y[3] = None
    with pytest.raises(ValueError):
        FrugalClassifier().fit(table(), y)


def test_cell_values_stay_out_of_errors() -> None:
    X = rare(with_category=False).X.astype(object)
    X.iloc[7, 1] = "secret-1234"
    model = FrugalClassifier(mode="eco", trials=1).fit(X, rare().y)  # then b is a category
    with pytest.raises(ValueError) as caught:
        model.predict(X.drop(columns=["a"]))
    assert "secret" not in str(caught.value)


def test_time_groups_and_weights_reach_the_search() -> None:
    dataset = rare()
    rng = np.random.default_rng(0)
    model = FrugalClassifier(mode="eco", trials=1).fit(
        dataset.X,
        dataset.y,
        time=rng.integers(0, 100, len(dataset.y)),
        groups=rng.integers(0, 400, len(dataset.y)),
        weights=np.ones(len(dataset.y)),
    )
    validation = model.champion_.provenance["validation"]
    assert validation["forward_in_time"]
    assert validation["by_group"]


def test_unlabelled_rows_reach_the_search() -> None:
    whole = rare(900, n_positive=100)
    model = FrugalClassifier().fit(whole.X[:400], whole.y[:400], unlabelled=whole.X[400:])
    board = model.leaderboard_
    assert "self_trained_lightgbm" in set(board["model"])
    assert model.champion_.provenance["n_rows"] == 400
    with pytest.raises(ValueError, match="feature names should match"):
        FrugalClassifier().fit(whole.X[:400], whole.y[:400], unlabelled=whole.X[["a", "b"]])


def test_a_gap_reaches_the_folds() -> None:
    dataset = rare()
    days = np.datetime64("2024-01-01") + np.arange(len(dataset.y)) // 4
    model = FrugalClassifier(mode="eco", trials=1)
    model.fit(dataset.X, dataset.y, time=days, gap=timedelta(days=30))
    assert model.champion_.provenance["validation"]["gap"] == 30
    with pytest.raises(ValueError, match="needs the time"):
        model.fit(dataset.X, dataset.y, gap=30)


@pytest.mark.parametrize(
    ("objective", "score"),
    [
        ("roc_auc", "roc_auc"),
        (Objective(metric="precision_at_recall", recall=0.5), "precision_at_recall"),
        (Objective(metric="expected_cost", missed_cost=9, alert_cost=1), "cost_saving"),
    ],
)
def test_the_leaderboard_is_by_the_objective(objective: Any, score: str) -> None:
    dataset = rare()
    model = FrugalClassifier(mode="eco", objective=objective).fit(dataset.X, dataset.y)
    board = model.leaderboard_
    assert board["score"].tolist() == board[score].tolist()
    assert board["score"].is_monotonic_decreasing
    assert (board["low"] <= board["score"]).all()
    assert board["average_precision"].between(0, 1).all()
    assert model.champion_.provenance["objective"]["metric"] in str(objective)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_weights_that_are_none_are_refused_with_their_row(weight: float) -> None:
    dataset = rare(60, n_positive=10)
    weights = np.ones(60)
    weights[4] = weight
    with pytest.raises(DataError, match=r"1 of 60 weights.*not above 0") as caught:
        FrugalClassifier(mode="eco").fit(dataset.X, dataset.y, weights=weights)
    assert (caught.value.code, caught.value.row) == ("bad_weight", 5)


def test_monotone_columns_reach_the_search() -> None:
    X = table()
    y = (np.random.default_rng(0).random(len(X)) < 0.2).astype(int)
    number = next(c for c in X.columns if pd.api.types.is_float_dtype(X[c]))
    model = FrugalClassifier(mode="eco", trials=2, monotonic_cst={number: 1}).fit(X, y)
    rows = pd.concat([X.head(1)] * 50, ignore_index=True)
    rows[number] = np.linspace(X[number].min(), X[number].max(), 50)
    event = model.champion_.decision(rows)
    assert (np.diff(event) >= -1e-6).all()
    with pytest.raises(ValueError, match="not a feature"):
        FrugalClassifier(mode="eco", monotonic_cst={"none": 1}).fit(X, y)


def test_random_states() -> None:
    dataset = rare(600, n_positive=60)
    first = [
        FrugalClassifier(mode="eco", trials=1, random_state=state).fit(dataset.X, dataset.y)
        for state in (3, np.random.RandomState(3), 3)
    ]
    assert first[0].champion_.provenance["seed"] == 3
    one, _, other = (model.predict_proba(dataset.X) for model in first)
    np.testing.assert_array_equal(one, other)


def test_it_composes_with_scikit_learn() -> None:
    dataset = rare(with_category=False)
    X = dataset.X.fillna(0).to_numpy()
    model = make_pipeline(StandardScaler(), FrugalClassifier(mode="eco", trials=1))
    scores = cross_val_score(
        clone(model),
        X,
        dataset.y,
        scoring="average_precision",
        cv=GroupKFold(3),
        groups=np.arange(len(X)) % 30,
    )
    assert scores.mean() > 2 * dataset.y.mean()


def test_importing_the_package_is_cheap() -> None:
    script = (
        "import sys, automl, automl.cost, automl.errors, automl.trial\n"
        "import automl.search.pareto, automl.search.effort\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'lightgbm', 'optuna', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert set(automl.__all__) <= set(dir(automl))\n"
        "assert automl.Budget is automl.cost.Budget\n"
        "try:\n"
        "    automl.nothing\n"
        "except AttributeError:\n"
        "    print('cheap')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "cheap\n", done.stderr
