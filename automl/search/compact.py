"""A champion for a few rows at a time: the same probabilities without pandas and pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.plain_rows import PlainRows, Row
from automl.models.compact import Decide, decide

if TYPE_CHECKING:
    from automl.search.champion import Champion

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One member: its weight, and slope, shift and decision of each of its models."""

    weight: float
    models: tuple[tuple[float, float, Decide], ...]

    def decision(self, matrix: npt.NDArray[np.float32]) -> Floats:
        logits = [slope * decided(matrix) + shift for slope, shift, decided in self.models]
        return np.asarray(np.mean(logits, axis=0))


class Compact:
    """What a champion answers to plain rows, in a fiftieth of the time for one of them.

    It is made of a champion and has nothing of its own. Whatever rows it takes, their probability
    is the champion's within 1e-6, and the report of how they look is the same; rows that it does
    not take are for the champion.

    Parameters
    ----------
    champion : Champion
        One table only: rows with tables around them are not taken.
    types : by column string, integer, number, boolean or timestamp, as its data set had them
    """

    def __init__(
        self,
        champion: Champion,
        *,
        types: Mapping[str, str],
        options: ReadingOptions | None = None,
        limits: ReadingLimits | None = None,
    ) -> None:
        self._calibration = champion.calibration
        self._parts = tuple(
            _Part(
                weight=member.weight,
                models=tuple((one.slope, one.shift, decide(one.model)) for one in member.models),
            )
            for member in champion.members
        )
        self._rows = None
        if champion.tables is None:
            self._rows = PlainRows(
                champion.encoder,
                columns=champion.columns,
                types=types,
                options=options or ReadingOptions(),
                limits=limits or ReadingLimits(),
            )

    def predict(self, rows: Sequence[Row]) -> tuple[Floats, dict[str, Any]] | None:
        """Calibrated probabilities, shape (n_rows,), and how the rows look; None: not taken."""
        encoded = None if self._rows is None else self._rows.encode(rows)
        if encoded is None:
            return None
        matrix, report = encoded
        return self.predict_proba(matrix), report

    def predict_proba(self, matrix: npt.NDArray[np.float32]) -> Floats:
        """Calibrated probabilities of encoded rows, shape (n_rows,)."""
        total = np.zeros(len(matrix))
        for part in self._parts:
            total += part.weight * part.decision(matrix)
        return self._calibration.probability(total)
