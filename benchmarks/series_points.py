"""Each point of each series as an entity: its rows, its folds, and what is written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from automl.data.target import labels, wanted
from automl.relations.assembling import Assembled, assemble
from automl.relations.spec import Spec
from benchmarks.sets import folder as shared_data

EXAMPLES = Path(__file__).parents[1] / "examples"
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

N_FOLDS = 3
# Rows of the rolling means that are written by hand.
HAND_WINDOWS = (5, 20)


@dataclass(frozen=True, kw_only=True)
class Points:
    """One entity for each point of each series, and the raw rows that it was made of.

    `series` and `place` are the series of each entity and the row of `raw` that its point is.
    """

    made: Assembled
    raw: pd.DataFrame
    y: npt.NDArray[np.int8]
    series: Rows
    place: Rows
    columns: tuple[str, ...]


def load(name: str) -> Points:
    """Assemble an example's series from its spec, and find each entity's row in the file."""
    spec = Spec.from_json(json.loads((EXAMPLES / name / "spec.json").read_text("utf-8")))
    assert spec.windows is not None
    about = spec.tables[spec.windows.table]
    file = shared_data() / name / about.source["file"]
    made = assemble(spec, {about.name: file})
    raw = pd.read_parquet(file)
    (key,) = about.link.columns
    raw = raw.sort_values([key, str(about.time)], kind="stable").reset_index(drop=True)
    time = raw[about.time]
    if pd.api.types.is_datetime64_any_dtype(time):
        time = time.astype("datetime64[us]").astype(np.int64) / 1e6
    ends = pd.DataFrame({"key": raw[key], "time": time.astype(float)}).reset_index()
    rows = ends.groupby(["key", "time"], sort=False)["index"].last()
    cut_off = np.nextafter(made.relations.cut_off, -np.inf)
    of = pd.MultiIndex.from_arrays([made.table[key].to_pandas(), cut_off])
    place = rows.reindex(of).to_numpy()
    assert made.target is not None
    left = {key, about.time, spec.windows.label, *about.exclude}
    return Points(
        made=made,
        raw=raw,
        y=labels(made.target, wanted(1)),
        series=made.key,
        place=place.astype(np.int64),
        columns=tuple(column for column in raw.columns if column not in left),
    )


def by_hand(points: Points, key: str) -> pd.DataFrame:
    """The last value and rolling means of each column, written as anyone would."""
    found = {}
    groups = points.raw.groupby(key, sort=False)
    for column in points.columns:
        found[column] = points.raw[column]
        for window in HAND_WINDOWS:
            rolled = groups[column].rolling(window, min_periods=1).mean()
            found[f"{column}_mean{window}"] = rolled.reset_index(level=0, drop=True)
    return pd.DataFrame(found).iloc[points.place].reset_index(drop=True)


def by_series(points: Points) -> Iterator[tuple[Rows, Rows]]:
    """Folds with every series on one side."""
    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
    yield from folds.split(points.y, points.y, groups=points.series)


def entities(points: Points) -> Rows:
    """Of every raw row, the entity of its series and time; rows of one time share the last's."""
    of = np.full(len(points.raw), -1, dtype=np.int64)
    of[points.place] = np.arange(len(points.place))
    known = np.where(of >= 0, np.arange(len(of)), len(of))
    return of[np.minimum.accumulate(known[::-1])[::-1]]
