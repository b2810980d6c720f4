"""What every model of the catalog promises, over every named configuration."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score

from automl.data.encoding import EncoderInfo
from automl.errors import DataError
from automl.meta.portfolio import NAMED
from automl.models.base import FittableModel
from automl.models.catalog import CATALOG, build, load
from automl.models.unlabelled import Unlabelled

NAMES = list(NAMED)
INFO = EncoderInfo(
    kinds=("numeric", "numeric", "numeric", "category", "rank", "frequency", "numeric"),
    cardinality=(0, 0, 0, 4, 200, 0, 0),
)
Rows = tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]


def rows(n: int = 1600, *, seed: int = 0) -> Rows:
    """Numbers, codes and missing cells; about 8 % positives that some columns explain."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 7)).astype(np.float32)
    X[:, 3] = rng.integers(0, 4, n)
    X[:, 4] = rng.integers(0, 200, n)
    X[:, 5] = 1 / (1 + X[:, 4])
    score = 1.5 * X[:, 0] + X[:, 1] * (X[:, 3] == 2) + rng.normal(size=n)
    y = (score > np.quantile(score, 0.92)).astype(np.int8)
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, y


def others() -> Unlabelled:
    """Rows without a label, for the models that learn from them."""
    return Unlabelled(rows=rows(800, seed=9)[0], rate=0.08)


def fitted(name: str, X: npt.NDArray[np.float32], y: npt.NDArray[np.int8]) -> FittableModel:
    model = build(NAMED[name], encoder_info=INFO, seed=0, n_trees=20, unlabelled=others())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a fit says nothing
        return model.fit(X, y)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> FittableModel:
    return fitted(name, *rows())


def test_logits_that_rank(model: FittableModel) -> None:
    X, y = rows(seed=1)
    logits = model.decision(X)
    assert logits.dtype == np.float64
    assert logits.shape == (len(X),)
    assert np.isfinite(logits).all()
    assert average_precision_score(y, logits) > 3 * y.mean()


def test_probabilities_are_at_the_prevalence_of_the_rows(model: FittableModel) -> None:
    X, y = rows(6000, seed=2)
    assert (1 / (1 + np.exp(-model.decision(X)))).mean() == pytest.approx(y.mean(), rel=0.35)


def test_weights_move_the_prevalence(name: str) -> None:
    X, y = rows()
    weight = np.where(y == 1, 5.0, 1.0)
    model = build(NAMED[name], encoder_info=INFO, seed=0, n_trees=20, unlabelled=others())
    model.fit(X, y, sample_weight=weight)
    wanted = np.average(y, weights=weight)
    got = (1 / (1 + np.exp(-model.decision(X)))) @ weight / weight.sum()
    # Averaged balanced trees are the least calibrated; unweighted would be 0.08, wanted is 0.30.
    assert wanted / 2 < got < wanted * 1.35
    assert model.details["positive_rate"] == pytest.approx(wanted)


def test_the_same_seed_gives_the_same_logits(name: str, model: FittableModel) -> None:
    X, y = rows()
    assert np.array_equal(fitted(name, X, y).decision(X), model.decision(X))


def test_equal_after_saving_bit_by_bit(model: FittableModel, tmp_path: Path) -> None:
    X, _ = rows(seed=3)
    files = model.save(tmp_path, "member-0")
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    assert {Path(file).suffix for file in files} <= {".txt", ".skops", ".npz", ".json"}
    again = load(tmp_path, "member-0")
    assert type(again) is type(model)
    assert again.details == model.details
    assert np.array_equal(again.decision(X), model.decision(X))
    # And once more, from what was loaded.
    again.save(tmp_path, "copy")
    assert np.array_equal(load(tmp_path, "copy").decision(X), model.decision(X))


def test_row_by_row_as_at_once(model: FittableModel) -> None:
    X, _ = rows(50, seed=4)
    single = np.concatenate([model.decision(X[[i]]) for i in range(len(X))])
    assert np.allclose(single, model.decision(X), rtol=1e-6, atol=1e-6)
    assert model.decision(X[:0]).shape == (0,)


def test_missing_and_unseen_cells(name: str) -> None:
    X, y = rows()
    X[:, 1] = np.nan  # missing throughout
    X[:, 6] = 7.0  # constant in this sample
    model = fitted(name, X, y)
    new = np.full((3, 7), np.nan, dtype=np.float32)
    new[1] = [1e30, -1e30, 0, 99, 1e6, 1, 0]
    new[2, 3] = 3
    assert np.isfinite(model.decision(new)).all()


@pytest.mark.parametrize("n_positive", [1, 2, 3])
def test_a_handful_of_positives(name: str, n_positive: int) -> None:
    X, _ = rows(12)
    y = (np.arange(12) < n_positive).astype(np.int8)
    assert np.isfinite(fitted(name, X, y).decision(X)).all()


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_refused(name: str, label: int) -> None:
    X, _ = rows(50)
    with pytest.raises(DataError) as caught:
        fitted(name, X, np.full(50, label, dtype=np.int8))
    assert caught.value.code == "fold_without_class"


def test_rows_of_another_width_are_refused(model: FittableModel) -> None:
    with pytest.raises(ValueError, match="7 columns"):
        model.decision(np.zeros((2, 6), dtype=np.float32))


def test_the_rows_are_left_as_they_were(name: str) -> None:
    X, y = rows(400)
    before = X.copy(), y.copy()
    fitted(name, X, y).decision(X)
    assert np.array_equal(X, before[0], equal_nan=True)
    assert np.array_equal(y, before[1])


def test_numbers_only_or_categories_only(name: str) -> None:
    X, y = rows(300)
    for columns, info in (
        ([0, 1, 2], EncoderInfo.numeric(3)),
        ([3], EncoderInfo(kinds=("category",), cardinality=(4,))),
        ([4, 5], EncoderInfo(kinds=("rank", "frequency"), cardinality=(200, 0))),
    ):
        part = np.ascontiguousarray(X[:, columns])
        model = build(NAMED[name], encoder_info=info, seed=0, n_trees=5).fit(part, y)
        assert np.isfinite(model.decision(part)).all()


def test_every_model_of_the_catalog_is_named() -> None:
    assert {candidate.model for candidate in NAMED.values()} == set(CATALOG)
