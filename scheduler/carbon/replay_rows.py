"""Rows of intensity from a CSV, JSON-lines or Parquet file that somebody recorded or measures."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from automl.errors import DataError
from scheduler.carbon.readings import bad_answer, instant, number
from scheduler.carbon.series import LEAST_GRAMS, MOST_GRAMS
from scheduler.carbon.zones import known_zone
from scheduler.errors import ForecastUnavailable

SUFFIXES = frozenset((".csv", ".jsonl", ".ndjson", ".parquet"))
MAX_BYTES = 256 * 2**20
_PARQUET_SECONDS = 60.0
# Names of columns, the first that is there counts: ours, then those that providers use.
_START = ("timestamp", "start", "datetime", "time", "date_heure", "point_time")
_GRAMS = (
    "gco2eq_per_kwh",
    "grams_per_kwh",
    "g_per_kwh",
    "forecast_gco2eq_per_kwh",
    "carbon_intensity",
    "carbonIntensity",
    "taux_co2",
    "value",
)
_ZONE, _ISSUED = ("zone", "location"), ("issued_at",)
_KNOWN = ("known_at", "polled_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRow:
    """One recorded value. `issued_at` is set for a forecast, `known_at` where it is recorded."""

    zone: str | None
    start: datetime
    grams_per_kwh: float
    known_at: datetime | None = None
    issued_at: datetime | None = None


def rows_of(path: Path) -> list[RecordedRow]:
    """All rows of one file.

    A first line with names of columns (`timestamp`, `gco2eq_per_kwh`, and if wanted `zone`,
    `known_at`, `issued_at`); in a CSV without one, the first two columns. Times are ISO 8601 with
    an offset. A last line that does not end is one that a meter is writing, and waits.

    Raises ForecastUnavailable that names the file and the row, never its value.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise bad_answer(f"it has more than {MAX_BYTES} bytes")
        records = _records(path)
        return [_row(record, number=at) for at, record in enumerate(records, 1)]
    except ForecastUnavailable as error:
        raise ForecastUnavailable(f"{path.name}: {error}", code=error.code) from None
    except (OSError, ValueError, csv.Error, RecursionError, subprocess.SubprocessError) as error:
        raise ForecastUnavailable(
            f"{path.name} cannot be read ({type(error).__name__})", code="bad_answer"
        ) from None


def _records(path: Path) -> Iterable[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        # By a child process: this one must not load pyarrow's 100 MB.
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.carbon.parquet_rows", str(path.absolute())],
            capture_output=True,
            timeout=_PARQUET_SECONDS,
            check=False,
        )
        if done.returncode:
            raise bad_answer("it is not Parquet that can be read")
        return _json_lines(done.stdout.decode())
    text = path.read_bytes().decode("utf-8-sig")
    text = text[: text.rfind("\n") + 1]
    return _csv_rows(text) if path.suffix == ".csv" else _json_lines(text)


def _json_lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        if line.strip():
            record = json.loads(line)
            if not isinstance(record, dict):
                raise bad_answer("a line is not an object")
            yield record


def _csv_rows(text: str) -> Iterator[Mapping[str, Any]]:
    first = text[: text.find("\n")]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [cell.strip() for cell in cells]
            if any(name in _START for name in names):
                continue
            names = [_START[0], _GRAMS[0]]
            if len(cells) != len(names):
                raise bad_answer(f"it has neither a column of {_START} nor just two columns")
        if len(cells) != len(names):
            raise bad_answer(f"line {reader.line_num} has another number of cells")
        yield dict(zip(names, (cell.strip() for cell in cells), strict=True))


def _row(record: Mapping[str, Any], *, number: int) -> RecordedRow:
    try:
        zone = _first(record, _ZONE)
        grams = _grams(_first(record, _GRAMS))
        known, issued = _first(record, _KNOWN), _first(record, _ISSUED)
        return RecordedRow(
            zone=None if zone is None else known_zone(str(zone)),
            start=instant(_first(record, _START)),
            grams_per_kwh=grams,
            known_at=None if known is None else instant(known),
            issued_at=None if issued is None else instant(issued),
        )
    except DataError:
        raise bad_answer(f"row {number} is of a zone that is not known") from None
    except ForecastUnavailable as error:
        raise ForecastUnavailable(f"row {number}: {error}", code=error.code) from None


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of these members that is there and not empty."""
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _grams(value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise bad_answer("the intensity is not a number") from None
    grams = number(value)
    if not LEAST_GRAMS <= grams <= MOST_GRAMS:
        raise bad_answer("the intensity is outside 0 to 2000 g/kWh")
    return grams
