"""Drift of a model, column by column, from the counts that schedules keep of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log
from typing import Any

from apiflask import APIBlueprint

from api.context import parts
from api.models import model_of
from api.schemas import ModelQuery
from api.schemas_drift import DriftAnswer, DriftColumn, DriftDay, ShiftAnswer
from scheduler.store_outcomes import TRAINING

drift = APIBlueprint("drift", __name__, url_prefix="/v1", tag="Models")

MOST_DAYS = 31
# From when on a change is worth a word (Siddiqi, "Credit Risk Scorecards", 2006).
SOME = 0.1
# As `scheduler.drift`, whose numpy stays out of this process: an empty bin is no infinity.
PRIOR = 0.5
Json = Mapping[str, Any]


@drift.get("/models/<name>/drift")
@drift.input(ModelQuery, location="query")
@drift.output(DriftAnswer)
@drift.doc(operation_id="getDrift", responses={410: "Deleted"})
def show(name: str, query_data: ModelQuery) -> Any:
    """How far new rows have moved from those of the training: what moved, and since when.

    A schedule looks each day that has new rows; of a model without one nothing is known. Counts
    of bins are kept, never rows, and they go with the data.
    """
    model = model_of(name, query_data)
    looks = parts().store.observations_of(model.id, limit=MOST_DAYS)
    found = [(day, n_rows, counts) for day, n_rows, counts in looks if "moved" in counts]
    training = parts().store.observation(model.id, day=TRAINING) or {}
    days = [
        DriftDay(
            day=day,
            n_rows=n_rows,
            n_moved=sum(has_moved(one) for one in counts["moved"]),
            score_psi=(counts.get("score_moved") or {}).get("psi"),
        )
        for day, n_rows, counts in found
    ]
    about = {"model": model.name, "version": model.version, "trained_at": model.created_at}
    if not found:
        nothing = {"day": None, "n_rows": None, "against": None, "scores": None}
        return DriftAnswer(**about, **nothing, columns=[], days=[])
    day, n_rows, newest = found[0]
    before = newest.get("before") or training
    history = [(on, [*counts["moved"], _score(counts)]) for on, _, counts in found]

    def told(one: Json, then: Json | None, now: Json | None) -> DriftColumn:
        return DriftColumn(
            column="score" if one["column"] == SCORE else one["column"],
            psi=one["psi"],
            chance=one["chance"] if isfinite(one["chance"]) else None,
            moved=has_moved(one),
            since=since(history, one["column"]),
            shift=None if then is None or now is None else shift(then, now),
        )

    was, is_now = before.get("columns") or {}, newest["columns"]
    score = newest.get("score_moved")
    return DriftAnswer(
        **about,
        day=day,
        n_rows=n_rows,
        against="judged" if newest.get("before") else "training",
        columns=[
            told(one, was.get(one["column"]), is_now.get(one["column"])) for one in newest["moved"]
        ],
        scores=None
        if score is None
        else told(_score(newest), before.get("scores"), newest["scores"]),
        days=days,
    )


# Under this name the scores stand beside the columns: no column of a model can have it.
SCORE = "\0score"


def _score(counts: Json) -> Json:
    return {"psi": 0.0, "chance": 0.0, **(counts.get("score_moved") or {}), "column": SCORE}


def has_moved(one: Json) -> bool:
    """Whether an index is more than none, and more than chance reaches.

    >>> has_moved({"psi": 0.15, "chance": 0.02}), has_moved({"psi": 0.15, "chance": 0.3})
    (True, False)
    """
    return bool(one["psi"] > SOME and one["psi"] > one["chance"])


def since(history: Sequence[tuple[str, Sequence[Json]]], column: str) -> str | None:
    """The first of the newest days in a row on which a column was found moved.

    >>> far, near = {"psi": 0.5, "chance": 0.1}, {"psi": 0.01, "chance": 0.1}
    >>> days = [("2026-11-23", far), ("2026-11-22", far), ("2026-11-21", near), ("2026-11-20", far)]
    >>> since([(day, [{"column": "age", **one}]) for day, one in days], "age")
    '2026-11-22'
    """
    first = None
    for day, told in history:
        if not any(one["column"] == column and has_moved(one) for one in told):
            break
        first = day
    return first


def shift(before: Json, now: Json) -> ShiftAnswer | None:
    """The bin that adds most to the index; None of counts that have no bins in common.

    >>> found = shift({"edges": [10.0, 20.0], "counts": [50, 40, 10, 0]},
    ...               {"edges": [10.0, 20.0], "counts": [10, 10, 80, 0]})
    >>> found.above, found.up_to, found.before, found.now
    (20.0, None, 0.1, 0.8)
    >>> shift({"levels": ["north"], "counts": [9, 1, 0]}, {"counts": [1, 1, 8]}).missing
    True
    """
    a, b = before["counts"], now["counts"]
    n, m = sum(a), sum(b)
    if len(a) != len(b) or not n or not m:
        return None
    p = [(one + PRIOR) / (n + PRIOR * len(a)) for one in a]
    q = [(one + PRIOR) / (m + PRIOR * len(b)) for one in b]
    # A bin that is empty in both differs by the prior only.
    places = [i for i in range(len(a)) if a[i] or b[i]]
    place = max(places, key=lambda i: (q[i] - p[i]) * log(q[i] / p[i]))
    edges, levels = before.get("edges"), before.get("levels")
    missing = place == len(a) - 1
    above = up_to = level = None
    if not missing and edges is not None:
        above = edges[place - 1] if place else None
        up_to = edges[place] if place < len(edges) else None
    elif not missing and levels is not None and place < len(levels):
        level = levels[place]
    return ShiftAnswer(
        above=above,
        up_to=up_to,
        level=level,
        others=not missing and levels is not None and place == len(levels),
        missing=missing,
        before=a[place] / n,
        now=b[place] / m,
    )
