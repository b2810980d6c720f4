"""Which rows of several tables a search learns from, and whose features it takes over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.sampling.stratified import FINAL_NEGATIVES_PER_POSITIVE
from automl.search.feature_groups import sampled
from automl.search.start import Start
from scheduler.featuring import CHOSEN_WITH, MOST_POSITIVES, choice_is_cheap, taken, taken_over


def dataset(n_rows: int, n_positive: int) -> Dataset:
    y = np.zeros(n_rows, dtype=np.int8)
    y[np.linspace(0, n_rows - 1, n_positive).astype(int)] = 1
    return Dataset(X=pd.DataFrame({"x": np.arange(n_rows, dtype=np.float32)}), y=y)


def n_taken(whole: Dataset) -> int:
    rows = taken(whole)
    return whole.n_rows if rows is None else len(rows)


def test_all_rows_of_a_small_one_are_taken() -> None:
    assert taken(dataset(20_000, 300)) is None


def test_of_a_large_one_the_first_of_each_class_are_taken() -> None:
    whole = dataset(400_000, 1_000)
    rows = taken(whole)
    assert rows is not None
    assert (np.diff(rows) > 0).all()
    y = whole.y[rows]
    assert y.sum() == 1_000, "no positive is left out"
    negatives = rows[y == 0]
    assert (negatives == np.flatnonzero(whole.y == 0)[: len(negatives)]).all()
    assert len(negatives) <= FINAL_NEGATIVES_PER_POSITIVE * 1_000
    part = sampled(whole, rows)
    assert part.weight is not None
    assert np.average(part.y, weights=part.weight) == pytest.approx(1_000 / 400_000)


def test_what_is_taken_does_not_grow_with_the_data() -> None:
    sizes = [n_taken(dataset(n, 1_000)) for n in (400_000, 1_600_000)]
    assert sizes[0] == sizes[1]


def test_positives_are_capped() -> None:
    rows = taken(dataset(1_000_000, 50_000))
    assert rows is not None
    assert len(rows) <= (1 + FINAL_NEGATIVES_PER_POSITIVE) * MOST_POSITIVES


FEATURES = object()


def start(**provenance: int) -> Start:
    """A champion of 10,000 rows, 200 of them positive."""
    champion: Any = SimpleNamespace(
        tables=SimpleNamespace(whole=FEATURES, made=("visits.count",)),
        columns=("x", "visits.count"),
        provenance={"n_rows": 10_000, "n_positive": 200, **provenance},
    )
    return Start(champion=champion)


@pytest.mark.parametrize(
    ("n_positive", "told", "nightly", "cheap", "kept"),
    [
        (299, {}, True, False, True),
        (300, {}, True, False, False),  # the positives have grown by half
        (300, {}, False, False, True),  # whoever asks for a start by hand asks for its features
        # The champion is of the night before: what counts is when they were chosen.
        (210, {CHOSEN_WITH: 140}, True, False, False),
        (209, {CHOSEN_WITH: 140}, True, False, True),
        (200, {}, True, True, False),
        (200, {}, False, True, True),
    ],
)
def test_a_night_keeps_features_until_it_is_cheap_or_long_ago(
    monkeypatch: pytest.MonkeyPatch,
    n_positive: int,
    told: dict[str, int],
    nightly: bool,
    cheap: bool,
    kept: bool,
) -> None:
    monkeypatch.setattr("scheduler.featuring.choice_is_cheap", lambda dataset, mode: cheap)
    found = taken_over(start(**told), dataset(11_000, n_positive), nightly=nightly)
    assert found is (FEATURES if kept else None)


@pytest.mark.parametrize("mode", ["eco", "balanced", "best"])
def test_a_choice_is_cheap_beside_few_rows_and_not_beside_many(mode: str) -> None:
    assert choice_is_cheap(dataset(2_000, 100), mode=mode)
    assert not choice_is_cheap(dataset(2_000_000, 100_000), mode=mode)


def test_features_are_not_kept_where_rows_are_many_more_or_a_column_is_gone() -> None:
    assert taken_over(start(), dataset(30_000, 200)) is FEATURES
    assert taken_over(start(), dataset(30_001, 200)) is None
    other = dataset(11_000, 200)
    other.X.columns = ["y"]
    assert taken_over(start(), other) is None
