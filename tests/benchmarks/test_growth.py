import numpy as np
import pytest

from benchmarks.growth import missed, sized, table_of
from tests.benchmarks.test_sets import made


def test_fewer_rows_are_drawn_and_more_are_repeated_with_noise():
    table = made(1000)
    assert sized(table, 300, seed=0).n_rows == 300
    larger = sized(table, 2500, seed=0)
    assert larger.n_rows == 2500
    assert larger.y.mean() == pytest.approx(table.y.mean(), abs=0.01)
    assert len(np.unique(larger.X["x"])) == 2500
    assert larger.X["x"].std() == pytest.approx(table.X["x"].std(), rel=0.05)


def test_entities_are_kept_whole():
    table = made(1000, group=True)
    smaller = sized(table, 300, seed=0)
    assert 200 < smaller.n_rows < 400
    for one in np.unique(smaller.group):
        assert (smaller.group == one).sum() == (table.group == one).sum()


def row(n_rows, screening, final, *, n_positive=5000):
    return {
        "set": "give_me_some_credit", "n_rows": n_rows, "n_positive": n_positive, "features": 0.1,
        "screening": screening, "final": final, "refit": 1.0, "peak_mb": 100,
        "total": screening + final + 1.1,
    }  # fmt: skip


def test_screening_that_grows_and_finals_that_do_not_dominate_are_missed():
    good = [row(10_000, 1, 1), row(100_000, 2, 8), row(1_000_000, 2, 80)]
    assert missed(good) == []
    assert "1,000,000" in table_of(good)
    growing = [row(10_000, 1, 1), row(100_000, 2, 8), row(1_000_000, 7, 80)]
    assert "screening grew" in missed(growing)[0]
    few = [row(10_000, 1, 1), row(100_000, 2, 8, n_positive=80), row(1_000_000, 7, 80)]
    assert missed(few) == []
    assert "final fits" in missed([row(10_000, 1, 1), row(100_000, 2, 8), row(1_000_000, 2, 0)])[0]
