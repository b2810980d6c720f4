"""Entities without an event before their cut-off, against the rows that features may see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.relations.blind import blind
from automl.relations.sampled import first_and_positive
from automl.relations.spec import Spec
from automl.relations.stored import Stored
from automl.relations.storing import store

N = 300


def spec(**changes: Any) -> Spec:
    return Spec.from_json(
        {
            "tables": {
                "people": {"role": "entities"},
                "visits": {"role": "events", "key": "id", "to": "people", "time": "at"},
                "calls": {"role": "events", "key": "id", "to": "people", "time": "at"},
            },
            "key": "id",
            "cut_off": {"column": "day", **changes},
        }
    )


def tables(seed: int) -> dict[str, pa.Table]:
    rng = np.random.default_rng(seed)

    def days(n: int) -> pd.Series[Any]:
        return pd.Series(pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 60, n), "D"))

    def events(n: int) -> pa.Table:
        ids = rng.integers(0, N * 2 // 3, n)  # a third has none
        return pa.Table.from_pandas(pd.DataFrame({"id": ids, "at": days(n)}), preserve_index=False)

    people = pd.DataFrame({"id": np.arange(N), "day": days(N)})
    return {
        "people": pa.Table.from_pandas(people, preserve_index=False),
        "visits": events(400),
        "calls": events(200),
    }


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("gap", [0.0, 5.0])
def test_counts_are_those_of_what_features_may_see(
    tmp_path: Path, gap: float, in_place: bool
) -> None:
    given: dict[str, Any] = dict(tables(int(gap)))
    if in_place:
        pq.write_table(given["visits"], tmp_path / "visits.parquet", row_group_size=37)
        given["visits"] = [tmp_path / "visits.parquet"]
    folder = tmp_path / "stored"
    store(
        spec(gap=gap),
        given,
        folder,
        sample=first_and_positive([]),
        in_place=("visits",) if in_place else (),
    )
    stored = Stored(folder)
    relations = stored.relations(N)
    counts, told = blind(Stored(folder))
    nowhere = np.ones(N, dtype=bool)
    for name in ("visits", "calls"):
        spans = relations.spans(name)
        assert counts[name] == int((spans.end <= spans.start).sum())
        nowhere &= spans.end <= spans.start
    assert 0 < nowhere.sum() < N
    assert [one["code"] for one in told] == ["nothing_before_cut_off"]
    assert told[0]["detail"].startswith(f"{nowhere.sum()} of {N} entities have no event")
    some, told = blind(Stored(folder), n_rows=50)
    spans = relations.spans("calls")
    assert some["calls"] == int((spans.end <= spans.start)[:50].sum())
    assert "of the first 50 entities" in told[0]["detail"]


def test_a_table_that_lies_after_every_cut_off_is_named(tmp_path: Path) -> None:
    given = tables(1)
    late = given["calls"].to_pandas()
    late["at"] += pd.Timedelta(days=100)
    given["calls"] = pa.Table.from_pandas(late, preserve_index=False)
    store(spec(), given, tmp_path)
    counts, told = blind(Stored(tmp_path))
    assert counts["calls"] == N
    assert {one["table"] for one in told} == {"calls", None}
