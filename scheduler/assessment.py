"""Is training again worth its energy? The numbers, reckoned in a child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scheduler.drift import histograms, moved, score_histogram
from scheduler.fresh import Fresh, Mask, at_most, fresh_of, indexed, seen_by
from scheduler.reading import meter_of, objective_of, source_of
from scheduler.worth import LEVEL, N_REPLICATES

if TYPE_CHECKING:
    import pandas as pd

    from automl.search.champion import Champion
    from automl.search.objective import Objective

# Columns that are named in a decision.
MOST_TOLD = 5


def assess(
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    champion: str,
    sha256: str,
    request: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    judged: bool,
    watts: Mapping[str, float | None],
    identity: Sequence[str] = (),
    layout: str | None = None,
) -> dict[str, Any]:
    """Compare the rows and labels of now with those that a champion was trained or judged on.

    Parameters
    ----------
    now, before : rows as `scheduler.reading.source_of` takes them
    judged : a challenger was compared with the champion on what came until `before`: rows that
        came since are held beside all of those, not beside those of the training alone, or the
        same change would speak for a training every day
    watts : of the meter
    champion, sha256 : folder and checksum of the champion
    request : of the job that made it
    training : histograms of its training, where they are known; they are reckoned else
    identity : columns by which a row is one of before; none: those of before come first
    layout : the folder of the tables around the rows; None where there are none

    Returns
    -------
    dict
        ``n_new_labels, n_new_positive, n_corrected, n_new_rows``; ``drift`` with the most moved
        columns and the scores, None without new rows; ``decay`` with the champion's score then
        and now, None where it cannot be judged; ``histograms`` of the training and of the new
        rows; ``cost`` of finding all this out, without the start of the process.

    Raises
    ------
    DataError
        ``corrupt_model``, and those of reading.
    """
    from automl.meters.base import measure
    from automl.search.champion import Champion

    with measure(meter_of(watts)) as spent:
        rows, old_rows = source_of(now), source_of(before)
        model = Champion.load(Path(champion), sha256=sha256)
        found = fresh_of(rows, old_rows, request, identity=identity)
        told = _assessed(rows, found, model, request, training, judged=judged, layout=layout)
    return {**told, "cost": spent.cost.to_json()}


def _assessed(
    rows: Any,
    found: Fresh,
    model: Champion,
    request: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    *,
    judged: bool,
    layout: str | None,
) -> dict[str, Any]:
    objective = objective_of(request)

    def some(chosen: Mask) -> pd.DataFrame:
        kept = at_most(indexed(np.flatnonzero(chosen), layout=layout))
        return seen_by(model, rows, kept, layout=layout)

    if training is None:
        seen = some(~found.new)
        # Not those out of fold: each fold's model has a floor of its own, and their mean another
        # one, which on a data set without any drift was an index of 2.5.
        scores = score_histogram(model.decision(seen))
        training = {"columns": histograms(seen), "scores": scores}
    base = training
    if judged:  # the same bins, of all rows up to then
        seen = some(~found.new)
        scores = score_histogram(model.decision(seen), like=training["scores"])
        base = {"columns": histograms(seen, like=training["columns"]), "scores": scores}
    drift: dict[str, Any] | None = None
    new: dict[str, Any] | None = None
    frame = some(found.new)
    if len(frame):
        counted = histograms(frame, like=training["columns"])
        new = {"columns": counted, "scores": None}
        told = moved(base["columns"], counted)
        drift = {"columns": told[:MOST_TOLD], "n_columns": len(told), "scores": None}
        scores = score_histogram(model.decision(frame), like=training["scores"])
        new["scores"] = scores
        drift["scores"] = next(iter(moved({"score": base["scores"]}, {"score": scores})), None)
        # For `GET /v1/models/{name}/drift`; the training's own counts are kept beside.
        new |= {"moved": told, "score_moved": drift["scores"]}
        new["before"] = {key: base[key] for key in ("columns", "scores")} if judged else None
    return {
        "n_new_rows": int(found.new.sum()),
        "n_new_labels": found.n_new,
        "n_new_positive": found.n_new_positive,
        "n_corrected": found.n_corrected,
        "drift": drift,
        "decay": _decay(model, rows, found, objective, layout=layout),
        "histograms": {"training": dict(training), "new": new},
    }


def _decay(
    model: Champion, rows: Any, found: Fresh, objective: Objective, *, layout: str | None
) -> dict[str, Any] | None:
    """The champion's score on newly labelled rows beside the one that it was chosen by."""
    from automl.search.metrics import Bootstrap, interval

    record = _record(model)
    fresh = indexed(np.flatnonzero(found.fresh), layout=layout)
    y = found.y[fresh]
    if record is None or not 0 < y.sum() < len(y):
        return None
    kept = at_most(fresh)
    y = found.y[kept]
    if not 0 < y.sum() < len(y):
        return None
    logit = model.decision(seen_by(model, rows, kept, layout=layout))
    old_y, old_logit, weight = record
    # An average precision follows the prevalence: the record is weighted to that of today.
    rate, old_rate = float(y.mean()), float(np.average(old_y, weights=weight))
    weight = weight * np.where(old_y == 1, rate / old_rate, (1 - rate) / (1 - old_rate))
    ones = np.ones(len(y))
    now = objective.replicates(Bootstrap(y, ones, seed=0, n=N_REPLICATES), logit)
    then = objective.replicates(Bootstrap(old_y, weight, seed=1, n=N_REPLICATES), old_logit)
    return {
        "metric": objective.score_name,
        "n_rows": len(y),
        "n_positive": int(y.sum()),
        "score": objective.score(y, logit),
        "interval": _listed(interval(now, level=LEVEL)),
        "at_training": objective.score(old_y, old_logit, weight),
        "difference": _listed(interval(now - then, level=LEVEL)),
    }


def _record(model: Champion) -> tuple[Any, Any, Any] | None:
    """Labels, logits and weights of the rows that the champion was chosen by."""
    from automl.search.ensemble import mean_logit

    kept = model.out_of_fold
    weights = {member.trial: member.weight for member in model.members}
    if "y" not in kept or any(f"logit_{number}" not in kept for number in weights):
        return None
    logit = mean_logit({number: kept[f"logit_{number}"] for number in weights}, weights)
    return np.asarray(kept["y"]), logit, np.asarray(kept["weight"], dtype=np.float64)


def _listed(found: tuple[float, float] | None) -> list[float] | None:
    return None if found is None else list(found)
