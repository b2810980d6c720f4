"""Tables as odd as they come: a search answers with finite probabilities or says what is wrong."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automl.errors import BudgetExhausted, DataError
from automl.estimator import FrugalClassifier

Column = st.SearchStrategy[list[Any]]


def columns(n: int) -> Column:
    """Cells of one column of n rows, of the kinds that tables of the world have."""

    def of(*cells: st.SearchStrategy[Any]) -> Column:
        return st.lists(st.one_of(*cells), min_size=n, max_size=n)

    numbers = st.floats(allow_nan=True, allow_infinity=True)
    texts = st.sampled_from(["", " ", "a", "A", "nan", "1", "1.0", "True", "é", "\x00", "x" * 300])
    when = st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2100-01-01"))
    aware = when.map(lambda at: pd.Timestamp(at).tz_localize("UTC").tz_convert("Europe/Paris"))
    none = st.none()
    return st.one_of(
        of(numbers),
        of(st.sampled_from([0.0, -0.0, 1.0, np.nan])),
        of(st.integers(-(2**70), 2**70)),
        of(st.sampled_from([1e308, -1e308, 1e-320, np.inf])),
        of(st.booleans(), none),
        of(texts, none),
        of(st.just("only"), none),
        of(aware, none),
        of(when, none),
        of(texts, numbers, st.booleans(), none, st.integers()),
        st.just([f"id{i}" for i in range(n)]),
        of(none),
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    n = draw(st.integers(8, 60))
    held = draw(st.lists(columns(n), min_size=1, max_size=4))
    X = pd.DataFrame({f"c{i}": pd.Series(cells, dtype=object) for i, cells in enumerate(held)})
    if draw(st.booleans()):
        X = X.infer_objects()
    if draw(st.booleans()):
        X["c0"] = X["c0"].map(str, na_action="ignore").astype("category")
    y = np.zeros(n, dtype=int)
    y[draw(st.lists(st.integers(0, n - 1), max_size=8, unique=True))] = 1
    return X, y


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_a_search_answers_or_says_what_is_wrong(table: tuple[pd.DataFrame, Any]) -> None:
    X, y = table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = FrugalClassifier(mode="eco", trials=2).fit(X, y)
        except BudgetExhausted as error:  # both models failed: then it has to say of what
            raise AssertionError(str(error)) from error
        except (DataError, ValueError) as error:
            said = str(error)
            assert any(word in said for word in ("class", "column", "positives", "row", "dtype"))
            return
        probability = model.predict_proba(X)
        shuffled = model.predict_proba(X.iloc[::-1])[::-1]
    assert np.isfinite(probability).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_allclose(shuffled, probability, rtol=1e-6)
