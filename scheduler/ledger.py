"""The lines of the bill of a project, how they are chosen and summed, and how they go to CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from automl.cost import JOULES_PER_KWH

Group = Literal["job", "dataset", "phase", "day", "schedule"]
GROUPS: tuple[Group, ...] = ("job", "dataset", "phase", "day", "schedule")
INGEST = "ingest"
# What a spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerLine:
    """What one phase of a job took on one UTC day, and emitted.

    Reading a data set in is a line of phase ``ingest`` whose job is the data set's own id: it
    happened once, however many jobs followed. `gco2e_at_submission` is what the same joules would
    have emitted from the submission on, None where nothing could have waited.
    """

    job_id: str
    phase: str
    day: str  # YYYY-MM-DD, UTC
    project_id: str
    dataset_id: str
    schedule_id: str | None = None
    cpu_seconds: float
    joules: float
    grams_per_kwh: float
    gco2e: float
    gco2e_at_submission: float | None = None
    meter: str
    intensity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kwh(self) -> float:
        """The energy in kWh."""
        return self.joules / JOULES_PER_KWH

    @property
    def saved_by_later(self) -> float | None:
        """Grams saved by waiting, below 0 where the wait was dirtier; None where none could be."""
        if self.gco2e_at_submission is None:
            return None
        return self.gco2e_at_submission - self.gco2e

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without the project."""
        return {
            "day": self.day,
            "phase": self.phase,
            "job": self.job_id,
            "dataset": self.dataset_id,
            "schedule": self.schedule_id,
            "cpu_seconds": self.cpu_seconds,
            "joules": self.joules,
            "kwh": self.kwh,
            "grams_per_kwh": self.grams_per_kwh,
            "gco2e": self.gco2e,
            "gco2e_at_submission": self.gco2e_at_submission,
            "saved_by_later_gco2e": self.saved_by_later,
            "meter": self.meter,
            "intensity": dict(self.intensity),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerFilter:
    """Which lines; None is any. Days are inclusive, `YYYY-MM-DD` in UTC."""

    job_id: str | None = None
    dataset_id: str | None = None
    schedule_id: str | None = None
    phase: str | None = None
    first_day: str | None = None
    last_day: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSum:
    """Sums over lines; `key` is what they have in common, None for all or for no schedule.

    `gco2e_at_submission` counts a line that could not have waited with what it emitted, so that
    the saving is the difference of the two.
    """

    key: str | None = None
    n_lines: int = 0
    cpu_seconds: float = 0.0
    joules: float = 0.0
    gco2e: float = 0.0
    gco2e_at_submission: float = 0.0

    def __add__(self, other: LedgerLine | LedgerSum) -> LedgerSum:
        earlier = other.gco2e_at_submission
        return LedgerSum(
            key=self.key,
            n_lines=self.n_lines + (other.n_lines if isinstance(other, LedgerSum) else 1),
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            joules=self.joules + other.joules,
            gco2e=self.gco2e + other.gco2e,
            gco2e_at_submission=self.gco2e_at_submission
            + (other.gco2e if earlier is None else earlier),
        )

    @property
    def saved_by_later(self) -> float:
        """Grams saved by waiting; below 0 where that was dirtier."""
        return self.gco2e_at_submission - self.gco2e

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        kwh = self.joules / JOULES_PER_KWH
        return asdict(self) | {
            "kwh": kwh,
            "grams_per_kwh": self.gco2e / kwh if kwh else None,
            "saved_by_later_gco2e": self.saved_by_later,
        }


COLUMNS = (
    "day", "phase", "job", "dataset", "schedule", "cpu_seconds", "joules", "kwh",
    "grams_per_kwh", "gco2e", "gco2e_at_submission", "saved_by_later_gco2e", "meter",
    "zone", "source", "factor_type", "signal", "share_estimated",
)  # fmt: skip
SUM_COLUMNS = (
    "key", "n_lines", "cpu_seconds", "joules", "kwh", "grams_per_kwh", "gco2e",
    "gco2e_at_submission", "saved_by_later_gco2e",
)  # fmt: skip


def csv_rows(rows: Iterable[LedgerLine | LedgerSum], columns: Sequence[str]) -> str:
    """The rows as CSV without its header; texts that a spreadsheet would calculate are quoted.

    >>> csv_rows([LedgerSum(key="=1+1", n_lines=1)], ("key", "n_lines", "gco2e"))
    "'=1+1,1,0.0\\r\\n"
    """
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        values = row.to_json()
        values |= values.get("intensity") or {}
        writer.writerow([_cell(values.get(name)) for name in columns])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
