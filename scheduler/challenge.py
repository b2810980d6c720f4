"""The champion and its challenger on rows whose labels neither has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scheduler.work import Work, objective_of, source_of_job
from scheduler.worth import LEAST_NEW_POSITIVES

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.dataset import Dataset
    from automl.data.versions import Source
    from automl.search.anomaly import AnomalyRanker
    from automl.search.champion import Champion
    from automl.search.objective import Objective

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int8]
Rows = npt.NDArray[np.intp]

# With fewer positives on the rows that judge, a difference is one row or another.
LEAST_POSITIVES = LEAST_NEW_POSITIVES // 2
# Rows kept from the challenger, at most: it is to learn from the others.
MOST_SHARE = 0.2
N_REPLICATES = 400
# Of a 90 % interval one side is 95 % sure.
LEVEL = 0.9
# Rows of which scores or histograms are made, at most.
MOST_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """Rows by what is known of their labels, each array of shape (n_rows,).

    y is 1, 0, or -1 without a label; `fresh` rows had none when the champion was trained, and
    those from `n_before` on were not there.
    """

    y: Labels
    fresh: Mask
    n_before: int
    n_corrected: int  # labels that are not what they were

    @property
    def n_new(self) -> int:
        """Rows with a label that the champion did not see."""
        return int(self.fresh.sum())

    @property
    def n_new_positive(self) -> int:
        """Those of them that are positive."""
        return int(self.y[self.fresh].sum())


def fresh_of(now: Source, before: Source, request: Mapping[str, Any]) -> Fresh:
    """Compare the labels of now with those that a champion was trained on."""
    from automl.data.target import labels, wanted

    positive = wanted(request.get("positive"))
    y = labels(now.target_values(), positive)
    old = labels(before.target_values(), positive)
    known = np.zeros(len(y), dtype=bool)
    known[: len(old)] = old >= 0
    both = known & (y >= 0)
    return Fresh(
        y=y,
        fresh=(y >= 0) & ~known,
        n_before=len(old),
        n_corrected=int((y[: len(old)][both[: len(old)]] != old[both[: len(old)]]).sum()),
    )


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


def training_rows(work: Work, dataset: Dataset) -> Dataset:
    """What a challenger is trained on: all rows but those that are to judge it."""
    if not _is_challenge(work.job.request):
        return dataset
    found, held = _held_out(work)
    keep = np.ones(len(found.y), dtype=bool)
    keep[held] = False
    rows = np.flatnonzero(keep[found.y >= 0])  # of the dataset, which has rows with a label only
    if len(rows) == dataset.n_rows:
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
    held = at_most(held)
    X = features(source_of_job(work), {*champion.columns, *challenger.columns}, held)
    return about | compared(
        champion, challenger, X, found.y[held], objective=objective_of(request), seed=0
    )


def compared(
    champion: Champion,
    challenger: Champion,
    X: pd.DataFrame,
    y: Labels,
    *,
    objective: Objective,
    seed: int,
) -> dict[str, Any]:
    """A paired bootstrap of the difference of their scores, as JSON values.

    The challenger wins when the whole 90 % interval of the difference is above 0.
    """
    from automl.search.metrics import Bootstrap, interval

    old, new = champion.decision(X), challenger.decision(X)
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


def features(source: Source, names: set[str], rows: Rows) -> pd.DataFrame:
    """Columns of some rows, as `automl.data.loading.load` gives them; without those not there."""
    import pandas as pd
    import pyarrow as pa

    from automl.data.series import to_series
    from automl.data.versions import Joining

    chosen = pa.array(rows)
    with Joining(source.parts) as joining:
        present = [name for name in joining.schema.names if name in names]
        columns = {name: to_series(joining.column(name).take(chosen)) for name in present}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _held_out(work: Work) -> tuple[Fresh, Rows]:
    from automl.data.versions import Joining, Source

    request, now = work.job.request, source_of_job(work)
    then = request["retraining"]["before"]
    before = Source(
        parts=now.parts[: then["n_parts"]],
        labels=tuple(work.artifacts.path(key) for key in then["labels"]),
        key=now.key,
        target=now.target,
    )
    found = fresh_of(now, before, request)
    time = None
    if request.get("time_column") is not None:
        with Joining(now.parts) as joining:
            time = _sortable(joining.column(request["time_column"]))
    return found, judging_rows(found, time)


def _sortable(column: Any) -> npt.NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))


def at_most(rows: Rows) -> Rows:
    """At most `MOST_ROWS` of the rows, evenly spread: the share of positives stays about the same.

    >>> len(at_most(np.arange(60_000)))
    50000
    """
    if len(rows) <= MOST_ROWS:
        return rows
    places = np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.intp)
    return np.asarray(rows[places])


def _is_challenge(request: Mapping[str, Any]) -> bool:
    return (request.get("retraining") or {}).get("champion") is not None
