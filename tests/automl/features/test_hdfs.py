"""Sessions of a real log from a spec and nothing else, against the floors of a plain model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import StratifiedKFold

from automl.features.featurizer import Featurizer
from automl.relations.assembling import Assembled, assemble
from automl.relations.spec import Spec

pytestmark = pytest.mark.data

SPEC = {
    "tables": {
        "session": {"role": "entities", "exclude": ["events", "n_events", "part"]},
        "log": {
            "role": "log",
            "key": "key",
            "to": "session.block_id",
            "time_format": "order",
            "message": "message",
            "exclude": ["line"],
            "reading": {"log_format": "key_message"},
        },
    },
    "key": "block_id",
    "target": "label",
    "positive": 1,
}


def model() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(
        n_estimators=100,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=10,
        n_jobs=1,
        verbose=-1,
        random_state=0,
        deterministic=True,
        force_col_wise=True,
    )


def assembled(folder: Path, **first: int) -> Assembled:
    spec = Spec.from_json(SPEC)
    log = replace(spec.tables["log"], **first)
    spec = replace(spec, tables={**spec.tables, "log": log})
    return assemble(
        spec,
        {
            "session": folder / "sessions.parquet",
            "log": folder / "hdfs_100k_sessions.log.gz",
        },
    )


def scores(made: Assembled, folder: Path) -> tuple[float, float]:
    """F1 at the threshold that was best out of fold, and average precision, on the test part."""
    part = pq.read_table(folder / "sessions.parquet")["part"].to_numpy()[made.order]
    assert made.target is not None
    y = np.asarray(made.target).astype(int)
    train, test = np.flatnonzero(part == "train"), np.flatnonzero(part == "test")
    features = Featurizer.fit(
        made.relations.take(train), ["log.templates", "log.sequences", "log.levels"], seed=0
    )
    x, other = (features.transform(made.relations.take(at)) for at in (train, test))
    x.columns = other.columns = [f"f{number}" for number in range(x.shape[1])]
    out = np.zeros(len(train))
    for some, rest in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y[train]):
        fitted = model().fit(x.iloc[some], y[train][some])
        out[rest] = np.asarray(fitted.predict_proba(x.iloc[rest]))[:, 1]
    levels = np.unique(out)[:: max(1, len(np.unique(out)) // 300)]
    best = max(levels, key=lambda one: f1_score(y[train], out >= one))
    found = np.asarray(model().fit(x, y[train]).predict_proba(other))[:, 1]
    return f1_score(y[test], found >= best), average_precision_score(y[test], found)


def test_sessions_from_their_log(shared_data):
    """About half of the positives have the very lines of a normal session: F1 ends at 0.711."""
    folder = shared_data / "hdfs"
    f1, precision = scores(assembled(folder), folder)
    assert f1 >= 0.68
    assert precision >= 0.53


def test_sessions_from_their_first_ten_lines(shared_data):
    folder = shared_data / "hdfs"
    made = assembled(folder, first=10)
    assert np.diff(made.relations.tables["log"].starts(np.arange(100))).max() <= 10
    f1, precision = scores(made, folder)
    assert f1 >= 0.6
    assert precision >= 0.5
