"""What each kind of feature groups is worth: everything against everything but one kind.

Both are run in the same call on the same splits, and both scores stand in the row, so that no row
of another day or commit is compared with. A kind that the search kept on no split needs no run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

N_REPLICATES = 200
SHORT = "without "
METRICS = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}
Row = dict[str, Any]


def draws(
    y: npt.NDArray[Any],
    scores: npt.NDArray[Any],
    base: npt.NDArray[Any],
    *,
    metric: str,
    unit: npt.NDArray[Any] | None = None,
) -> list[float]:
    """Differences of a metric to that of other scores, over the same resampled rows.

    Parameters
    ----------
    unit : what is drawn whole, such as the series of each row; rows by themselves by default

    >>> y, good = np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.2, 0.8])
    >>> set(draws(y, good, good, metric="roc_auc"))
    {0.0}
    """
    rng = np.random.default_rng(0)
    score = METRICS[metric]
    n = len(y)
    units = None if unit is None else [np.flatnonzero(unit == one) for one in np.unique(unit)]
    found: list[float] = []
    while len(found) < N_REPLICATES:
        if units is None:
            at = rng.integers(0, n, n)
        else:
            at = np.concatenate([units[i] for i in rng.integers(0, len(units), len(units))])
        if 0 < y[at].sum() < len(at):
            found.append(round(float(score(y[at], scores[at]) - score(y[at], base[at])), 5))
    return found


def n_kept(kind: str, kept: Iterable[Sequence[str]]) -> int:
    """On how many splits a group of this kind was kept, by the names kept on each.

    >>> n_kept("trends", [["trans.trends"], ["trans.recency"]])
    1
    """
    return sum(any(name.rpartition(".")[2] == kind for name in names) for names in kept)


def compared(
    *,
    kind: str,
    metric: str,
    value: float,
    whole: Mapping[str, Any],
    kept: Iterable[Sequence[str]],
    differences: Sequence[float],
) -> Row:
    """What a row without a kind says beside the cost: both scores, and how sure the gap is.

    `whole` is the row with all kinds, of the same splits.
    """
    names = list(kept)
    return {
        "metric": metric,
        "value": value,
        "of_all": whole[metric] if metric in whole else whole["value"],
        "cpu_seconds_of_all": whole["cpu_seconds"],
        "kept": [n_kept(kind, names), len(names)],
        "differences": list(differences),
    }


def left_out(*, kind: str, metric: str, whole: Mapping[str, Any], kept: Any) -> Row:
    """As `compared`, of a kind that was kept on no split: leaving it out changes nothing."""
    value = whole[metric] if metric in whole else whole["value"]
    same = compared(
        kind=kind, metric=metric, value=value, whole=whole, kept=kept, differences=[0.0]
    )
    return {**same, "cpu_seconds": whole["cpu_seconds"]}


def ablations(rows: Iterable[Row]) -> list[str]:
    """A row for each kind, a column for each set: the score without it, of that with all.

    In brackets the 95 % interval of the paired difference, as a ratio; `-` where the table offers
    no such kind.
    """
    own: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["system"].startswith(SHORT) and "of_all" in row:
            own.setdefault((row["set"], row["system"].removeprefix(SHORT)), []).append(row)
    if not own:
        return []
    sets = list(dict.fromkeys(name for name, _ in own))
    kinds = list(dict.fromkeys(kind for _, kind in own))
    lines = [
        "| without | " + " | ".join(sets) + " |",
        "|---|" + "---:|" * len(sets),
    ]
    lines += [
        f"| {kind} | " + " | ".join(_cell(own.get((name, kind), [])) for name in sets) + " |"
        for kind in kinds
    ]
    return lines


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    if not any(row["kept"][0] for row in rows):
        return "left out"
    whole = float(np.mean([row["of_all"] for row in rows]))
    ratio = float(np.mean([row["value"] for row in rows])) / whole
    # A split that kept nothing of the kind has no difference, in every draw.
    n = max(len(row["differences"]) for row in rows)
    every = [row["differences"] if len(row["differences"]) == n else [0.0] * n for row in rows]
    low, high = np.percentile(np.mean(every, axis=0), [2.5, 97.5]) / whole + 1
    return f"{ratio:.3f} [{low:.3f}, {high:.3f}]"
