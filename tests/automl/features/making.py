"""Small relations made by hand, sorted as the ones that are read from files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.features.windows import Window
from automl.relations.tables import EventTable, Relations


def event_table(
    name: str = "trans",
    *,
    subject: Sequence[int],
    time: Sequence[float],
    columns: dict[str, Any],
    **about: Any,
) -> EventTable:
    """Sort rows by subject, then time, then as they came."""
    order = np.lexsort((np.arange(len(subject)), np.asarray(time), np.asarray(subject)))
    table = pa.table(dict(columns))
    return EventTable(
        name=name,
        role=about.pop("role", "events"),
        subject=np.asarray(subject, dtype=np.int64)[order],
        time=np.asarray(time, dtype=np.float64)[order],
        columns=table.take(pa.array(order)),
        **about,
    )


def relations(
    table: EventTable, *, subjects: Sequence[int], cut_off: Sequence[float], gap: float = 0.0
) -> Relations:
    """One table around entity rows of these subjects and cut-offs."""
    return Relations(
        rows=pd.DataFrame({"age": np.arange(len(subjects), dtype=float)}),
        subjects={table.name: np.asarray(subjects, dtype=np.int64)},
        cut_off=np.asarray(cut_off, dtype=np.float64),
        tables={table.name: table},
        gap=gap,
    )


def random_relations(
    seed: int = 0, *, n_subjects: int = 20, n_events: int = 400, n_rows: int = 40, days: int = 60
) -> Relations:
    """Several rows per subject with cut-offs of their own: stretches overlap; ties, gaps, NaN."""
    rng = np.random.default_rng(seed)
    day = 86_400.0
    n = n_events
    amount = np.round(rng.normal(20, 50, n), 2)
    amount[rng.random(n) < 0.2] = np.nan
    table = event_table(
        subject=rng.integers(0, n_subjects, n).tolist(),
        time=(rng.integers(0, days * 4, n) * day / 4).tolist(),
        columns={
            "amount": pa.array(amount, from_pandas=True),
            "balance": np.round(rng.normal(1e6, 3, n), 2),
            "ok": rng.random(n) < 0.5,
            "booked": pa.array((rng.integers(0, days, n)).astype("int32"), type=pa.date32()),
            "kind": pa.array(rng.choice(["in", "out", "fee", None], n).tolist(), type=pa.string()),
        },
    )
    # Subjects beyond those of the table have no events at all.
    return relations(
        table,
        subjects=rng.integers(0, n_subjects + 3, n_rows).tolist(),
        cut_off=(rng.integers(0, days + 5, n_rows) * day).tolist(),
    )


def visible(relations: Relations, row: int, window: Window | None = None) -> pd.DataFrame:
    """The events of an entity row before its cut-off, by a plain filter; `time` among them."""
    (table,) = relations.tables.values()
    frame = table.columns.to_pandas()
    frame["time"] = table.time
    cut_off = relations.cut_off[row] - relations.gap * (86_400.0 if table.dated else 1.0)
    frame = frame[table.subject == relations.subjects[table.name][row]]
    frame = frame[frame["time"] < cut_off]
    if window is not None and window.length is not None:
        frame = frame[frame["time"] >= cut_off - window.length]
    if window is not None and window.rows is not None:
        frame = frame.tail(window.rows)
    return frame


def compare(found: pd.DataFrame, expected: list[dict[str, float]]) -> None:
    """Every feature of every row, or an error that names the feature."""
    truth = pd.DataFrame(expected)
    assert set(found.columns) <= set(truth.columns), set(found.columns) - set(truth.columns)
    for name in found.columns:
        np.testing.assert_allclose(
            found[name].to_numpy(), truth[name].to_numpy(), rtol=2e-5, atol=1e-5, err_msg=name
        )
