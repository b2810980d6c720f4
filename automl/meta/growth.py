"""What a finished search adds to the knowledge: aggregates only, neither names nor values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from automl.meta.features import META_NAMES, Meta
from automl.meta.knowledge import Knowledge
from automl.meta.likeness import TableSketch
from automl.meta.task import Task
from automl.trial import Trial

METRIC = "average_precision"
FULL_WEIGHT_POSITIVES = 500  # of fewer positives scores are noisier, and count in proportion
LEAST_CONFIGS = 2  # one alone is the best of one, which says nothing
LARGEST_NUMBER = 10**12  # of anything in a line; more is a broken line


def contribution(
    trials: Sequence[Trial],
    *,
    knowledge: Knowledge,
    meta: Meta,
    n_rows: int,
    n_positive: int,
    n_columns: int,
    seed: int,
    sketch: TableSketch | None,
) -> dict[str, Any] | None:
    """The line of one search: relative score and cost of each known configuration that it ran.

    Scores of the sample that most configurations were raced on compare; None where fewer than
    two of them were scored there.
    """
    known = [
        trial
        for trial in trials
        if knowledge.config(trial.candidate) is not None
        and trial.error is None
        and trial.scores.get(METRIC, 0.0) > 0
    ]
    raced = Counter(trial.proposal.n_rows for trial in known)
    if not raced:
        return None
    most = max(raced, key=lambda n: (raced[n], -n))
    ran = {trial.candidate.id: trial for trial in known if trial.proposal.n_rows == most}
    if len(ran) < LEAST_CONFIGS:
        return None
    best = max(trial.scores[METRIC] for trial in ran.values())
    unit = min(trial.cost.cpu_seconds for trial in ran.values()) or 1.0
    return {
        "n": n_rows,
        "pos": n_positive,
        "d": n_columns,
        "seed": seed,
        "meta": list(meta),
        "rel": {key: round(trial.scores[METRIC] / best, 3) for key, trial in ran.items()},
        "cost": {key: round(trial.cost.cpu_seconds / unit, 2) for key, trial in ran.items()},
        "sketch": None if sketch is None else sketch.to_text(),
    }


def to_tasks(lines: Sequence[Mapping[str, Any]]) -> tuple[list[Task], int]:
    """Tasks of contributions, oldest first, and how many lines were none.

    All searches on one table, or on versions of it, together weigh as much as one.
    """
    tasks: list[Task] = []
    n_skipped = 0
    for position, line in enumerate(lines):
        try:
            tasks.append(_task(line, position))
        except (ValueError, TypeError, KeyError, AttributeError):
            n_skipped += 1
    often = Counter(task.group for task in tasks)
    return [replace(task, weight=task.weight / often[task.group]) for task in tasks], n_skipped


def _task(line: Mapping[str, Any], position: int) -> Task:
    counts = [_number(line[name]) for name in ("n", "pos", "d")]
    n_rows, n_positive, n_columns = (int(count) for count in counts)
    meta = tuple(None if one is None else _number(one) for one in line["meta"])
    if len(meta) != len(META_NAMES) or n_positive < 1:
        raise ValueError("this is no contribution")
    rel = {str(key): _number(one) for key, one in line["rel"].items()}
    if len(rel) < LEAST_CONFIGS or not all(0 < one <= 1 for one in rel.values()):
        raise ValueError("relative scores lie above 0, up to 1")
    sketch = None if line.get("sketch") is None else TableSketch.from_text(line["sketch"])
    return Task(
        id=f"local/{position}",
        group=f"local/{sketch.columns if sketch is not None else position}",
        source="local",
        weight=min(1.0, n_positive / FULL_WEIGHT_POSITIVES),
        n_rows=n_rows,
        n_positive=n_positive,
        n_columns=n_columns,
        meta=meta,
        options={(key, key): (one, one) for key, one in rel.items()},
        costs={str(key): _number(one) for key, one in line["cost"].items()},
        sketch=sketch,
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not abs(value) <= LARGEST_NUMBER:
        raise ValueError("not a finite number of a usual size")
    return float(value)
