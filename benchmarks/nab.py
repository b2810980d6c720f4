"""The anomaly benchmark without labels: what is odd against the past of its own series.

Features of the group `rolling`, ranked by how odd they are (`automl.search.anomaly`); both are
fitted on the probationary part of each series, which the benchmark does not score. Labels choose
the threshold, as the benchmark itself does for every detector.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.features.rolling import Rolling
from automl.relations.tables import Relations
from automl.search.ranking import rank_anomalies
from benchmarks.nab_score import Scored, by_profile, probation

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Some days of five minutes each; 512 and 4,096 rows score within 3 points of it.
WINDOW = 1024
WHATS = ("z", "shift", "seasonal_z")
# An alert is repeated only if it is odder than all before it in so long a part of the
# probationary length: one that goes on is one alert, and each false one costs.
QUIET = 0.5


@dataclass(frozen=True, kw_only=True)
class Series:
    """The rows of one series in order of time: which entity each is, and its labelled windows."""

    entities: Rows
    windows: list[tuple[int, int]]


def series_of(raw: pd.DataFrame, entities: Rows, file: Path) -> list[Series]:
    """Each series with its windows; `entities` of every row of `raw`, sorted by series and time."""
    windows: Mapping[str, list[tuple[str, str]]] = json.loads(gzip.decompress(file.read_bytes()))
    found = []
    for name, rows in raw.groupby("series", sort=False).indices.items():
        time = raw["timestamp"].to_numpy()[rows]
        at = [
            (int(np.searchsorted(time, np.datetime64(first))), _last(time, last))
            for first, last in windows[str(name)]
        ]
        found.append(Series(entities=entities[rows], windows=at))
    return found


def _last(time: npt.NDArray[Any], moment: str) -> int:
    return int(np.searchsorted(time, np.datetime64(moment), side="right")) - 1


def features(relations: Relations, first: Rows) -> dict[str, pd.DataFrame]:
    """How far each point is from the past of its series, fitted on the first part of each.

    By system: all three, or the distance from the mean alone.
    """
    (table,) = relations.tables.values()
    part = relations.take(first)
    fitted = Rolling(windows=(WINDOW,)).fit(table, part.spans(table.name), seed=0)
    assert fitted is not None
    fitted = fitted.only([f"{table.name}.value.{what}{WINDOW}" for what in WHATS])
    computed = fitted.transform(table, relations.spans(table.name))
    frame = pd.DataFrame(dict(zip(fitted.columns, computed, strict=True))).abs().fillna(0.0)
    return {"anomaly ranking": frame, "distance": frame.iloc[:, :1]}


def ranked(frame: pd.DataFrame, first: Rows) -> Floats:
    """The anomaly of each row by a ranking of the first rows of all series."""
    champion = rank_anomalies(frame.iloc[first].reset_index(drop=True)).champion
    return np.asarray(champion.anomaly(frame), dtype=np.float64)


def quiet(scores: Floats) -> Floats:
    """Scores in order of time, -1 where one as high came shortly before."""
    length = max(1, int(QUIET * probation(len(scores))))
    before = pd.Series(scores).rolling(length, min_periods=1).max().shift(1)
    return np.where(scores > before.fillna(-np.inf).to_numpy(), scores, -1.0)


def scored(series: list[Series], scores: Floats) -> dict[str, float]:
    """The benchmark's score by profile of each entity's score."""
    return by_profile(
        [Scored(scores=quiet(scores[one.entities]), windows=one.windows) for one in series]
    )


def probationary(series: list[Series]) -> Rows:
    """Entities of the first part of each series."""
    first = [one.entities[: probation(len(one.entities))] for one in series]
    return np.unique(np.concatenate(first))
