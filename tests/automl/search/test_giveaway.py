"""A target that a column gives away is said by name, and honest tables are left in peace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.estimator import FrugalClassifier
from tests.automl.search.problems import rare

RNG = np.random.default_rng(0)


def warned(X: pd.DataFrame, y: Any) -> list[str]:
    """Columns that the search warns of."""
    model = FrugalClassifier(mode="eco", trials=1).fit(X, y)
    found = [one for one in model.result_.warnings if one["code"] == "leakage_suspected"]
    return [one["column"] for one in found]


def leaking(dataset: Dataset, kind: str) -> Any:
    y = dataset.y
    noise = RNG.random(len(y))
    return {
        "the target": y,
        "its inverse": 1 - y,
        "a text": np.where(y == 1, "closed", "open"),
        "levels without order": np.array(list("bdac"), dtype=object)[2 * y + (noise > 0.5)],
        "a missing cell": np.where(y == 1, np.nan, noise),
        "an amount after the event": 1000.0 * y + 700 * noise,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "the target",
        "its inverse",
        "a text",
        "levels without order",
        "a missing cell",
        "an amount after the event",
    ],
)
def test_a_column_that_gives_the_target_away_is_named(kind: str) -> None:
    dataset = rare(n_positive=150)
    assert warned(dataset.X.assign(after=leaking(dataset, kind)), dataset.y) == ["after"]


def test_honest_columns_are_not_suspected() -> None:
    dataset = rare(n_positive=150)
    assert warned(dataset.X, dataset.y) == []
    both = pd.DataFrame(RNG.normal(size=(1200, 2)), columns=["a", "b"])  # only together they tell
    assert warned(both, (both["a"] + both["b"] > 1.5).astype(int)) == []


def test_a_handful_of_positives_is_separated_by_chance() -> None:
    X = pd.DataFrame(RNG.normal(size=(60, 40)))
    X[0] += 9 * (np.arange(60) < 8)
    assert warned(X, (np.arange(60) < 8).astype(int)) == []
