"""How long a season of a series is, found on training rows, and which row is one season before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automl.features.stretches import Known
from automl.relations.tables import SECONDS_PER_DAY, Floats, Integers, first_at

# The same time of day, and of the week, where times are dates.
CALENDAR = (SECONDS_PER_DAY, 7 * SECONDS_PER_DAY)
# Seasons are looked for in so many of the longest stretches, each of so many last values.
MOST_STRETCHES, MOST_VALUES = 40, 8192
# A season explains at least this share of the variance; a candidate is at least four rows long.
LEAST_CORRELATION, LEAST_ROWS = 0.3, 4
NEARLY = 0.9


@dataclass(frozen=True, kw_only=True)
class Season:
    """Its length in units of time, and how far off the row one season before may be."""

    length: float
    tolerance: float


def season(found: Known, *, dated: bool) -> Season | None:
    """The season that repeats best in the longest stretches; None where nothing does.

    Dates are tried with a day and a week first. Otherwise, or where these do not repeat, it is the
    first peak of the mean autocorrelation, once that fell below a half, that is nearly the highest.
    """
    series = [one for one in _longest(found) if len(one[0]) > 2 * LEAST_ROWS]
    steps = [float(np.median(np.diff(time))) for time, _ in series]
    steps = [step for step in steps if step > 0]
    if not steps:
        return None
    step = float(np.median(steps))
    rows = [_regular(time, values, step) for time, values in series]
    mean, n_series = _autocorrelation(rows)
    best: tuple[float, float] | None = None
    if dated:
        for length in CALENDAR:
            lag = round(length / step)
            # At least a third of the series are two seasons long.
            if LEAST_ROWS <= lag < len(mean) and 3 * n_series[lag] >= len(rows):
                best = max(best or (0.0, 0.0), (float(mean[lag]), length))
    if best is None or best[0] < LEAST_CORRELATION:
        lag = _peak(np.where(3 * n_series >= len(rows), mean, -1.0))
        best = (float(mean[lag]), lag * step) if lag else None
    if best is None or best[0] < LEAST_CORRELATION:
        return None
    return Season(length=best[1], tolerance=step / 2)


def before_a_season(found: Known, there: Season) -> Integers:
    """Position of the value one season before each, of the same subject; -1 where there is none.

    The first within the tolerance, shape (n_known,).
    """
    n = len(found.values)
    at = np.arange(n)
    start = np.searchsorted(found.subject, found.subject, side="left").astype(np.int64)
    wanted = found.time - there.length
    place = first_at(found.time, start, at, wanted - there.tolerance)
    near = (place < at) & (found.time[np.minimum(place, max(n - 1, 0))] <= wanted + there.tolerance)
    return np.where(near, place, -1)


def _longest(found: Known) -> list[tuple[Floats, Floats]]:
    """Times and values of the longest stretches, of different subjects."""
    length = found.end - found.start
    series: list[tuple[Floats, Floats]] = []
    seen = set()
    for one in np.argsort(-length, kind="stable").tolist():
        if len(series) == MOST_STRETCHES or length[one] == 0:
            break
        subject = int(found.subject[found.start[one]])
        if subject in seen:
            continue
        seen.add(subject)
        part = slice(max(found.start[one], found.end[one] - MOST_VALUES), found.end[one])
        series.append((found.time[part], found.values[part]))
    return series


def _regular(time: Floats, values: Floats, step: float) -> Floats:
    """Values at every step, gaps bridged by straight lines; the rows where these are far apart."""
    n = int(min((time[-1] - time[0]) / step, 2 * MOST_VALUES)) + 1
    if n >= 2 * len(time):
        return values
    return np.asarray(np.interp(time[0] + step * np.arange(n), time, values), dtype=np.float64)


def _autocorrelation(rows: list[Floats]) -> tuple[Floats, Integers]:
    """Mean over the series that are two lags long, and how many they are, by lag in rows."""
    most = max(len(values) for values in rows) // 2 + 1
    total, n_series = np.zeros(most), np.zeros(most, dtype=np.int64)
    for values in rows:
        away = values - values.mean()
        size = 1 << (2 * len(values) - 1).bit_length()
        power = np.abs(np.fft.rfft(away, size)) ** 2
        lags = len(values) // 2 + 1
        found = np.fft.irfft(power, size)[:lags]
        if found[0] > 0:
            total[:lags] += found / found[0] * len(values) / (len(values) - np.arange(lags))
        n_series[:lags] += 1
    return total / np.maximum(n_series, 1), n_series


def _peak(mean: Floats) -> int:
    """Lag of the highest autocorrelation after it first falls below half; 0 if there is none."""
    low = np.flatnonzero(mean < 0.5)
    if not len(low) or low[0] + 1 >= len(mean) - 1:
        return 0
    first = max(int(low[0]), LEAST_ROWS)
    if first + 1 >= len(mean):
        return 0
    inner = mean[first:-1]
    tops = np.flatnonzero((inner > mean[first - 1 : -2]) & (inner >= mean[first + 1 :])) + first
    tops = tops[mean[tops] >= LEAST_CORRELATION]
    # Every multiple of a season has a peak as well, by chance a higher one.
    return int(tops[mean[tops] >= NEARLY * mean[tops].max()][0]) if len(tops) else 0
