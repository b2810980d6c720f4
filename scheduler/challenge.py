"""The champion and its challenger on rows whose labels neither has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scheduler.errors import Gone
from scheduler.fresh import (
    Fresh,
    Labels,
    Mask,
    Rows,
    at_most,
    fresh_of,
    identity_of,
    indexed,
    parts_before,
    seen_by,
)
from scheduler.reading import key_of, objective_of
from scheduler.records import DatasetState
from scheduler.relating import LAYOUT
from scheduler.work import Work, source_of_job
from scheduler.worth import LEAST_NEW_POSITIVES, LEVEL, N_REPLICATES

if TYPE_CHECKING:
    from automl.data.dataset import Dataset
    from automl.search.anomaly import AnomalyRanker
    from automl.search.champion import Champion
    from automl.search.objective import Objective

Floats = npt.NDArray[np.float64]

# With fewer positives on the rows that judge, a difference is one row or another.
LEAST_POSITIVES = LEAST_NEW_POSITIVES // 2
# Rows kept from the challenger, at most: it is to learn from the others.
MOST_SHARE = 0.2


def judging_rows(found: Fresh, time: npt.NDArray[Any] | None) -> Rows:
    """The rows that judge, kept from the challenger: the newest of those with new labels.

    They begin so late that as many new positives come before them as among them, and are at most
    a fifth of all rows with a label. None where they would have fewer than five positives.

    Parameters
    ----------
    time : of every row, sortable; None: rows are in the order in which they came
    """
    rows = np.flatnonzero(found.fresh)
    if time is not None:
        rows = rows[np.argsort(time[rows], kind="stable")]
    positives = np.flatnonzero(found.y[rows] == 1)
    if len(positives) < LEAST_NEW_POSITIVES:
        return np.empty(0, dtype=np.intp)
    begin = int(positives[len(positives) // 2])
    begin = max(begin, len(rows) - max(int(MOST_SHARE * (found.y >= 0).sum()), 1))
    chosen = rows[begin:]
    classes = np.bincount(found.y[chosen], minlength=2)
    return np.sort(chosen) if classes.min() >= LEAST_POSITIVES else np.empty(0, dtype=np.intp)


def training_rows(work: Work) -> Rows | None:
    """Which of the rows with a label a challenger is trained on; None: all of them.

    Those that are to judge it are left out.
    """
    if not _is_challenge(work.job.request):
        return None
    found, held = _held_out(work)
    if not len(held):
        return None
    keep = np.ones(len(found.y), dtype=bool)
    keep[held] = False
    return np.flatnonzero(keep[found.y >= 0])


def some_rows(dataset: Dataset, rows: Rows | None) -> Dataset:
    """Only these rows of a data set; all where there are none."""
    if rows is None:
        return dataset

    def some(values: npt.NDArray[Any] | None) -> Any:
        return None if values is None else values[rows]

    return replace(
        dataset,
        X=dataset.X.iloc[rows].reset_index(drop=True),
        y=dataset.y[rows],
        time=some(dataset.time),
        group=some(dataset.group),
        weight=some(dataset.weight),
    )


def known_rows(work: Work) -> Mask | None:
    """Which stored rows had a label that the champion knew, shape (n_rows,).

    Of a job that was told to start from it, by the data set that it was trained on; None where that
    was deleted.
    """
    request = work.job.request
    if _is_challenge(request):
        found = _fresh(work)
    else:
        try:
            found = _since(work, _then(work))
        except Gone:
            return None
    return np.asarray((found.y >= 0) & ~found.fresh)


def challenged(work: Work, challenger: Champion | AnomalyRanker) -> dict[str, Any] | None:
    """How the challenger does beside the champion; None where the job is no challenge."""
    request = work.job.request
    if not _is_challenge(request):
        return None
    from automl.search.champion import Champion

    if not isinstance(challenger, Champion):  # trained without labels: there is nothing to judge by
        return None

    asked = request["retraining"]["champion"]
    found, held = _held_out(work)
    about = {"champion": asked["version"], "n_new_labels": found.n_new}
    if not len(held):
        return about | {
            "wins": False,
            "because": f"{found.n_new_positive} positives are new, too few to judge by",
        }
    model = work.store.model_by_id(work.job.project_id, asked["id"])
    champion = Champion.load(work.artifacts.path(model.artifact), sha256=model.sha256)
    held, source, layout = at_most(held), source_of_job(work), layout_of(work)
    return about | compared(
        champion.decision(seen_by(champion, source, held, layout=layout)),
        challenger.decision(seen_by(challenger, source, held, layout=layout)),
        found.y[held],
        objective=objective_of(request),
        seed=0,
    )


def compared(
    old: Floats,
    new: Floats,
    y: Labels,
    *,
    objective: Objective,
    seed: int,
) -> dict[str, Any]:
    """A paired bootstrap of the difference of their scores, as JSON values.

    The challenger wins when the whole 90 % interval of the difference is above 0.

    Parameters
    ----------
    old, new : logits of the champion and of the challenger, each of its own columns
    """
    from automl.search.metrics import Bootstrap, interval

    bootstrap = Bootstrap(y, np.ones(len(y)), seed=seed, n=N_REPLICATES)
    difference = objective.replicates(bootstrap, new) - objective.replicates(bootstrap, old)
    spread = interval(difference, level=LEVEL)
    scores = objective.score(y, old), objective.score(y, new)
    wins = spread is not None and spread[0] > 0
    name = objective.score_name
    said = f"{name} {scores[1]:.4g} against {scores[0]:.4g}"
    between = "" if spread is None else f", difference in [{spread[0]:.3g}, {spread[1]:.3g}]"
    return {
        "metric": name,
        "n_rows": len(y),
        "n_positive": int(y.sum()),
        "champion_score": scores[0],
        "challenger_score": scores[1],
        "difference": scores[1] - scores[0],
        "interval": None if spread is None else list(spread),
        "level": LEVEL,
        "wins": wins,
        "because": f"{said}{between} on {len(y):,} newest labels, {int(y.sum()):,} positive",
    }


def layout_of(work: Work) -> str | None:
    """The folder of the tables around a job's rows; None where there are none."""
    stored = work.store.get_dataset(work.job.project_id, work.job.dataset_id)
    if stored.spec is None or stored.artifact is None:
        return None
    return str(work.artifacts.path(stored.artifact) / LAYOUT)


def _fresh(work: Work) -> Fresh:
    return _since(work, work.job.request["retraining"]["before"])


def _then(work: Work) -> dict[str, Any]:
    """What the champion that a job was told to start from was trained on. Raises Gone."""
    project_id, start = work.job.project_id, work.job.request["admission"]["start"]
    now = work.store.get_dataset(project_id, work.job.dataset_id)
    model = work.store.model_by_id(project_id, start["id"])
    then = work.store.get_dataset(project_id, model.dataset_id)
    if then.state is not DatasetState.READY:
        raise Gone("the data set of the model to start from was deleted")
    made = work.store.job(model.job_id).request
    late = ((made.get("retraining") or {}).get("labels") or {}).get("artifacts") or ()
    return {
        "dataset": then.id,
        "identity": identity_of(now, then),
        "labels": [key for key in late if work.artifacts.exists(key)],
    }


def _since(work: Work, then: Mapping[str, Any]) -> Fresh:
    """What is new since a champion knew the rows and labels of `then`."""
    request, now = work.job.request, source_of_job(work)
    stored = work.store.get_dataset(work.job.project_id, work.job.dataset_id)
    now = replace(now, target=request["target"], key=now.key or key_of(stored))
    parts = parts_before(then, stored, store=work.store, artifacts=work.artifacts)
    before = replace(
        now,
        parts=tuple(map(Path, parts)),
        labels=tuple(work.artifacts.path(key) for key in then["labels"]),
    )
    return fresh_of(now, before, request, identity=then.get("identity") or ())


def _held_out(work: Work) -> tuple[Fresh, Rows]:
    request, now, found = work.job.request, source_of_job(work), _fresh(work)
    time = None
    if request.get("time_column") is not None:
        from automl.data.versions import Joining

        with Joining(now.parts) as joining:
            time = _sortable(joining.column(request["time_column"]))
    return found, indexed(judging_rows(found, time), layout=layout_of(work))


def _sortable(column: Any) -> npt.NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))


def _is_challenge(request: Mapping[str, Any]) -> bool:
    return (request.get("retraining") or {}).get("champion") is not None
