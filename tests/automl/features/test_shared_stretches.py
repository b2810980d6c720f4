"""Rows that see the same stretch get the same features, computed once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.features.featurizer import Featurizer
from automl.features.group import Column, FittedGroup
from automl.relations.tables import EventTable, Relations, Spans


def shared(n_rows: int) -> Relations:
    rng = np.random.default_rng(0)
    weather = EventTable(
        name="weather",
        role="series",
        subject=np.zeros(60, dtype=np.int64),
        time=np.arange(60) * 86_400.0,
        columns=pa.table({"heat": rng.normal(size=60)}),
    )
    return Relations(
        rows=pd.DataFrame(index=range(n_rows)),
        subjects={"weather": np.zeros(n_rows, dtype=np.int64)},
        cut_off=rng.integers(1, 12, n_rows) * 5 * 86_400.0,
        tables={"weather": weather},
    )


def test_each_stretch_is_computed_once(monkeypatch):
    relations = shared(400)
    made = Featurizer.fit(relations, ["weather.aggregates", "weather.recency"], seed=0)
    once = made.transform(relations)
    alone = pd.concat([made.transform(relations.take(np.array([i]))) for i in range(0, 400, 37)])
    pd.testing.assert_frame_equal(once.iloc[::37], alone, check_exact=True)
    n_seen: list[int] = []
    kind = type(made.groups[0])
    own = kind.transform

    def counted(self: FittedGroup, table: EventTable, spans: Spans) -> list[Column]:
        n_seen.append(len(spans.start))
        return own(self, table, spans)

    monkeypatch.setattr(kind, "transform", counted)
    made.transform(relations)
    assert n_seen == [11]
