"""Rows that are read block by block give what a copy of them gives."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from automl.data.encoding import EncoderInfo
from automl.models import boosting, catalog, rows
from automl.models.catalog import build, rows_for
from automl.models.rows import RowsOf
from automl.trial import Candidate

INFO = EncoderInfo.numeric(4)


def table(n_rows: int = 3000) -> tuple[rows.X, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(n_rows, 4)).astype(np.float32)
    matrix[rng.random((n_rows, 4)) < 0.05] = np.nan
    y = (np.nan_to_num(matrix[:, 0]) + rng.normal(size=n_rows) > 1.8).astype(np.int8)
    return matrix, y, np.flatnonzero(rng.random(n_rows) < 0.8)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK_ROWS", 100)
    monkeypatch.setattr("automl.models.boosting.BLOCK_ROWS", 100)


@pytest.mark.parametrize("model", ["lightgbm", "logistic", "extra_trees"])
def test_a_model_is_the_same_from_blocks_and_from_a_copy(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, y, own = table()
    judges = np.setdiff1d(np.arange(len(matrix)), own)

    def fitted(X: object, valid: object) -> np.ndarray:
        made = build(Candidate(model=model, params={}), encoder_info=INFO, seed=0, n_trees=5)
        made.fit(X, y[own], valid=(valid, y[judges], None))  # type: ignore[arg-type]
        return made.decision(matrix)

    copied = fitted(matrix[own], matrix[judges])
    monkeypatch.setattr("automl.models.boosting.LEAST_CELLS", 1_000)
    assert np.array_equal(copied, fitted(matrix[own], matrix[judges]))
    read = fitted(RowsOf(matrix=matrix, rows=own), RowsOf(matrix=matrix, rows=judges))
    assert np.array_equal(copied, read)


def test_the_sample_that_bins_are_found_on_is_made_column_by_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a name of LightGBM's own that a later release may change: then it takes more memory."""
    matrix, y, own = table()
    matrix[:, 1] = np.where(matrix[:, 1] > 0, matrix[:, 1], 0)  # zeros are not in its samples
    made: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
    sample = boosting._Binned._Dataset__sample

    def noted(self: Any, **asked: Any) -> Any:
        made.append(sample(self, **asked))
        return made[-1]

    monkeypatch.setattr(boosting._Binned, "_Dataset__sample", noted)
    settings = {"bin_construct_sample_cnt": 500, "max_bin": 63, "verbosity": -1, "seed": 3}
    texts = []
    X = RowsOf(matrix=matrix, rows=own)
    plain = lgb.Dataset(boosting._Blocks(X), y[own], params=settings)
    for binned in (plain, boosting._binned(X, y[own], params=settings)):
        grown = lgb.train({**settings, "objective": "binary", "num_threads": 1}, binned, 5)
        texts.append(grown.model_to_string())
    assert texts[0] == texts[1]
    ((values, places),) = made
    assert [len(one) for one in values] == [len(one) for one in places]
    assert len(values[0]) == 500 > len(values[1]) > 0


def test_the_rows_a_forest_is_grown_on_are_read_in_blocks_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix, y, own = table()
    monkeypatch.setattr("automl.models.trees.MOST_ROWS", 1_000)
    read: list[int] = []
    blocks = RowsOf.blocks

    def noted(self: RowsOf) -> object:
        read.append(len(self))
        return blocks(self)

    monkeypatch.setattr(RowsOf, "blocks", noted)

    def fitted(X: object) -> np.ndarray:
        made = build(
            Candidate(model="extra_trees", params={}), encoder_info=INFO, seed=0, n_trees=5
        )
        made.fit(X, y[own])  # type: ignore[arg-type]
        return made.decision(matrix)

    assert np.array_equal(fitted(matrix[own]), fitted(RowsOf(matrix=matrix, rows=own)))
    assert read == [1_000]


def test_only_many_rows_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, _, own = table()
    model = build(Candidate(model="lightgbm", params={}), encoder_info=INFO, seed=0)
    assert isinstance(rows_for(model, matrix, own, info=INFO), np.ndarray)
    monkeypatch.setattr(catalog, "MANY_ROWS", 1000)
    assert isinstance(rows_for(model, matrix, own, info=INFO), RowsOf)
    rated = build(Candidate(model="rated_lightgbm", params={}), encoder_info=INFO, seed=0)
    assert isinstance(rows_for(rated, matrix, own, info=INFO), np.ndarray)
