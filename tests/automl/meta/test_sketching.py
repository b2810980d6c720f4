"""A table is recognised again, and another is not, against exact counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.meta.likeness import N_KEPT, TableSketch
from automl.meta.sketching import sketch_table


def table(n_rows: int = 5000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n_rows),
            "income": rng.lognormal(7, 1, n_rows).round(2),
            "town": rng.choice(["Lyon", "Nice", "Metz"], n_rows),
            "since": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(0, 900, n_rows), "D"),
            "good": rng.random(n_rows) < 0.5,
        }
    )


TABLE = table()
SKETCH = sketch_table(TABLE)


def test_order_of_rows_and_columns_and_types_do_not_matter() -> None:
    shuffled = TABLE.sample(frac=1, random_state=1)[["town", "good", "age", "since", "income"]]
    retyped = shuffled.assign(
        town=shuffled["town"].astype("category"),
        age=shuffled["age"].astype("float32"),
        income=shuffled["income"].astype("float32"),
        good=shuffled["good"].astype("int8"),
        since=shuffled["since"].astype("datetime64[us]"),
    )
    assert sketch_table(retyped) == SKETCH


def test_a_missing_cell_is_a_value_of_its_own() -> None:
    holed = TABLE.astype({"town": object, "age": float}).copy()
    holed.loc[:, "town"] = None
    other = sketch_table(holed)
    assert other.shared(SKETCH) == 0
    assert (
        sketch_table(holed.assign(town=pd.Series([None] * len(holed), dtype="category"))) == other
    )


@pytest.mark.parametrize("share", [1.0, 0.9, 0.7, 0.2])
def test_a_part_of_the_rows_is_recognised(share: float) -> None:
    part = sketch_table(TABLE.sample(frac=share, random_state=2))
    # Of the smaller one's rows, all are in the other; 64 hashes tell it within sampling error.
    spread = 3 * np.sqrt(share * (1 - share) / N_KEPT) / share
    assert part.shared(SKETCH) == pytest.approx(1.0, abs=spread + 1e-9)
    assert part.same(SKETCH)


@pytest.mark.parametrize("n_common", [0, 1000, 2500, 4000])
def test_the_share_of_common_rows_is_about_right(n_common: int) -> None:
    fresh = table(5000, seed=7)
    other = pd.concat([TABLE.iloc[:n_common], fresh.iloc[n_common:]])
    exact = n_common / 5000
    jaccard = n_common / (10_000 - n_common)
    spread = 3 * np.sqrt(max(jaccard * (1 - jaccard), 1e-9) / N_KEPT) * 2
    assert sketch_table(other).shared(SKETCH) == pytest.approx(exact, abs=spread + 0.02)


def test_rows_added_or_removed_keep_it_the_same_and_other_rows_do_not() -> None:
    grown = pd.concat([TABLE.iloc[500:], table(1500, seed=5)])
    assert sketch_table(grown).same(SKETCH)
    other = sketch_table(table(seed=9))
    assert not other.same(SKETCH)
    assert other.related(SKETCH)  # the same columns: enough to leave it out of a benchmark
    renamed = sketch_table(table(seed=9).rename(columns={"age": "years"}))
    assert not renamed.related(SKETCH)


def test_the_text_is_short_and_comes_back() -> None:
    text = SKETCH.to_text()
    assert len(text) < 500
    assert TableSketch.from_text(text) == SKETCH
    for broken in ("", "abc", "x:!!", "x:AAA=", "x:" + "A" * 800):
        with pytest.raises(ValueError):
            TableSketch.from_text(broken)


def test_small_and_empty_tables() -> None:
    assert sketch_table(TABLE.iloc[:0]).n_rows == 0
    assert sketch_table(TABLE.iloc[:0]).shared(SKETCH) == 0
    assert sketch_table(TABLE.iloc[:10]).n_rows == 10
    assert 0.6 * 5000 < SKETCH.n_rows < 1.6 * 5000
    strange = pd.DataFrame({0: [1, 2], "a b": [[1], [2]]}).astype({"a b": str})
    assert sketch_table(strange).n_rows == 2


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.meta.sketching.BLOCK_ROWS", 777)
    assert sketch_table(TABLE) == SKETCH


def test_the_hashes_are_those_of_the_shipped_files() -> None:
    """Sketches are compared over releases: what a row hashes to is part of the format."""
    made = sketch_table(pd.DataFrame({"a": [1.5, None], "b": ["x", "y"]}))
    assert made.to_text() == "59b271ae1bbcb1d3:EC8zhTfbWxV6vA=="
