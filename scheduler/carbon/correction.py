"""The typical profile corrected by what was measured lately, in pure Python."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import cos, pi, sin, sqrt

from scheduler.carbon.hourly_profile import LEAST_SHARE, Packaged, Profile, packaged
from scheduler.carbon.series import MOST_GRAMS, IntensitySeries

DAY, WEEK = 24, 168  # hours
WEEKS = 8  # of a history that are looked at
LONGEST = (WEEKS + 1) * WEEK  # one more, for the mean of seven days before the first value
LATEST = 4 * DAY  # a history that ended longer ago says nothing about what comes
DEVIATION_HOURS = 4 * WEEK  # over which the deviation is measured
# Half-lives of the mean of an hour of the week and of an hour of the day, in weeks and days. Of 4
# to 26 weeks to look at, 4 to 10 weeks and 4 to 14 days these reach most in the series that the
# weights are fitted to, though all of them lie within 0.3 % of the oracle's saving.
WEEKLY, DAILY = 6.0, 4.0
RECENT = (1, 6, 24)  # hours over which the anomaly is averaged
# Shares of a typical deviation in the level, and its weight in hours: for histories of hours.
_DEVIATION_SHARE, _DEVIATION_WEIGHT = 0.2, WEEK
_LEAST_WEIGHT = 1e-4  # what is older changes no digit that is shown
_HOUR = timedelta(hours=1)


def corrected(
    profile: IntensitySeries,
    history: IntensitySeries,
    *,
    now: datetime,
    shipped: Packaged | None = None,
) -> IntensitySeries:
    """What is expected in the readings of `profile`, by the hours that were measured up to `now`.

    Each hour is a weighted sum of the zone's packaged shape, of exponentially weighted means of
    its hour of the week and its hour of the day, of the last value known at that hour, and of the
    anomaly of the last 1, 6 and 24 hours; the weights depend on how far ahead it lies, and come
    from `benchmarks/build_profiles.py`. It is in the units of the history: its level, its factor
    type. A zone without a packaged shape is forecast by its own history. Of a history it looks at
    the last nine weeks; with a day the packaged shape leads, and half of the gain is there
    (`python -m benchmarks.carbon`). Steps shorter than an hour are averaged. About 5 ms.

    Parameters
    ----------
    profile : the answer of `Typical`, with the readings that are to be filled; those before the
        end of the history stay as they are.
    history : readings that are known; holes are filled with the day before.

    Returns `profile` as it is where the history ended more than four days ago.
    """
    shipped = shipped or packaged()
    known = _hours(history, now)
    if known is None or not profile.readings:
        return profile
    first, values = known
    if now - first > LATEST * _HOUR:
        return profile
    past = Past(values, first, shipped, profile.zone)
    readings = []
    for reading in profile.readings:
        if reading.start >= first:
            grams = past.grams((reading.start - first) // _HOUR)
            reading = replace(reading, grams_per_kwh=grams, is_estimated=True)
        readings.append(reading)
    return IntensitySeries(
        zone=profile.zone,
        source=f"{profile.source}, corrected by {history.source}",
        factor_type=history.factor_type,
        signal=history.signal,
        issued_at=now,
        readings=tuple(readings),
        error_grams=shipped.error * past.deviation,
    )


def _hours(history: IntensitySeries, now: datetime) -> tuple[datetime, list[float]] | None:
    """The hour after the last one known, and the hours before it, oldest first, without holes.

    An hour is known when readings cover more than half of it and it ended by `now`; one in a hole
    has the value of a day before, else of the hour before.
    """
    sums: dict[int, tuple[float, float]] = {}
    last = int(now.timestamp()) // 3600
    from_ = (last - LONGEST) * 3600.0
    skipped = bisect_right(history.readings, from_, key=lambda one: one.end.timestamp())
    for reading in history.readings[skipped:]:
        at, end = max(reading.start.timestamp(), from_), reading.end.timestamp()
        while at < end:
            hour = int(at // 3600)
            upto = min(end, (hour + 1) * 3600)
            seconds, area = sums.get(hour, (0.0, 0.0))
            sums[hour] = seconds + upto - at, area + (upto - at) * reading.grams_per_kwh
            at = upto
    means = {
        hour: area / seconds
        for hour, (seconds, area) in sums.items()
        if seconds > 1800 and hour < last
    }
    if not means:
        return None
    start, end = min(means), max(means) + 1
    values: list[float] = []
    for hour in range(start, end):
        value = means.get(hour)
        if value is None:
            value = values[-DAY] if len(values) >= DAY else values[-1]
        values.append(value)
    return datetime.fromtimestamp(end * 3600, UTC), values


class _Slots:
    """Exponentially weighted means of the values that lie whole periods before an hour."""

    def __init__(self, values: Sequence[float], *, period: int, half_life: float) -> None:
        self._values, self._period = values, period
        self._keep = 0.5 ** (1 / half_life)  # of the weight, from one period to the next
        self._sums: dict[int, tuple[float, float, float]] = {}

    def mean(self, hour: int, prior: float | None) -> float | None:
        """Of the values known before `hour`; `prior` stands in for those older than the first."""
        at = _newest(hour - self._period, len(self._values), self._period)
        found = self._sums.get(at)
        if found is None:
            found = self._sums[at] = self._sum(at)
        total, weight, share = found
        if prior is not None:
            return (total + share * prior) / (weight + share)
        return total / weight if weight else None

    def _sum(self, at: int) -> tuple[float, float, float]:
        """Weighted values from `at` back, their weight, and the weight of the one before them."""
        total = weight = 0.0
        share = 1.0
        while at >= 0 and share > _LEAST_WEIGHT:
            total += share * self._values[at]
            weight += share
            share *= self._keep
            at -= self._period
        return total, weight, share


def _newest(hour: int, n: int, period: int) -> int:
    """The last of the hours whole periods before `hour`, itself included, that is below `n`."""
    return hour if hour < n else hour - -(-(hour - n + 1) // period) * period


class Past:
    """What is known of a zone at one moment, and what is expected after it.

    Hours count from the first value; `deviation` is in g/kWh.
    """

    def __init__(
        self, values: Sequence[float], first: datetime, shipped: Packaged, zone: str
    ) -> None:
        self._values, self._n = values, len(values)
        self._first = first
        self._shipped = shipped
        self._profile = shipped.profiles.get(zone)
        self._shape_level = 0.0
        week = range(max(self._n - WEEK, 0), self._n)
        if self._profile is not None:
            self._shape_level = sum(self._raw(i - self._n) for i in range(self._n - WEEK, self._n))
            self._shape_level /= WEEK
        self.deviation = self._deviation()
        # Of a history shorter than a week, what the shape explains is no part of the level.
        self.level = sum(values[i] - self._shape(i) for i in week) / len(week)
        apart = self._apart()
        self._weekly = _Slots(apart, period=WEEK, half_life=WEEKLY)
        self._daily = _Slots(apart, period=DAY, half_life=DAILY)
        # Those before the last `WEEKS` only stand in the means of seven days.
        self._n_apart = len(apart)
        self._anomalies = self._recent()
        hour = first.hour + 0.5 + shipped.longitude(zone) / 15
        angle = 2 * pi * hour / DAY
        # How an anomaly fades depends on the hour of the sun at which it is seen.
        clock = (1.0, cos(angle), sin(angle), cos(2 * angle), sin(2 * angle))
        self._state = [turn * one for turn in clock for one in self._anomalies]

    def _raw(self, ahead: int) -> float:
        """The packaged shape, in deviations, some hours after the first that is not known."""
        profile: Profile | None = self._profile
        return profile.shape(self._first + ahead * _HOUR) if profile else 0.0

    def _shape(self, hour: int) -> float:
        """The packaged shape around its mean of the last seven days, in g/kWh."""
        return self.deviation * (self._raw(hour - self._n) - self._shape_level)

    def _deviation(self) -> float:
        values = self._values[-DEVIATION_HOURS:]
        n = len(values)
        mean = sum(values) / n
        squares = sum((one - mean) ** 2 for one in values)
        weight = _DEVIATION_WEIGHT * (1 - n / DEVIATION_HOURS)
        usual = (_DEVIATION_SHARE * mean) ** 2
        return sqrt((squares + weight * usual) / (n + weight))

    def _apart(self) -> list[float]:
        """Each value less the mean of the seven days up to it."""
        values = self._values
        if self._n <= WEEK:
            return [one - self.level for one in values]
        total = sum(values[:WEEK])
        apart = [one - total / WEEK for one in values[:WEEK]]
        for i in range(WEEK, self._n):
            total += values[i] - values[i - WEEK]
            apart.append(values[i] - total / WEEK)
        return apart[-WEEKS * WEEK :]

    def _features(self, hour: int) -> tuple[float, float, float]:
        """Shape, mean of the hour of the week and mean of the hour of the day, in g/kWh."""
        prior = self._shape(hour) if self._profile else None
        at = hour - self._n + self._n_apart
        weekly = self._weekly.mean(at, prior)
        daily = self._daily.mean(at, prior)
        if daily is None:
            daily = 0.0
        if weekly is None:
            weekly = daily
        return (weekly if prior is None else prior), weekly, daily

    def _recent(self) -> list[float]:
        """Mean anomaly of the last hours, in deviations, for each of `RECENT`."""
        anomalies = []
        for back in range(1, min(max(RECENT), self._n) + 1):
            hour = self._n - back
            _, weekly, daily = self._features(hour)
            anomalies.append(self._values[hour] - self.level - (weekly + daily) / 2)
        if not self.deviation:
            return [0.0] * len(RECENT)
        return [sum(anomalies[:n]) / len(anomalies[:n]) / self.deviation for n in RECENT]

    def _last(self, hour: int) -> float:
        """The newest value known at this hour of the day."""
        at = _newest(hour, self._n, DAY)
        return self._values[at] - self.level if at >= 0 else self._shape(hour)

    def grams(self, ahead: int) -> float:
        """What is expected some hours after the first that is not known, in g/kWh."""
        weights = self._weights(ahead)
        hour = self._n + ahead
        values = (*self._features(hour), self._last(hour))
        total = sum(w * one for w, one in zip(weights, values, strict=False))
        rest = weights[len(values) :]
        state = rest[0] + sum(w * one for w, one in zip(rest[1:], self._state, strict=True))
        grams = self.level + total + self.deviation * state
        return min(max(grams, LEAST_SHARE * self.level), MOST_GRAMS)

    def _weights(self, ahead: int) -> Sequence[float]:
        horizons, rows = self._shipped.horizons, self._shipped.weights
        high = bisect_right(horizons, ahead)
        if high == len(horizons):
            return rows[-1]
        low = high - 1
        share = (ahead - horizons[low]) / (horizons[high] - horizons[low])
        return [a + share * (b - a) for a, b in zip(rows[low], rows[high], strict=True)]
