"""Why a row scores as it does: each column's share of the distance from a typical row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.encoding import EncoderInfo, TableEncoder
from automl.errors import DataError

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

# Up to four differing columns all orders are gone through, which is exact; else so many, in pairs
# of an order and its reverse, whose errors partly cancel.
EXACT_COLUMNS = 4
MOST_ORDERS, LEAST_ORDERS = 16, 2
ROW_CELLS = 20_000_000  # for one row, before fewer orders are gone through
BLOCK_CELLS = 4_000_000  # predicted at a time
MOST_CELLS = 400_000_000  # for one request
# And so many CPU-seconds by the pace of its first blocks: what a cell takes depends on the models.
MOST_SECONDS = 20.0


class Explained(Protocol):
    """What has reasons: a champion, or a ranking without labels."""

    @property
    def encoder(self) -> TableEncoder: ...

    @property
    def typical(self) -> Matrix | None: ...

    def matrix(self, X: pd.DataFrame) -> Matrix: ...

    def logit(self, matrix: Matrix) -> Floats: ...


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A column and what it adds to the calibrated logit; above 0 it speaks for the event."""

    column: str
    contribution: float


def typical_row(matrix: Matrix, info: EncoderInfo) -> Matrix:
    """The median of each number and the commonest level of each category, shape (n_columns,).

    A column that is mostly missing is missing. It is no one's row: medians and counts only.
    """
    row = np.empty(matrix.shape[1], dtype=np.float32)
    for i, kind in enumerate(info.kinds):
        column = matrix[:, i]
        seen = column[~np.isnan(column)]
        if 2 * len(seen) < len(column):
            row[i] = np.nan
        elif kind in ("category", "rank"):
            row[i] = np.argmax(np.bincount(seen.astype(np.intp)))
        else:
            row[i] = np.median(seen)
    return row


def reasons(champion: Explained, X: pd.DataFrame, *, n_reasons: int) -> list[tuple[Reason, ...]]:
    """The columns that move each row's score furthest from a typical row's, furthest first.

    Shapley values with one baseline: from the typical row, columns take the row's own cells one
    after the other, and each is given the change of the calibrated logit, averaged over orders.
    All columns' contributions together are the row's logit less the typical row's, exactly; with
    more than four columns that differ, how it is shared out is an estimate by sampled orders,
    the same each time. A table's column is one reason, however many numbers encode it.

    Štrumbelj & Kononenko, Knowledge and Information Systems 2014; Sundararajan & Najmi, "The many
    Shapley values for model explanation", ICML 2020. Mitchell et al., JMLR 2022, for the pairs.

    Not promised: causes. Where columns are alike, they share what they say together.

    Raises
    ------
    DataError
        ``no_typical_row``: a champion saved before there were reasons; ``too_many_rows``:
        more than can be explained at once; and those of `Champion.decision`.
    """
    if champion.typical is None:
        raise DataError(
            "this model was made before reasons were kept; train it again to have them",
            code="no_typical_row",
        )
    if not len(X):
        return []
    matrix = champion.matrix(X)
    origins = champion.encoder.origins
    names = list(dict.fromkeys(origins))
    sources = [np.flatnonzero([origin == name for origin in origins]) for name in names]
    orders = _n_orders(len(names), matrix.shape[1])
    cells = len(matrix) * orders * (len(names) + 1) * matrix.shape[1]
    if cells > MOST_CELLS:
        raise _too_many(len(matrix), len(matrix) * MOST_CELLS // cells)
    shares = contributions(champion, matrix, sources)
    found = []
    for row in shares:
        furthest = np.argsort(-np.abs(row), kind="stable")[:n_reasons]
        found.append(
            tuple(
                Reason(column=names[i], contribution=float(row[i])) for i in furthest if row[i] != 0
            )
        )
    return found


def _too_many(n_rows: int, fitting: int) -> DataError:
    fitting = max(1, fitting)
    return DataError(
        f"reasons for {n_rows:,} rows are more than one request may ask for; send at most "
        f"{fitting:,} rows",
        code="too_many_rows",
        details={"n_rows": n_rows, "most_rows": fitting},
    )


def contributions(
    champion: Explained, matrix: Matrix, sources: list[npt.NDArray[np.intp]]
) -> Floats:
    """Each source's contribution to the calibrated logit, shape (n_rows, n_sources).

    `sources` are the positions of the encoded columns of each.

    Raises
    ------
    DataError
        ``too_many_rows``: at the pace of its first blocks it takes more than 20 CPU-seconds.
    """
    began = time.process_time()
    typical = np.asarray(champion.typical, dtype=np.float32)
    out = np.zeros((len(matrix), len(sources)))
    waiting: list[tuple[int, npt.NDArray[np.intp], Matrix]] = []
    n_cells = 0

    def score() -> None:
        logits = champion.logit(np.concatenate([steps for _, _, steps in waiting]))
        at = 0
        for i, order, steps in waiting:
            own = logits[at : at + len(steps)].reshape(len(order), -1)
            at += len(steps)
            for line, gained in zip(order, np.diff(own, axis=1), strict=True):
                out[i, line] += gained / len(order)

    for i, row in enumerate(matrix):
        same = [np.array_equal(row[own], typical[own], equal_nan=True) for own in sources]
        differing = np.flatnonzero(~np.asarray(same))
        if not len(differing):
            continue
        order = _orders(differing, matrix.shape[1])
        if (len(differing) + 1) * matrix.shape[1] > BLOCK_CELLS:
            for line in order:
                gained = np.diff(_logits_along(champion, row, typical, sources, line))
                out[i, line] += gained / len(order)
            continue
        steps = _steps(row, typical, sources, order)
        waiting.append((i, order, steps))
        n_cells += steps.size
        if n_cells >= BLOCK_CELLS:
            score()
            waiting, n_cells = [], 0
            each = (time.process_time() - began) / (i + 1)
            if each * len(matrix) > MOST_SECONDS and i + 1 < len(matrix):
                raise _too_many(len(matrix), int(0.8 * MOST_SECONDS / each))
    if waiting:
        score()
    return out


def _steps(
    row: Matrix, typical: Matrix, sources: list[npt.NDArray[np.intp]], orders: npt.NDArray[np.intp]
) -> Matrix:
    """The rows between the typical one and this, for each order: both ends are among them."""
    lines = []
    for order in orders:
        steps = np.tile(typical, (len(order) + 1, 1))
        for k, source in enumerate(order):
            steps[k + 1 :, sources[source]] = row[sources[source]]
        lines.append(steps)
    return np.concatenate(lines)


def _logits_along(
    champion: Explained,
    row: Matrix,
    typical: Matrix,
    sources: list[npt.NDArray[np.intp]],
    order: npt.NDArray[np.intp],
) -> Floats:
    """Logits of the steps of one order, a block of them in memory at a time.

    Of 10,000 columns all steps at once would take 400 MB, and models copy what they are given.
    """
    at = typical.copy()
    found = [champion.logit(at[None, :])]
    n_steps = max(1, BLOCK_CELLS // len(row))
    for start in range(0, len(order), n_steps):
        taken = order[start : start + n_steps]
        steps = np.tile(at, (len(taken), 1))
        for k, source in enumerate(taken):
            steps[k:, sources[source]] = row[sources[source]]
        at = steps[-1].copy()
        found.append(champion.logit(steps))
    return np.concatenate(found)


def _orders(differing: npt.NDArray[np.intp], n_columns: int) -> npt.NDArray[np.intp]:
    """Orders of the differing sources, shape (n_orders, n_differing)."""
    if len(differing) <= EXACT_COLUMNS:
        return np.array(list(permutations(differing)), dtype=np.intp)
    # The same for every row, so that a row has the same reasons whatever it is sent with.
    rng = np.random.default_rng(0)
    n_pairs = _n_orders(len(differing), n_columns) // 2
    drawn = [rng.permutation(differing) for _ in range(n_pairs)]
    return np.array([order for one in drawn for order in (one, one[::-1])], dtype=np.intp)


def _n_orders(n_sources: int, n_columns: int) -> int:
    if n_sources <= EXACT_COLUMNS:
        return factorial(n_sources)
    affordable = ROW_CELLS // ((n_sources + 1) * n_columns)
    return 2 * (min(max(affordable, LEAST_ORDERS), MOST_ORDERS) // 2)
