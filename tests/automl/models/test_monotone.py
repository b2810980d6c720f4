"""Every model that says it keeps to monotone columns does, against data that bend the other way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.data.encoding import EncoderInfo
from automl.errors import DataError
from automl.meta.portfolio import NAMED
from automl.meters.cpu_time import CpuTimeMeter
from automl.models.catalog import CATALOG, build
from automl.search.problem import prepare
from automl.search.run import search
from automl.trial import Candidate

KEEPING = sorted(name for name, spec in CATALOG.items() if spec.monotone)
OTHERS = sorted(set(CATALOG) - set(KEEPING))


def _bent(n_rows: int = 1500) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Three numbers and a category: the first is U-shaped, the second falls."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    X[:, 3] = rng.integers(0, 4, n_rows)
    logit = 1.5 * X[:, 0] ** 2 - 0.8 * X[:, 0] - 1.2 * X[:, 1] + X[:, 2] - 3 + (X[:, 3] == 2)
    return X, (rng.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)


INFO = EncoderInfo(
    kinds=("numeric", "numeric", "numeric", "category"),
    cardinality=(0, 0, 0, 4),
    monotone=(1, 1, 0, 0),
)


def _falls(decide: object, X: npt.NDArray[np.float32], column: int) -> float:
    """The furthest that the score falls while the column rises, over 50 rows."""
    grid = np.linspace(-3, 3, 61, dtype=np.float32)
    rows = np.repeat(X[:50], len(grid), axis=0)
    rows[:, column] = np.tile(grid, 50)
    scores = decide(rows).reshape(50, -1)  # type: ignore[operator]
    return float((-np.diff(scores, axis=1)).max())


@pytest.mark.parametrize("name", KEEPING)
def test_the_score_never_falls_while_the_column_rises(name: str) -> None:
    X, y = _bent()
    candidate = next((c for c in NAMED.values() if c.model == name), Candidate(model=name))
    free = build(candidate, encoder_info=replace(INFO, monotone=()), seed=0, rounds=80).fit(X, y)
    assert _falls(free.decision, X, 1) > 0.1  # the data do say the opposite
    bound = build(candidate, encoder_info=INFO, seed=0, rounds=80).fit(X, y)
    for column in (0, 1):
        assert _falls(bound.decision, X, column) < 1e-5
    assert np.ptp(bound.decision(X)) > 0.1  # and it is no constant


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_that_cannot_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="monotone"):
        build(Candidate(model=name), encoder_info=INFO, seed=0)


def test_a_champion_of_a_search_keeps_to_its_columns() -> None:
    X, y = _bent()
    frame = pd.DataFrame(X[:, :3], columns=["debt", "income", "age"])
    frame["city"] = pd.Series(X[:, 3]).map({0: "a", 1: "b", 2: "c", 3: "d"})
    dataset = Dataset(X=frame, y=y, monotone={"debt": 1, "income": -1})
    champion = search(dataset, meter=CpuTimeMeter(), mode="balanced", pick="most_accurate").champion

    def decide(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        made = pd.DataFrame(rows[:, :3], columns=["debt", "income", "age"])
        made["city"] = pd.Series(rows[:, 3]).map({0: "a", 1: "b", 2: "c", 3: "d"})
        return champion.decision(made)

    assert _falls(decide, X, 0) < 1e-5
    assert _falls(lambda rows: -decide(rows), X, 1) < 1e-5


def test_what_cannot_be_monotone_is_said() -> None:
    X, y = _bent(300)
    frame = pd.DataFrame({"debt": X[:, 0], "city": pd.Series(X[:, 3]).map(str)})
    with pytest.raises(DataError, match="'wealth' is not a feature"):
        Dataset(X=frame, y=y, monotone={"wealth": 1})
    with pytest.raises(DataError, match="must be 1 or -1"):
        Dataset(X=frame, y=y, monotone={"debt": 2})
    with pytest.raises(DataError, match="'city' is a category") as failure:
        prepare(Dataset(X=frame, y=y, monotone={"city": 1}), seed=0).info  # noqa: B018
    assert failure.value.code == "monotone_not_numeric"
