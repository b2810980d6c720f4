"""Which of two forecasts chooses better hours, measured by what a perfect choice would save."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import sqrt
from statistics import fmean, stdev

from scheduler.carbon.series import IntensitySeries

# The figure of merit of all the project's measurements: jobs of an hour that may wait for a day.
_HOUR = timedelta(hours=1)
_SLACK_HOURS = 24
# What has to have passed since a forecast was issued before it is judged.
SPAN = (_SLACK_HOURS + 2) * _HOUR
_LEAST_HOURS = 12  # a forecast that ends sooner leaves too little choice to judge it by
# On fewer days nobody is judged, and over them the rival has to save more by a standard error. On
# CarbonCast's published forecasts of six zones (July to December 2021) this loses nothing against
# always believing them and wins up to 4 points of the oracle (`benchmarks/carbon_choice.py`);
# judging by the bare mean lost up to 5.
LEAST_DAYS = 6
_STANDARD_ERRORS = 1.0
# A difference of two errors; from fewer of them no deviation is told.
_LEAST_PAIRS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A forecast at its time of issue: g/kWh saved by its choice, and by the best one.

    `errors` are how wrong it had the difference of each later hour to the first.
    """

    issued_at: datetime
    saved: float
    possible: float
    errors: tuple[float, ...] = ()


def tried(forecast: IntensitySeries, truth: IntensitySeries) -> Trial | None:
    """Play a job of one hour with a day of slack, started when the forecast was issued.

    None where forecast and truth have fewer than half a day of hours in common.
    """
    first = forecast.issued_at.replace(minute=0, second=0, microsecond=0)
    if first < forecast.issued_at:
        first += _HOUR
    starts = [first + index * _HOUR for index in range(_SLACK_HOURS + 1)]
    common = [
        (forecast.mean(at, at + _HOUR), truth.mean(at, at + _HOUR))
        for at in starts
        if _covers(forecast, at) and _covers(truth, at)
    ]
    if len(common) <= _LEAST_HOURS or not _covers(forecast, first) or not _covers(truth, first):
        return None
    chosen = min(range(len(common)), key=lambda index: common[index][0])
    expected_first, was_first = common[0]
    return Trial(
        issued_at=forecast.issued_at,
        saved=was_first - common[chosen][1],
        possible=was_first - min(was for _, was in common),
        errors=tuple(
            (expected - expected_first) - (was - was_first) for expected, was in common[1:]
        ),
    )


def _covers(series: IntensitySeries, at: datetime) -> bool:
    return series.covered(at, at + _HOUR) > 0.99


def share_of_oracle(trials: Iterable[Trial]) -> float:
    """Saved by the forecasts' choices, as a share of what perfect choices save; 0 to 1, or below 0.

    >>> noon = datetime.fromisoformat("2026-01-01T12:00Z")
    >>> share_of_oracle([Trial(issued_at=noon, saved=30, possible=40),
    ...                  Trial(issued_at=noon, saved=-5, possible=10)])
    0.5
    """
    found = list(trials)
    possible = sum(trial.possible for trial in found)
    return sum(trial.saved for trial in found) / possible if possible > 0 else 1.0


def error_grams(trials: Iterable[Trial]) -> float | None:
    """The standard deviation of the error of a difference, g/kWh; None from too few of them."""
    errors = [error for trial in trials for error in trial.errors]
    if len(errors) < _LEAST_PAIRS:
        return None
    return sqrt(sum(error * error for error in errors) / len(errors))


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Which of two ways to forecast is used, by percent of the oracle where that is known."""

    own_is_better: bool
    n_compared: int
    own_share: float | None = None
    rival_share: float | None = None
    own_error_grams: float | None = None


def compared(pairs: Sequence[tuple[Trial, Trial]]) -> Verdict:
    """A provider's forecasts against others issued at the same times, in order of issue.

    On too little evidence the provider's is used: who configured a provider wants it, and where
    wind rules its weather forecast is worth more than any history.
    """
    mine, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    error = error_grams(mine)
    # Forecasts of one day are about the same weather: a day is one observation.
    by_day: dict[date, list[float]] = {}
    for one, other in pairs:
        by_day.setdefault(one.issued_at.date(), []).append(other.saved - one.saved)
    if len(by_day) < LEAST_DAYS:
        return Verdict(own_is_better=True, n_compared=len(pairs), own_error_grams=error)
    days = [fmean(differences) for differences in by_day.values()]
    return Verdict(
        own_is_better=fmean(days) <= _STANDARD_ERRORS * stdev(days) / sqrt(len(days)),
        n_compared=len(pairs),
        own_share=share_of_oracle(mine),
        rival_share=share_of_oracle(theirs),
        own_error_grams=error,
    )
