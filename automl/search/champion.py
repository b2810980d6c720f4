"""The model that a search ends with: it predicts, explains itself, saves and loads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.cost import Cost
from automl.data.encoding import TableEncoder
from automl.errors import DataError
from automl.meters.base import Meter, measure
from automl.search.around import Around
from automl.search.calibration import Platt
from automl.search.fitted import Fitted
from automl.search.seen import Seen
from automl.trial import Candidate

Floats = npt.NDArray[np.float64]

PREDICT_ROWS = 1000
SINGLE_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Member:
    """One trial of the ensemble: the mean logit of its models, and its share of the whole."""

    trial: int
    candidate: Candidate
    weight: float
    models: tuple[Fitted, ...]

    @property
    def fitted_rows(self) -> int | None:
        """Rows of its fullest fit, which may be a sample of the data's; None where not known."""
        known = [fitted.n_rows for fitted in self.models if fitted.n_rows is not None]
        return max(known, default=None)

    def decision(self, matrix: npt.NDArray[np.float32]) -> Floats:
        logits = [fitted.decision(matrix) for fitted in self.models]
        return np.asarray(np.mean(logits, axis=0))


@dataclass(frozen=True, kw_only=True)
class Champion:
    """An encoder, one to four members, a calibration, and a threshold for alerts.

    Columns are found by name, so their order is free and further ones are ignored; an unseen
    category counts as missing or rarest. `check` says how far rows are from the training data.

    Not promised: good probabilities where the prevalence has changed since.
    """

    encoder: TableEncoder
    members: tuple[Member, ...]
    calibration: Platt
    threshold: float  # on the probability
    alert_rate: float  # the share of rows that the threshold was chosen for, or that it alerts
    schema: tuple[Mapping[str, str], ...]  # {"name", "type"} of every column it was given
    provenance: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)  # out of fold, of the whole
    # Scores on the validation rows: rows, y, weight, probability, and logit_<trial> of finalists.
    out_of_fold: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    # Encoded cells that rows are compared with for reasons, shape (n_columns,); None where it was
    # saved before there were any.
    typical: npt.NDArray[np.float32] | None = None
    # Which rows its models have seen, for a search that starts from it: those of its own data,
    # and of older data where models of theirs are among its own.
    seen: tuple[Seen, ...] = ()
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

    def decision(self, X: pd.DataFrame) -> Floats:
        """Logits at the true prevalence before calibration, shape (n_rows,).

        Raises
        ------
        DataError
            ``missing_columns`` or ``wrong_type``; extra columns are ignored.
        """
        return self._decision(self.matrix(X))

    def matrix(self, X: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Encoded cells, shape (n_rows, n_encoded); raises as `decision`."""
        absent = self._missing(X)
        if absent:
            raise DataError(
                f"{len(absent)} of {len(self.schema)} columns are missing, first {absent[0]!r}",
                code="missing_columns",
                column=absent[0],
                details={"columns": absent},
            )
        return self.encoder.transform(X) if len(X) else np.empty((0, 0), dtype=np.float32)

    def logit(self, matrix: npt.NDArray[np.float32]) -> Floats:
        """Calibrated logits of encoded rows, shape (n_rows,)."""
        return self.calibration.log_odds(self._decision(matrix))

    def _decision(self, matrix: npt.NDArray[np.float32]) -> Floats:
        total = np.zeros(len(matrix))
        for member in self.members if len(matrix) else ():
            total += member.weight * member.decision(matrix)
        return total

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Calibrated probability of the positive class at the true prevalence, shape (n_rows,)."""
        return self.calibration.probability(self.decision(X))

    def alert(self, X: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Rows to look at: probability at or above the threshold, shape (n_rows,)."""
        return np.asarray(self.predict_proba(X) >= self.threshold)

    def check(self, X: pd.DataFrame) -> dict[str, Any]:
        """How these rows differ from the training data: names and counts, no cell values.

        `out_of_range_share` is that of the worst column, beside `out_of_range` for each.
        """
        return checked(X, self.encoder, self.columns)

    def card(self) -> dict[str, Any]:
        """What a reader should know before using it, as JSON values."""
        return {
            "kind": "binary classifier for a rare event",
            "members": [
                {
                    "trial": member.trial,
                    "model": member.candidate.model,
                    "params": dict(member.candidate.params),
                    "weight": member.weight,
                    "n_models": len(member.models),
                    "fitted_rows": member.fitted_rows,
                }
                for member in self.members
            ],
            "scores": dict(self.scores),
            "threshold": self.threshold,
            "alert_rate": self.alert_rate,
            "calibration": {
                "method": "Platt scaling on out-of-fold logits at the true prevalence",
                "slope": self.calibration.slope,
                "intercept": self.calibration.intercept,
            },
            "columns": [dict(column) for column in self.schema],
            "dropped_columns": [dict(column) for column in self.encoder.dropped],
            "provenance": dict(self.provenance),
        }

    def save(self, folder: Path | str) -> str:
        """Write it into a new or empty folder without pickle; returns the manifest's SHA-256."""
        from automl.search.champion_files import write

        return write(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, *, sha256: str | None = None) -> Champion:
        """Read what `save` wrote, every checksum first.

        `sha256` is what `save` returned. The checksums inside the folder tell a rotten file; only
        this one, kept elsewhere, tells a replaced folder.

        Raises
        ------
        DataError
            ``corrupt_model``: a file is missing, altered, or of another format.
        """
        from automl.search.champion_files import read

        return read(Path(folder), sha256=sha256)

    def _missing(self, X: pd.DataFrame) -> list[str]:
        return missing_columns(X, self.encoder, self.columns)


def checked(X: pd.DataFrame, encoder: TableEncoder, columns: Sequence[str]) -> dict[str, Any]:
    """How rows differ from those that a model of these columns was made from: names and counts."""
    known = set(columns)
    absent = missing_columns(X, encoder, columns)
    report: dict[str, Any] = {
        "n_rows": len(X),
        "missing_columns": absent,
        "extra_columns": [str(name) for name in X.columns if str(name) not in known],
        "unseen_categories": {},
        "out_of_range": {},
        "non_finite": {},
        "unreadable": {},
    }
    if not absent and len(X):
        report |= encoder.report(X)
    report["out_of_range_share"] = max(report["out_of_range"].values(), default=0.0)
    return report


def missing_columns(X: pd.DataFrame, encoder: TableEncoder, columns: Sequence[str]) -> list[str]:
    """Which of the columns that the encoder reads are not in a table."""
    present = {str(name) for name in X.columns}
    return [name for name in needed_columns(encoder, columns) if name not in present]


def needed_columns(encoder: TableEncoder, columns: Sequence[str]) -> list[str]:
    """Which of a model's columns its encoder reads."""
    used = {spec["name"] for spec in encoder.columns}
    return [name for name in columns if name in used]


def row_milliseconds(champion: Champion, X: pd.DataFrame) -> float:
    """CPU-milliseconds to predict one row alone, encoding included: the median of some rows."""
    return milliseconds_per_row(champion.predict_proba, X)


def milliseconds_per_row(predict: Callable[[pd.DataFrame], Floats], X: pd.DataFrame) -> float:
    """CPU-milliseconds that one row alone takes: the median of some rows."""
    rows = min(len(X), SINGLE_ROWS)
    predict(X.iloc[:1])
    took: list[float] = []
    for i in range(rows):
        begun = time.process_time()
        predict(X.iloc[i : i + 1])
        took.append(time.process_time() - begun)
    return 1000 * float(np.median(took))


def predict_cost(champion: Champion, X: pd.DataFrame, *, meter: Meter) -> Cost:
    """What the champion takes per 1,000 rows: measured on up to so many, after a first go."""
    return cost_per_1000_rows(champion.predict_proba, X, meter=meter)


def cost_per_1000_rows(
    predict: Callable[[pd.DataFrame], Floats], X: pd.DataFrame, *, meter: Meter
) -> Cost:
    """What predicting takes per 1,000 rows: measured on up to so many, after a first go."""
    rows = X.head(PREDICT_ROWS)
    predict(rows)
    with measure(meter) as reading:
        predict(rows)
    scale, cost = PREDICT_ROWS / len(rows), reading.cost
    return Cost(
        cpu_seconds=cost.cpu_seconds * scale,
        joules=cost.joules * scale,
        wall_seconds=cost.wall_seconds * scale,
        meter=cost.meter,
    )
