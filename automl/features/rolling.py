"""How the last value of a series compares with the values before it: odd levels and jumps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from automl.features.group import Column
from automl.features.seasons import Season, before_a_season, season
from automl.features.stretches import Known, Truths, blocks, covered, known, last_at, mean, median
from automl.features.values import names_of
from automl.relations.tables import EventTable, Floats, Spans

KIND = "rolling"
# Values before the last that it is compared with: less than an hour, some hours and half a day of
# five minutes each.
WINDOWS = (8, 32, 128)
# Of the values before the last: a weight of (1 - 2 / (span + 1)) ** age, as EWMA charts have it
# (Roberts, Technometrics 1959).
EWMA_SPAN = 16
# A level has shifted if the last few values, at most a quarter of a window, are off the rest of it.
SHIFT_VALUES, SHIFT_SHARE = 8, 4
# The median absolute deviation of a normal distribution is 0.6745 of its standard deviation.
MAD = 1.4826
MEAN_DEVIATION = 1.2533
# After values that are all alike any other is infinitely odd; this is odd enough.
MOST = 100.0
FEW_VALUES = 2


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature: a statistic of a column over some values before the last.

    `what` is last, mean, std, z, robust, ewma, jump, shift, seasonal or seasonal_z.
    """

    column: str
    what: str
    window: int = 0

    @property
    def name(self) -> str:
        """Within its table."""
        return f"{self.column}.{self.what}{self.window or ''}"


@dataclass(frozen=True, kw_only=True)
class FittedRolling:
    """Features of the last value against strictly earlier ones, for one row per point of time.

    `last` is the last known value of the stretch. With the `w` values before it: `mean`, `std`;
    `z`, its distance from their mean in standard deviations; `robust`, from their median in median
    absolute deviations; `shift`, the mean of the last eight (at most a quarter; the last value
    with them) against the rest, in standard deviations of the rest. `ewma`: its distance from
    their exponentially weighted mean, in weighted deviations; `jump`: its change from the value
    before, in median absolute changes; `seasonal`: its change from one season before (`seasons`),
    and `seasonal_z` that in standard deviations of earlier such changes. Scaled ones are cut at
    ±100. NaN with fewer than two values before the last (one for `mean`; one season for
    `seasonal`).

    Only the last `window` + 1 values of a stretch count (and a season more), so what is older need
    not be kept.
    """

    table: str
    features: Sequence[Feature]
    seasons: Mapping[str, Season]
    kind: str = KIND

    @property
    def columns(self) -> list[str]:
        """Names of the features."""
        return [f"{self.table}.{one.name}" for one in self.features]

    @property
    def reads(self) -> list[str]:
        """Columns of the table, each once."""
        return list(dict.fromkeys(one.column for one in self.features))

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,) for each feature."""
        out: dict[Feature, Column] = {}
        for column in self.reads:
            wanted = [one for one in self.features if one.column == column]
            found = known(table, spans, column)
            for one in wanted:
                out[one] = np.full(len(spans.start), np.nan, dtype=np.float32)
            width = max(one.window for one in wanted) + 1
            there = self.seasons.get(column)
            apart = None if there is None else before_a_season(found, there)
            for part in blocks(len(spans.start), width):
                at, valid = last_at(found, part, width)
                last = Last.of(found, at, valid)
                change = None
                if apart is not None and any(one.what.startswith("season") for one in wanted):
                    change = _changes(found, apart, at, valid, part)
                for one in wanted:
                    source = change if one.what.startswith("season") else last
                    if source is not None:
                        out[one][part] = _value(source, one)
        return [out[one] for one in self.features]

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its features."""
        kept = [one for one in self.features if f"{self.table}.{one.name}" in set(columns)]
        seasonal = {one.column for one in kept if one.what.startswith("season")}
        seasons = {name: one for name, one in self.seasons.items() if name in seasonal}
        return replace(self, features=kept, seasons=seasons)

    def to_json(self) -> dict[str, Any]:
        """Columns, statistics, windows and seasons."""
        return {
            "kind": self.kind,
            "table": self.table,
            "features": [asdict(one) for one in self.features],
            "seasons": {name: asdict(one) for name, one in self.seasons.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            features=[Feature(**one) for one in data["features"]],
            seasons={name: Season(**one) for name, one in data["seasons"].items()},
        )


@dataclass(frozen=True, kw_only=True)
class Rolling:
    """The group `rolling`: see `FittedRolling`.

    Columns that never change in training are left out; those of two values get their last value
    and means only.
    """

    windows: tuple[int, ...] = WINDOWS
    kind: ClassVar[str] = KIND
    # For each of the last values of an entity that count, of one column.
    seconds_per_million: float = 0.16

    @property
    def most_values(self) -> int:
        """Of each stretch that are looked at."""
        return max(self.windows) + 1

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedRolling | None:
        """Choose columns, windows no longer than the longest stretch, and seasons."""
        features: list[Feature] = []
        seasons: dict[str, Season] = {}
        for column in names_of(table, "number"):
            found = known(table, spans, column)
            n_values = len(np.unique(found.values[covered(found)]))
            if n_values < FEW_VALUES:
                continue
            longest = int((found.end - found.start).max())
            windows = [w for w in self.windows if w == self.windows[0] or w < longest]
            features.append(Feature(column=column, what="last"))
            few = n_values == FEW_VALUES
            for what in ("mean",) if few else ("mean", "std", "z", "robust", "shift"):
                features += [Feature(column=column, what=what, window=w) for w in windows]
            if few:
                continue
            for what in ("ewma", "jump"):
                features.append(Feature(column=column, what=what, window=max(windows)))
            there = season(found, dated=table.dated)
            if there is not None:
                seasons[column] = there
                for what in ("seasonal", "seasonal_z"):
                    window = max(windows) if what == "seasonal_z" else 0
                    features.append(Feature(column=column, what=what, window=window))
        if not features:
            return None
        return FittedRolling(table=table.name, features=features, seasons=seasons)


@dataclass(frozen=True, kw_only=True)
class Last:
    """The last values of some entities: `values` and which are `valid`, shape (n, width).

    Values are differences from the last one, so that a level of a million does not eat the digits
    of a deviation of one; 0 where there is none.
    """

    values: Floats
    valid: Truths
    level: Floats

    @classmethod
    def of(cls, found: Known, at: npt.NDArray[np.int64], valid: Truths) -> Last:
        """Those at these positions."""
        if not len(found.values):
            shape = at.shape
            return cls(values=np.zeros(shape), valid=valid, level=np.full(shape[0], np.nan))
        values = found.values[at]
        level = np.where(valid[:, -1], values[:, -1], np.nan)
        away = np.where(valid, values - np.where(valid[:, -1], level, 0.0)[:, None], 0.0)
        return cls(values=away, valid=valid, level=level)

    def before(self, window: int) -> tuple[Floats, Truths]:
        """The values before the last, at most so many."""
        width = self.values.shape[1]
        part = slice(max(0, width - window - 1), width - 1)
        return self.values[:, part], self.valid[:, part]


def _value(last: Last, one: Feature) -> Floats:
    if one.what in ("last", "seasonal"):
        return last.level
    values, valid = last.before(one.window)
    known = np.where(np.isnan(last.level), np.nan, 0.0)
    if one.what == "mean":
        return last.level + mean(values, valid)[0]
    if one.what == "jump":
        return _jump(values, valid)
    if one.what == "shift":
        return _shift(last, one.window)
    if one.what == "robust":
        middle = median(values, valid)
        away = np.abs(values - middle[:, None])
        spread = MAD * median(away, valid)
        # Where most values are alike, as Iglewicz & Hoaglin (How to detect and handle outliers,
        # 1993) have it: from the mean of the deviations instead.
        spread = np.where(spread > 0, spread, MEAN_DEVIATION * mean(away, valid)[0])
        return _scaled(known - middle, spread, valid.sum(axis=1))
    weights: Floats | None = None
    if one.what == "ewma":
        age = np.arange(values.shape[1], dtype=np.float64)[::-1]
        weights = np.power(1 - 2 / (EWMA_SPAN + 1), age)
    centre, spread = mean(values, valid, weights)
    if one.what == "std":
        return np.where(valid.sum(axis=1) >= 2, spread, np.nan)
    return _scaled(known - centre, spread, valid.sum(axis=1))


def _jump(values: Floats, valid: Truths) -> Floats:
    if values.shape[1] < 2:
        return np.full(len(values), np.nan)
    both = valid[:, 1:] & valid[:, :-1]
    spread = MAD * median(np.abs(np.diff(values, axis=1)), both)
    return _scaled(np.where(valid[:, -1], -values[:, -1], np.nan), spread, valid.sum(axis=1))


def _shift(last: Last, window: int) -> Floats:
    """Mean of the last values, the very last with them, against the rest of the window."""
    recent = max(1, min(SHIFT_VALUES, window // SHIFT_SHARE))
    width = last.values.shape[1]
    low = max(0, width - window - 1)
    cut = max(low, width - recent)
    new, _ = mean(last.values[:, cut:], last.valid[:, cut:])
    old, spread = mean(last.values[:, low:cut], last.valid[:, low:cut])
    return _scaled(new - old, spread, last.valid[:, low:cut].sum(axis=1))


def _scaled(away: Floats, spread: Floats, n_values: npt.NDArray[np.int64]) -> Floats:
    """In units of the spread, cut; nothing is known from fewer than two values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(away == 0, 0.0, away / spread)
    value = np.where(np.isnan(away) | np.isnan(spread), np.nan, np.clip(value, -MOST, MOST))
    return np.where(n_values >= 2, value, np.nan)


def _changes(
    found: Known,
    apart: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    valid: Truths,
    part: slice,
) -> Last:
    """Changes from a season before, where that is in the stretch as well."""
    if not len(found.values):
        return Last.of(found, at, valid)
    earlier = apart[at]
    both = valid & (earlier >= found.start[part, None])
    values = np.where(both, found.values[at] - found.values[np.maximum(earlier, 0)], 0.0)
    level = np.where(both[:, -1], values[:, -1], np.nan)
    away = np.where(both, values - np.where(both[:, -1], level, 0.0)[:, None], 0.0)
    return Last(values=away, valid=both, level=level)
