"""Intensities from files: recorded series played back, or what meters on the premises write."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from automl.errors import DataError
from scheduler.carbon.readings import LONGEST_STEP, Row, from_starts, step_of
from scheduler.carbon.replay_rows import SUFFIXES, RecordedRow, rows_of
from scheduler.carbon.series import FactorType, IntensitySeries, Signal
from scheduler.carbon.web_source import STALE, newest
from scheduler.carbon.zones import known_zone
from scheduler.errors import ForecastUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _File:
    """What a file held when it was last read; `mark` tells whether it has changed since."""

    mark: tuple[int, int]
    rows: list[RecordedRow]
    error: ForecastUnavailable | None = None


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """The rows of one zone, by when they begin and then by when they became known."""

    rows: list[RecordedRow]
    starts: list[datetime]
    step: timedelta
    forecasts: dict[datetime, list[RecordedRow]]  # by when they were issued


class Replay:
    """An IntensitySource over a file or the files of a folder.

    Files that change are read again at the next question, so a folder that meters write into is a
    live source. A value is known when its interval has ended, or at its `known_at`; rows with
    `issued_at` are forecasts, and known from then on. Of values for the same time, the one that
    became known last counts, then the one in the file changed last. A file with a bad row is left
    out whole, and said in the log.

    Parameters
    ----------
    path : Path
        A file, or a folder of .csv, .jsonl, .ndjson and .parquet files.
    zone : str
        The zone of rows that name none, in files whose name is no zone either.
    factor_type, signal
        How the recorded values count emissions; the files do not say.
    """

    def __init__(
        self,
        path: Path,
        *,
        zone: str = "",
        factor_type: FactorType = "lifecycle",
        signal: Signal = "average",
    ) -> None:
        self.path = path
        self.name = f"replay of {path.name}"
        self._zone = known_zone(zone) if zone else ""
        self._factor_type = factor_type
        self._signal = signal
        self._files: dict[Path, _File] = {}
        self._zones: dict[str, _Recorded] = {}
        self._lock = threading.Lock()

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """What was, in [start, end), of intervals that are known at `now`."""
        recorded = self._recorded(zone)
        first = bisect_left(recorded.starts, start - LONGEST_STEP)
        last = bisect_left(recorded.starts, min(end, now))
        rows = (row for row in recorded.rows[first:last] if _known(row, recorded.step) <= now)
        series = self._series(zone, rows, step=recorded.step, issued_at=now).between(start, end)
        return replace(series, issued_at=series.end)

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        """The newest reading that is known; ForecastUnavailable `stale` after 6 h."""
        return newest(self.history(zone, now - 2 * STALE, now, now=now), now=now)

    def forecast(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        """The newest recorded forecast that was issued by `now`; never what came true later."""
        forecasts = self._recorded(zone).forecasts
        issued = max((at for at in forecasts if at <= now), default=None)
        if issued is None:
            raise ForecastUnavailable(f"{self.name} has no forecast", code="no_forecast")
        series = self._series(zone, forecasts[issued], step=None, issued_at=issued)
        found = series.between(start, end)
        if not found.readings:
            raise ForecastUnavailable(f"{self.name}: the newest forecast ends before that time")
        return found

    def issued(self, zone: str, *, since: datetime, now: datetime) -> tuple[IntensitySeries, ...]:
        """The forecasts recorded as issued in [since, now], in order."""
        forecasts = self._recorded(zone).forecasts
        return tuple(
            self._series(zone, forecasts[at], step=None, issued_at=at)
            for at in sorted(forecasts)
            if since <= at <= now
        )

    def _series(
        self,
        zone: str,
        rows: Iterable[RecordedRow],
        *,
        step: timedelta | None,
        issued_at: datetime,
    ) -> IntensitySeries:
        return IntensitySeries(
            zone=zone,
            source=self.name,
            factor_type=self._factor_type,
            signal=self._signal,
            issued_at=issued_at,
            readings=from_starts(
                (Row(start=row.start, grams_per_kwh=row.grams_per_kwh) for row in rows), step=step
            ),
        )

    def _recorded(self, zone: str) -> _Recorded:
        with self._lock:
            if self._read():
                self._zones = {}
            if zone not in self._zones:
                self._zones[zone] = self._of_zone(zone)
            return self._zones[zone]

    def _read(self) -> bool:
        """Read what is new or changed; whether anything was."""
        try:
            self.path.stat()
            found = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
            marks = {
                path: (stat.st_mtime_ns, stat.st_size)
                for path in found
                if path.suffix in SUFFIXES and not path.name.startswith(".")
                for stat in [path.stat()]
            }
        except OSError as error:
            raise ForecastUnavailable(
                f"{self.name}: cannot be read ({type(error).__name__})", code="unreachable"
            ) from None
        if marks == {path: file.mark for path, file in self._files.items()}:
            return False
        self._files = {
            path: kept
            if (kept := self._files.get(path)) is not None and kept.mark == mark
            else _read_file(path, mark)
            for path, mark in marks.items()
        }
        return True

    def _of_zone(self, zone: str) -> _Recorded:
        rows: list[RecordedRow] = []
        forecasts: dict[datetime, list[RecordedRow]] = defaultdict(list)
        for path, file in sorted(self._files.items(), key=lambda item: item[1].mark[0]):
            own = self._zone_of(path)
            for row in file.rows:
                if (row.zone or own) != zone:
                    continue
                if row.issued_at is None:
                    rows.append(row)
                else:
                    forecasts[row.issued_at].append(row)
        if not rows and not forecasts:
            errors = [str(file.error) for file in self._files.values() if file.error is not None]
            raise ForecastUnavailable(
                f"{self.name} has no row of zone {zone}"
                + (f"; {len(errors)} of its files are bad, first {errors[0]}" if errors else ""),
                code="bad_answer" if errors else "unsupported_zone",
            )
        starts = sorted({row.start for row in rows})
        step = step_of(starts)
        # Stable: of rows known at the same time, the one in the file changed last stays last.
        rows.sort(key=lambda row: (row.start, _known(row, step)))
        return _Recorded(
            rows=rows, starts=[row.start for row in rows], step=step, forecasts=dict(forecasts)
        )

    def _zone_of(self, path: Path) -> str:
        try:
            return known_zone(path.stem)
        except DataError:
            return self._zone


def _known(row: RecordedRow, step: timedelta) -> datetime:
    return row.known_at or row.start + step


def _read_file(path: Path, mark: tuple[int, int]) -> _File:
    try:
        return _File(mark=mark, rows=rows_of(path))
    except ForecastUnavailable as error:
        log.warning("intensities: %s; the file is left out until it changes", error)
        return _File(mark=mark, rows=[], error=error)
