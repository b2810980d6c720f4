"""Rows ranked by how odd they are, where there are no labels at all.

Nothing is searched: without labels nothing tells a better ranking from a worse, so one is fitted,
that of the evidence (docs/method.md, Without labels). No probability is claimed, and no score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.cost import Cost
from automl.data.encoding import TableEncoder
from automl.errors import DataError
from automl.meters.base import Meter
from automl.models.gaussian import Gaussian
from automl.models.isolation import N_TREES, Isolation
from automl.search.around import Around
from automl.search.champion import Member, checked, cost_per_1000_rows, missing_columns

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

KIND = "anomaly ranking"
# Training rows that others are compared with: the share of alerts is right within 7 % at 1 %.
# Fewer of them where there are many columns.
REFERENCE_ROWS, REFERENCE_CELLS, LEAST_REFERENCE = 20_000, 5_000_000, 1000
# CPU-seconds of the trees, and of each row and column that is scored: measured 2026-11-23 on one
# of two shared x86-64 cores.
FIT_SECONDS, ROW_SECONDS, CELL_SECONDS = 0.15, 2.5e-5, 4e-7

NOTHING_MEASURED = (
    "There were no labels, so nothing says whether odd rows are the ones that matter: neither "
    "precision nor recall, nor any probability, was measured. Look at the first alerts, label "
    "them, and train on the labels."
)


@dataclass(frozen=True, kw_only=True)
class AnomalyRanker:
    """An encoder, two scores of how odd a row is, and the rows of training to compare with.

    The scores are an isolation forest's and the distance from the middle once each column is
    normal; each is replaced by the share of training rows that look less odd, and the two are
    averaged. `references` are the sorted scores of training rows, of the forest, the distance and
    the mean; no row of the data is kept.

    Not promised: that odd rows are the event somebody looks for.
    """

    encoder: TableEncoder
    isolation: Isolation
    gaussian: Gaussian
    references: tuple[Floats, Floats, Floats]
    alert_rate: float
    schema: tuple[Mapping[str, str], ...]
    typical: Matrix
    provenance: Mapping[str, Any] = field(default_factory=dict)
    # What it makes of the tables around its rows; None where it reads one table only.
    tables: Around | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns that it was given, in their order, computed ones too."""
        return [column["name"] for column in self.schema]

    @property
    def own_columns(self) -> list[str]:
        """Those of them that a row brings itself."""
        made = set() if self.tables is None else set(self.tables.made)
        return [name for name in self.columns if name not in made]

    @property
    def members(self) -> tuple[Member, ...]:
        """None: it is no ensemble of trials."""
        return ()

    @property
    def threshold(self) -> float:
        """Of the anomaly, from which on a row is alerted."""
        return 1.0 - self.alert_rate

    def matrix(self, X: pd.DataFrame) -> Matrix:
        """Encoded cells, shape (n_rows, n_encoded).

        Raises
        ------
        DataError
            ``missing_columns``; extra columns are ignored.
        """
        absent = missing_columns(X, self.encoder, self.columns)
        if absent:
            raise DataError(
                f"{len(absent)} of {len(self.schema)} columns are missing, first {absent[0]!r}",
                code="missing_columns",
                column=absent[0],
                details={"columns": absent},
            )
        return self.encoder.transform(X) if len(X) else np.empty((0, 0), dtype=np.float32)

    def anomaly(self, X: pd.DataFrame) -> Floats:
        """Share of the training rows that look less odd, 0 to 1, shape (n_rows,).

        Raises
        ------
        DataError
            As `matrix`.
        """
        return self.share(self.matrix(X))

    def share(self, matrix: Matrix) -> Floats:
        """As `anomaly`, of encoded rows."""
        if not len(matrix):
            return np.empty(0)
        return below(self.references[2], self._mean(matrix))

    def alert(self, X: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Rows to look at: those odder than all but `alert_rate` of the training rows."""
        return np.asarray(self.anomaly(X) >= self.threshold)

    def logit(self, matrix: Matrix) -> Floats:
        """Log-odds of the anomaly: the scale that reasons add up on; finite at both ends."""
        n_rows = len(self.references[2])
        share = (self.share(matrix) * n_rows + 0.5) / (n_rows + 1)
        return np.asarray(np.log(share) - np.log1p(-share))

    def check(self, X: pd.DataFrame) -> dict[str, Any]:
        """How these rows differ from the training data: as `Champion.check`."""
        return checked(X, self.encoder, self.columns)

    def card(self) -> dict[str, Any]:
        """What a reader should know before using it, as JSON values."""
        return {
            "kind": KIND,
            "measured": NOTHING_MEASURED,
            "method": (
                "the mean of two percentiles among the training rows: of an isolation forest "
                f"({N_TREES} trees) and of the Mahalanobis distance on normal scores"
            ),
            "threshold": self.threshold,
            "alert_rate": self.alert_rate,
            "columns": [dict(column) for column in self.schema],
            "dropped_columns": [dict(column) for column in self.encoder.dropped],
            "provenance": dict(self.provenance),
        }

    def save(self, folder: Path | str) -> str:
        """Write it into a new or empty folder without pickle; returns the manifest's SHA-256."""
        from automl.search.anomaly_files import write

        return write(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, *, sha256: str | None = None) -> AnomalyRanker:
        """Read what `save` wrote, every checksum first; see `Champion.load`.

        Raises
        ------
        DataError
            ``corrupt_model``.
        """
        from automl.search.anomaly_files import read

        return read(Path(folder), sha256=sha256)

    def _mean(self, matrix: Matrix) -> Floats:
        first = below(self.references[0], self.isolation.oddness(matrix))
        second = below(self.references[1], self.gaussian.oddness(matrix))
        return np.asarray((first + second) / 2)


def expected_seconds(*, n_rows: int, n_columns: int) -> float:
    """CPU-seconds that ranking is expected to take after encoding: a pure function."""
    scored = n_reference(n_rows, n_columns)
    return FIT_SECONDS + scored * (ROW_SECONDS + CELL_SECONDS * n_columns)


def predict_cost(champion: AnomalyRanker, X: pd.DataFrame, *, meter: Meter) -> Cost:
    """What it takes per 1,000 rows: measured on up to so many, after a first go."""
    return cost_per_1000_rows(champion.anomaly, X, meter=meter)


def below(reference: Floats, values: Floats) -> Floats:
    """Share of the sorted reference below each value; ties count half."""
    low = np.searchsorted(reference, values, side="left")
    high = np.searchsorted(reference, values, side="right")
    return np.asarray((low + high) / (2 * len(reference)))


def n_reference(n_rows: int, n_columns: int) -> int:
    """How many training rows others are compared with."""
    return min(n_rows, REFERENCE_ROWS, max(LEAST_REFERENCE, REFERENCE_CELLS // n_columns))
