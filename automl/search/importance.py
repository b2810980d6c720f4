"""Which columns a champion leans on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from automl.search.reasons import Explained

# Rows times columns that are predicted, at most: about what measuring the champion takes.
MOST_CELLS = 6_000
MOST_ROWS, LEAST_ROWS = 300, 20
AT_ONCE_CELLS = 2**21  # 16 MiB
METHOD = (
    "Mean change of the log-odds when the cells of one column are exchanged among {n_rows} rows of "
    "the training data, the others left as they are. No label is used: it tells what the model "
    "leans on, not what is true; alike columns share what they say."
)


def spread(X: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_ROWS` rows from all over a table: the first ones may be of one day.

    >>> spread(pd.DataFrame({"a": range(900)}))["a"].iloc[[0, 1, -1]].tolist()
    [0, 3, 899]
    """
    places = np.linspace(0, max(len(X) - 1, 0), min(len(X), MOST_ROWS)).astype(np.intp)
    return X.iloc[places]


def importance(champion: Explained, X: pd.DataFrame, *, seed: int) -> dict[str, Any] | None:
    """How far each column moves the scores: permutation importance without labels.

    After Breiman, "Random forests", Machine Learning 2001, with the change of the score in place
    of that of the error, since all rows are among those that the champion was fitted on.

    Returns
    -------
    dict or None
        ``method`` and ``columns``, each with ``column`` and ``importance`` (mean absolute change of
        the log-odds), the greatest first. None where there are too few rows or too many columns.
    """
    origins = champion.encoder.origins
    names = list(dict.fromkeys(origins))
    n_rows = min(len(X), MOST_ROWS, MOST_CELLS // max(len(names), 1))
    if n_rows < LEAST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    # Of a spread sample the first rows would be of one end again.
    chosen = np.linspace(0, len(X) - 1, n_rows).astype(np.intp)
    matrix = champion.matrix(X.iloc[chosen])
    before = champion.logit(matrix)
    order = rng.permutation(n_rows)
    found: list[tuple[str, float]] = []
    # Many at once: a prediction of few rows takes some models as long as one of thousands.
    at_once = max(1, AT_ONCE_CELLS // max(matrix.size, 1))
    for start in range(0, len(names), at_once):
        some = names[start : start + at_once]
        changed = np.tile(matrix, (len(some), 1))
        for place, name in enumerate(some):
            own = np.flatnonzero([origin == name for origin in origins])
            rows = slice(place * n_rows, (place + 1) * n_rows)
            changed[rows, own] = matrix[order][:, own]
        moved = np.abs(champion.logit(changed).reshape(len(some), n_rows) - before).mean(axis=1)
        found += [(str(name), float(f"{far:.6g}")) for name, far in zip(some, moved, strict=True)]
    found.sort(key=lambda one: -one[1])
    columns = [{"column": name, "importance": moved} for name, moved in found]
    return {"method": METHOD.format(n_rows=n_rows), "columns": columns}
