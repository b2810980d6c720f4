"""Statistics of a table's numbers and dates over windows back from the cut-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from automl.features.group import Column
from automl.features.identifiers import identifiers
from automl.features.segments import Block, blocks
from automl.features.summaries import EMPTY, positive, present, statistics
from automl.features.values import names_of
from automl.features.windows import Window, choose_windows
from automl.relations.tables import SECONDS_PER_DAY, EventTable, Floats, Integers, Spans

# More features than this from one table cost the search more than they tell it.
MOST_FEATURES = 600
# What is computed over the widest window and over the shorter ones; the first that fits is taken.
Plan = tuple[tuple[str, ...], tuple[str, ...]]
CORE = ("mean", "last", "std", "min", "max", "sum", "missing", "below_zero")
CORE_PLANS: tuple[Plan, ...] = (
    (CORE, CORE),
    (CORE, ("mean", "std", "min", "max")),
    (CORE, ("mean", "std")),
    (("mean", "last", "std", "min", "max"), ("mean",)),
    (("mean", "last", "std", "min", "max"), ()),
    (("mean", "last", "std"), ()),
)
TRENDS = ("trend", "last_minus_mean", "first")
TREND_PLANS: tuple[Plan, ...] = (
    (TRENDS, TRENDS),
    (TRENDS, ("trend",)),
    (("trend", "last_minus_mean"), ()),
    (("trend",), ()),
)
DATE_STATISTICS = ("last", "first", "min", "max", "mean", "missing")


@dataclass(frozen=True, kw_only=True)
class FittedAggregates:
    """Features `table.column.statistic.window`; of dates, in days before the cut-off.

    Parameters
    ----------
    windows : the widest first
    plan : for each window the statistics that may be asked for
    dates : which of `reads` are dates
    """

    kind = "aggregates"
    table: str
    windows: tuple[Window, ...]
    columns: Sequence[str]
    reads: Sequence[str]
    dates: Sequence[str] = ()

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,), float32, for each of `columns`."""
        wanted = [self._parts(name) for name in self.columns]
        found = {
            one: np.full(len(spans.start), EMPTY.get(one[1], np.nan), dtype=np.float32)
            for one in wanted
        }
        starts = [window.start(table, spans) for window in self.windows]
        for block in blocks(starts[0], spans.end):
            time = block.time(table) / (SECONDS_PER_DAY if table.dated else 1.0)
            for name in self.reads:
                values = block.numbers(table, name)
                of = self._of(name, values, time, block, starts, set(wanted))
                if name in self.dates:
                    _before(spans.cut_off[block.rows], of)
                for (statistic, window), computed in of.items():
                    if (key := (name, statistic, window)) in found:
                        found[key][block.rows] = computed
        return [found[one] for one in wanted]

    def _of(
        self,
        name: str,
        values: Floats,
        time: Floats,
        block: Block,
        starts: Sequence[Integers],
        wanted: set[tuple[str, str, str]],
    ) -> dict[tuple[str, str], Floats]:
        asked = [
            {_DATE.get(one[1], one[1]) if name in self.dates else one[1] for one in wanted
             if one[0] == name and one[2] == window.name}
            for window in self.windows
        ]  # fmt: skip
        inside = [block.since(start) for start in starts]
        values_known, time_known, known = present(values, time, inside)
        of = statistics(values_known, time_known, known, asked)
        found = {
            (statistic, window.name): computed
            for window, one in zip(self.windows, of, strict=True)
            for statistic, computed in one.items()
        }
        if any("missing" in one for one in asked):
            for window, whole, some in zip(self.windows, inside, known, strict=True):
                share = 1.0 - some.count / positive(whole.count)
                found["missing", window.name] = share
        return found

    def _parts(self, name: str) -> tuple[str, str, str]:
        column, statistic, window = name.removeprefix(f"{self.table}.").rsplit(".", 2)
        return column, statistic, window

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its columns; what they do not need is no longer read."""
        kept = [name for name in self.columns if name in set(columns)]
        parts = [self._parts(name) for name in kept]
        used = {one[0] for one in parts}
        return replace(
            self,
            columns=kept,
            reads=[name for name in self.reads if name in used],
            dates=[name for name in self.dates if name in used],
        )

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "kind": self.kind,
            "table": self.table,
            "windows": [window.to_json() for window in self.windows],
            "columns": list(self.columns),
            "reads": list(self.reads),
            "dates": list(self.dates),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            windows=tuple(Window.from_json(one) for one in data["windows"]),
            columns=list(data["columns"]),
            reads=list(data["reads"]),
            dates=list(data["dates"]),
        )


class Aggregates:
    """Decides windows and statistics, so that there are at most `MOST_FEATURES`."""

    kind = "aggregates"
    # Of one column, with four windows.
    seconds_per_million = 0.045

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedAggregates | None:
        """Windows from training rows; None where there is no number and no date."""
        return _fitted(table, spans, plans=CORE_PLANS, dates=names_of(table, "date"))


class Trends:
    """As `Aggregates`, for where a number is going: apart, since few rows bear few columns."""

    kind = "trends"
    seconds_per_million = 0.045

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedAggregates | None:
        """Windows from training rows; None where there is no number."""
        return _fitted(table, spans, plans=TREND_PLANS, dates=[])


def _fitted(
    table: EventTable, spans: Spans, *, plans: Sequence[Plan], dates: list[str]
) -> FittedAggregates | None:
    plain = names_of(table, "number")
    ids = identifiers(table, spans, plain)
    plain = [name for name in plain if name not in ids]
    if not plain and not dates:
        return None
    windows = choose_windows(table, spans)
    signed = _with_both_signs(table, plain, spans)
    for widest, shorter in plans:
        n_each = len(widest) + len(shorter) * (len(windows) - 1)
        if n_each * len(plain) <= MOST_FEATURES:
            break
    plain = plain[: max(MOST_FEATURES // n_each, 1)]
    names = []
    for name in plain:
        for window in windows:
            for statistic in widest if window is windows[0] else shorter:
                if statistic != "below_zero" or name in signed:
                    names.append(f"{table.name}.{name}.{statistic}.{window.name}")
    names += [
        f"{table.name}.{name}.{statistic}.{windows[0].name}"
        for name in dates
        for statistic in DATE_STATISTICS
    ]
    return FittedAggregates(
        table=table.name, windows=windows, columns=names, reads=[*plain, *dates], dates=dates
    )


# The earliest date is the one that lies furthest before the cut-off.
_DATE = {"min": "max", "max": "min"}


def _before(cut_off: Floats, of: dict[tuple[str, str], Floats]) -> None:
    """Turn dates in seconds since 1970 into days before the cut-off."""
    known = np.where(np.isfinite(cut_off), cut_off, np.nan)
    turned = {
        (_DATE.get(statistic, statistic), window): (known - computed) / SECONDS_PER_DAY
        for (statistic, window), computed in of.items()
        if statistic != "missing"
    }
    of.update(turned)


def _with_both_signs(table: EventTable, names: Sequence[str], spans: Spans) -> set[str]:
    """Columns that zero divides, in what training rows may see: balances, differences."""
    below: set[str] = set()
    above: set[str] = set()
    for block in blocks(spans.start, spans.end):
        seen = block.whole.mark()
        for name in names:
            if name not in below or name not in above:
                values = block.numbers(table, name)[seen]
                below |= {name} if (values < 0).any() else set()
                above |= {name} if (values > 0).any() else set()
    return below & above
