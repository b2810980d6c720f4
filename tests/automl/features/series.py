"""Series of given values around one entity each, or one entity per point of time."""

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.features.group import Column, FittedGroup
from automl.relations.tables import EventTable, Floats, Relations

HOUR = 3600.0


def points(series: list[Floats], *, step: float = HOUR, gaps: float = 0.0) -> Relations:
    """One entity per point of each series, its cut-off just after it; some values missing."""
    rng = np.random.default_rng(5)
    subject = np.repeat(np.arange(len(series)), [len(one) for one in series])
    time = np.concatenate([np.arange(len(one)) * step for one in series] or [np.zeros(0)])
    values = np.concatenate([*series, np.zeros(0)])
    if gaps:
        values = np.where(rng.random(len(values)) < gaps, np.nan, values)
    table = EventTable(
        name="t",
        role="series",
        subject=subject.astype(np.int64),
        time=time,
        columns=pa.table({"x": pa.array(values, from_pandas=True)}),
    )
    return Relations(
        rows=pd.DataFrame(index=range(len(values))),
        subjects={"t": subject.astype(np.int64)},
        cut_off=time + step / 2,
        tables={"t": table},
    )


def last_points(series: list[Floats], *, gaps: float = 0.0) -> Relations:
    """One entity per series, that sees all of it."""
    ends = np.cumsum([len(one) for one in series]) - 1
    return points(series, gaps=gaps).take(ends)


def walks(seed: int, lengths: list[int]) -> list[Floats]:
    rng = np.random.default_rng(seed)
    return [
        np.round(1e4 + np.cumsum(rng.normal(size=n)) + 3 * np.sin(np.arange(n) / 24 * 2 * np.pi), 2)
        for n in lengths
    ]


def alone(relations: Relations, at: int) -> Relations:
    """One entity as a request brings it: nothing but the rows that it may see."""
    one = relations.take(np.array([at]))
    spans, table = one.spans("t"), relations.tables["t"]
    part = slice(int(spans.start[0]), int(spans.end[0]))
    own = EventTable(
        name="t",
        role=table.role,
        subject=np.zeros(part.stop - part.start, dtype=np.int64),
        time=table.time[part],
        columns=table.columns.slice(part.start, part.stop - part.start),
    )
    return Relations(
        rows=one.rows,
        subjects={"t": np.zeros(1, dtype=np.int64)},
        cut_off=one.cut_off,
        tables={"t": own},
    )


def features(fitted: FittedGroup, relations: Relations) -> dict[str, Column]:
    found = fitted.transform(relations.tables["t"], relations.spans("t"))
    return dict(zip(fitted.columns, found, strict=True))


def check_alone(fitted: FittedGroup, relations: Relations, *, seed: int, n: int = 5) -> None:
    """Some rows, each alone, get the bytes that they get among all."""
    whole = features(fitted, relations)
    for at in np.random.default_rng(seed).choice(relations.n_rows, n):
        own = features(fitted, alone(relations, int(at)))
        assert {name: one.tobytes() for name, one in own.items()} == {
            name: one[at : at + 1].tobytes() for name, one in whole.items()
        }
