"""Which rows and labels are new, against dictionaries by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.versions import Source
from scheduler.fresh import fresh_of

REQUEST: dict[str, Any] = {"target": "y", "positive": 1}


def written(path: Path, **columns: Any) -> Source:
    pq.write_table(pa.table(columns), path)
    return Source(parts=(path,), target="y")


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_known_by_their_key_wherever_they_stand(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_old, n_all = 60, 100

    def labels(n: int) -> list[int | None]:
        return [None if one == 2 else int(one) for one in rng.integers(0, 3, n)]

    names = [f"K{i}" for i in rng.permutation(n_all)]
    old_names, old = names[:n_old], labels(n_old)
    # Some are gone, some have come, all stand elsewhere, and some labels have come or changed.
    now_names = list(rng.permutation(names[5:]))
    now = labels(len(now_names))
    before = written(tmp_path / "a", id=old_names, cut=[1] * n_old, y=old)
    grown = written(tmp_path / "b", cut=[1.0] * len(now_names), id=now_names, y=now)
    found = fresh_of(grown, before, REQUEST, identity=["id", "cut"])
    was = dict(zip(old_names, old, strict=True))
    for i, (name, label) in enumerate(zip(now_names, now, strict=True)):
        assert found.new[i] == (name not in was)
        assert found.fresh[i] == (label is not None and was.get(name) is None)
        assert found.y[i] == (-1 if label is None else label)
    assert found.n_corrected == sum(
        label is not None and was.get(name) not in (None, label)
        for name, label in zip(now_names, now, strict=True)
    )


def test_rows_that_are_alike_are_counted(tmp_path: Path) -> None:
    before = written(tmp_path / "a", x=[7, 7, 8], y=[1, 0, 1])
    grown = written(tmp_path / "b", x=[8, 7, 7, 7], y=[1, 1, 0, 0])
    found = fresh_of(grown, before, REQUEST, identity=["x"])
    assert found.new.tolist() == [False, False, False, True]
    assert (found.n_new, found.n_corrected) == (1, 0)


def test_without_an_identity_those_of_before_come_first(tmp_path: Path) -> None:
    before = written(tmp_path / "a", x=[1, 2], y=[None, 1])
    grown = written(tmp_path / "b", x=[1, 2, 3], y=[0, 0, 1])
    found = fresh_of(grown, before, REQUEST)
    assert found.new.tolist() == [False, False, True]
    assert found.fresh.tolist() == [True, False, True]
    assert found.n_corrected == 1
