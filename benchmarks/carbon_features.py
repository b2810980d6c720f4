"""The features of `scheduler.carbon.correction` for all hours of a trace at once, and their fit.

The same definitions as there, over arrays; `python -m benchmarks.carbon` asserts that forecasts of
the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.carbon_shapes import shape_of, spread
from benchmarks.carbon_traces import Trace
from scheduler.carbon.correction import (
    DAILY,
    DAY,
    DEVIATION_HOURS,
    RECENT,
    WEEK,
    WEEKLY,
    WEEKS,
)
from scheduler.carbon.hourly_profile import LEAST_SHARE, Packaged, Profile
from scheduler.carbon.series import MOST_GRAMS

Floats = npt.NDArray[np.float64]
N_VALUES = 4  # shape, hour of the week, hour of the day, last value at that hour
N_STATE = 5 * len(RECENT)
N_FEATURES = N_VALUES + 1 + N_STATE
# Hours ahead at which the weights are given; closer where an anomaly fades quickly.
HORIZONS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24, 30, 36, 48, 72, 96)


@dataclass(frozen=True, kw_only=True, eq=False)
class Means:
    """Exponentially weighted means of the values whole periods before each hour.

    Over the weeks that a forecast looks at: one period less where the hour itself is in them.
    """

    whole: tuple[Floats, float, float]  # weighted sums, their weight, and what is left for a prior
    before: tuple[Floats, float, float]

    @classmethod
    def of(cls, values: Floats, period: int, half_life: float) -> Means:
        keep = 0.5 ** (1 / half_life)
        n_periods = WEEKS * WEEK // period
        total = np.zeros(len(values))
        for i in range(period, len(values)):
            total[i] = keep * total[i - period] + values[i - period]

        def cut(n: int) -> tuple[Floats, float, float]:
            older = np.zeros(len(values))
            older[n * period :] = total[: len(values) - n * period]
            return total - keep**n * older, (1 - keep**n) / (1 - keep), keep**n

        return cls(whole=cut(n_periods), before=cut(n_periods - 1))

    def mean(
        self,
        hour: npt.NDArray[np.int64],
        usual: Floats | None,
        deviation: Floats,
        *,
        before: bool = False,
    ) -> Floats:
        """In deviations; `usual` stands in for what is older than the first period."""
        total, weight, rest = self.before if before else self.whole
        sums = total[hour] / deviation
        return sums / weight if usual is None else (sums + rest * usual) / (weight + rest)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What is known of a trace: arrays over its hours, in g/kWh where not said otherwise."""

    trace: Trace
    shape: Floats | None  # in deviations
    shape_level: Floats  # mean of the shape over the seven days before
    level: Floats  # mean of the seven days before
    deviation: Floats  # of the four weeks before
    weekly: Means
    daily: Means
    clock: Floats  # (n, 5), of the hour of the sun

    @classmethod
    def of(cls, trace: Trace, profile: Profile | None, longitude: float) -> Known:
        """All of it; without a profile the mean of the hour of the week stands in for the shape."""
        grams = trace.grams
        n = len(grams)
        total = np.concatenate([[0.0], np.cumsum(grams)])
        here = np.arange(n)
        low = np.maximum(here + 1 - WEEK, 0)
        apart = grams - (total[here + 1] - total[low]) / (here + 1 - low)
        shape = shape_of(profile, trace) if profile else None
        angle = 2 * np.pi * (trace.start.hour + here + 0.5 + longitude / 15) / DAY
        waves = [np.ones(n), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
        squares = _before(grams**2, DEVIATION_HOURS) - _before(grams, DEVIATION_HOURS) ** 2
        return cls(
            trace=trace,
            shape=shape,
            shape_level=_before(shape, WEEK) if shape is not None else np.zeros(n),
            level=_before(grams, WEEK),
            deviation=np.sqrt(np.maximum(squares, 1e-9)),
            weekly=Means.of(apart, WEEK, WEEKLY),
            daily=Means.of(apart, DAY, DAILY),
            clock=np.stack(waves, 1),
        )

    def _usual(self, at: npt.NDArray[np.int64], hour: npt.NDArray[np.int64]) -> Floats | None:
        """The shape of an hour, in deviations, around its mean before hour `at`."""
        return None if self.shape is None else self.shape[hour] - self.shape_level[at]

    def values(self, at: npt.NDArray[np.int64], ahead: int) -> Floats:
        """(n, N_VALUES), in deviations: of hour at + ahead, as known before hour at."""
        hour = at + ahead
        deviation = self.deviation[at]
        usual = self._usual(at, hour)
        # The same slot of the newest day, or week, of which all is known.
        weekly = self.weekly.mean(hour - ahead // WEEK * WEEK, usual, deviation)
        day = hour - ahead // DAY * DAY
        daily = self.daily.mean(day, usual, deviation)
        last = (self.trace.grams[day - DAY] - self.level[at]) / deviation
        return np.stack([weekly if usual is None else usual, weekly, daily, last], 1)

    def state(self, at: npt.NDArray[np.int64]) -> Floats:
        """(n, 1 + N_STATE): what does not depend on how far ahead an hour lies."""
        deviation, level = self.deviation[at], self.level[at]
        anomalies = []
        for back in range(1, max(RECENT) + 1):
            hour = at - back
            usual = self._usual(at, hour)
            weekly = self.weekly.mean(hour, usual, deviation, before=True)
            daily = self.daily.mean(hour, usual, deviation, before=True)
            anomalies.append((self.trace.grams[hour] - level) / deviation - (weekly + daily) / 2)
        recent = np.stack([np.mean(anomalies[:k], axis=0) for k in RECENT], 1)
        crossed = self.clock[at][:, :, None] * recent[:, None, :]
        return np.concatenate([np.ones((len(at), 1)), crossed.reshape(len(at), -1)], 1)

    def forecast(self, at: npt.NDArray[np.int64], hours: int, shipped: Packaged) -> Floats:
        """(n, hours) of what each start hour expects, in g/kWh; for hours of the trace."""
        weights = between(shipped, hours)
        state = self.state(at)
        columns = [
            self.values(at, ahead) @ weights[ahead, :N_VALUES] + state @ weights[ahead, N_VALUES:]
            for ahead in range(hours)
        ]
        level = self.level[at][:, None]
        grams = level + self.deviation[at][:, None] * np.stack(columns, 1)
        return np.clip(grams, LEAST_SHARE * level, MOST_GRAMS)


def between(shipped: Packaged, hours: int) -> Floats:
    """(hours, N_FEATURES): the weights for every hour ahead."""
    rows = np.array(shipped.weights)
    ahead = np.arange(hours)
    return np.stack([np.interp(ahead, shipped.horizons, row) for row in rows.T], 1)


def _before(values: Floats, n: int) -> Floats:
    """The mean of the n values before each; of fewer at the beginning."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    here = np.arange(len(values))
    low = np.maximum(here - n, 0)
    return (total[here] - total[low]) / np.maximum(here - low, 1)


# The fit.

RIDGE = 0.01
BREADTH = 2.0  # hours; weights of horizons near one another are fitted together
N_AHEAD = max(HORIZONS) + 1
WARM_UP = WEEK * (WEEKS + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Forecasts of one trace that the weights are fitted to."""

    known: Known
    at: npt.NDArray[np.int64]
    state: Floats  # of `known` at those hours

    def pieces(self, ahead: int) -> tuple[Floats, Floats]:
        """Features and what came, in deviations, of one horizon."""
        known, at = self.known, self.at
        features = np.concatenate([known.values(at, ahead), self.state], 1)
        came = (known.trace.grams[at + ahead] - known.level[at]) / known.deviation[at]
        return features, came

    def forecast(self, weights: Floats, hours: int) -> Floats:
        """In deviations."""
        return np.stack([self.pieces(h)[0] @ weights[h] for h in range(hours)], 1)


def sample_of(known: Known, first: int, last: int) -> Sample:
    """Every hour between two indices of a trace, as far as there is a past and a future."""
    low = max(first, WARM_UP)
    at = np.arange(low, min(last, len(known.trace.grams) - N_AHEAD))
    return Sample(known=known, at=at, state=known.state(at))


def fit_weights(samples: Sequence[Sample], *, n_ahead: int = N_AHEAD) -> Floats:
    """(n_ahead, N_FEATURES): ridge of all zones together, each weighing the same.

    In a second round, the hours weigh more that the first expects among the lowest of the 25 after
    the start: between them the choice is made.
    """
    even = _solve(samples, [None] * len(samples), n_ahead)
    attention = []
    for one in samples:
        expected = one.forecast(even, n_ahead)
        above = expected - expected[:, :25].min(1, keepdims=True)
        weight = np.exp(-above)
        attention.append(weight / weight[:, :25].mean())
    return _solve(samples, attention, n_ahead)


def _solve(samples: Sequence[Sample], attention: Sequence[Floats | None], n_ahead: int) -> Floats:
    grams = np.zeros((n_ahead, N_FEATURES, N_FEATURES))
    sides = np.zeros((n_ahead, N_FEATURES))
    for one, weight in zip(samples, attention, strict=True):
        for ahead in range(n_ahead):
            features, came = one.pieces(ahead)
            weighted = features if weight is None else features * weight[:, ahead : ahead + 1]
            grams[ahead] += weighted.T @ features / len(features)
            sides[ahead] += weighted.T @ came / len(features)
    rows = []
    for ahead in range(n_ahead):
        near = np.exp(-0.5 * ((np.arange(n_ahead) - ahead) / BREADTH) ** 2)
        near /= near.sum() * len(samples)
        gram = np.tensordot(near, grams, 1) + RIDGE * np.eye(N_FEATURES)
        rows.append(np.linalg.solve(gram, near @ sides))
    return np.array(rows)


def error_of_weights(samples: Sequence[Sample], weights: Floats, hours: int = 25) -> float:
    """Standard deviation of the error of a difference of two hours of a day, in deviations."""
    squares = []
    for one in samples:
        came = np.stack([one.pieces(h)[1] for h in range(hours)], 1)
        squares.append(spread(came - one.forecast(weights, hours)) ** 2)
    return float(np.sqrt(np.mean(squares)))


def packaged_of(
    profiles: Mapping[str, Profile],
    longitudes: Mapping[str, float],
    weights: Floats,
    error: float,
) -> Packaged:
    """What ships, rounded as it ships."""
    horizons = tuple(one for one in HORIZONS if one < len(weights))
    return Packaged(
        profiles=profiles,
        longitudes=longitudes,
        horizons=horizons,
        weights=tuple(tuple(round(float(one), 4) for one in weights[h]) for h in horizons),
        error=round(error, 3),
    )
