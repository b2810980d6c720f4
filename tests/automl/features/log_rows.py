"""A made-up log around entity rows with cut-offs of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from automl.relations.tables import EventTable, Relations
from tests.automl.features.making import event_table, relations

DAY = 86_400.0
SAID = (
    "card ordered, reference {n}",
    "transfer of {n} EUR sent",
    "login from {ip}",
    "payment of {n} EUR failed",
    "balance asked",
)
LEVELS = ("INFO", "INFO", "debug", "ERROR", "WARN")


def log_relations(
    seed: int = 0, *, n_subjects: int = 25, n_lines: int = 900, n_rows: int = 60, days: int = 60
) -> Relations:
    """Several rows per subject, so that stretches overlap; a few lines are like no other."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(len(SAID), n_lines, p=[0.4, 0.25, 0.2, 0.05, 0.1])
    messages: list[str | None] = [
        SAID[kind].format(n=int(rng.integers(1, 9_999)), ip=f"10.0.0.{rng.integers(256)}")
        for kind in kinds
    ]
    levels = [LEVELS[kind] for kind in kinds]
    for odd in rng.choice(n_lines, 12, replace=False):
        messages[odd] = " ".join("".join(rng.choice(list("qwxz"), 6)) for _ in range(4))
    messages[3] = None
    levels[4] = "?"
    table = event_table(
        "log",
        subject=rng.integers(0, n_subjects, n_lines).tolist(),
        time=(rng.integers(0, days * 8, n_lines) * DAY / 8).tolist(),
        columns={"level": pa.array(levels), "message": pa.array(messages)},
        role="log",
        message="message",
    )
    return relations(
        table,
        subjects=rng.integers(0, n_subjects + 2, n_rows).tolist(),
        cut_off=(rng.integers(0, days + 5, n_rows) * DAY).tolist(),
    )


def without_the_others(made: Relations, at: np.ndarray) -> Relations:
    """These entity rows, and a table with nobody else's lines, on new positions."""
    table, subjects = made.tables["log"], made.subjects["log"][at]
    there = np.unique(subjects)
    keep = np.isin(table.subject, there)
    small = EventTable(
        name="log",
        role="log",
        subject=np.searchsorted(there, table.subject[keep]),
        time=table.time[keep].copy(),
        columns=pa.Table.from_pylist(
            table.columns.filter(pa.array(keep)).to_pylist(), schema=table.columns.schema
        ),
        message="message",
    )
    return relations(small, subjects=np.searchsorted(there, subjects), cut_off=made.cut_off[at])
