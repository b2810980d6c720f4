"""Forests on many rows."""

from __future__ import annotations

import numpy as np
import pytest

from automl.data.encoding import EncoderInfo
from automl.models.trees import ExtraTrees


def test_a_forest_is_grown_on_so_many_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 3)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=len(X)) > 1.5).astype(np.int8)
    weight = np.where(y == 1, 1.0, 4.0)

    def fitted(seed: int) -> ExtraTrees:
        forest = ExtraTrees(params={}, info=EncoderInfo.numeric(3), seed=seed, n_trees=10)
        return forest.fit(X, y, sample_weight=weight)

    def grown_on(forest: ExtraTrees) -> set[int]:
        return {int(tree.tree_.n_node_samples[0]) for tree in forest.pipeline[-1].estimators_}

    assert grown_on(fitted(1)) == {3_000}
    monkeypatch.setattr("automl.models.trees.MOST_ROWS", 1_000)
    capped, again = fitted(1), fitted(1)
    assert grown_on(capped) == {1_000}
    assert np.array_equal(capped.decision(X), again.decision(X))
    rate = float(np.average(y, weights=weight))
    assert capped.details["positive_rate"] == pytest.approx(rate, rel=0.2)
    assert np.corrcoef(capped.decision(X), X[:, 0])[0, 1] > 0.7
