"""Small seeded tables for the tests of the search, and parts that can be made to fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from automl.data.dataset import Dataset


def rare(
    n_rows: int = 1200, *, n_positive: int = 90, seed: int = 0, with_category: bool = True
) -> Dataset:
    """A table whose rare rows differ in two numbers and a category; exactly `n_positive`."""
    rng = np.random.default_rng(seed)
    y = np.zeros(n_rows, dtype=np.int8)
    y[rng.choice(n_rows, n_positive, replace=False)] = 1
    X = pd.DataFrame(rng.normal(size=(n_rows, 4)), columns=["a", "b", "c", "d"])
    X["a"] += 1.2 * y
    X["b"] += 0.8 * y * (X["c"] > 0)
    X.loc[rng.random(n_rows) < 0.05, "d"] = np.nan
    if with_category:
        levels = rng.choice(["north", "south", "west"], n_rows)
        X["region"] = pd.Series(np.where((y == 1) & (rng.random(n_rows) < 0.4), "west", levels))
    return Dataset(X=X, y=y)


def seen_by(champion: Any, X: pd.DataFrame) -> list[float]:
    """A champion's probabilities as plain numbers, to compare exactly."""
    return [float(p) for p in champion.predict_proba(X)]
