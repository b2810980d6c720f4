"""Small relations made by hand, sorted as the ones that are read from files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

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
    table = pa.table({key: pa.array(values) for key, values in columns.items()})
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
