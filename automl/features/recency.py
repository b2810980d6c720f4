"""How many events, how long ago and how regularly, over windows back from the cut-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from automl.features.group import Column, Narrowing
from automl.features.segments import Block, Stretches, blocks, kept_before
from automl.features.summaries import positive
from automl.features.windows import Window, choose_windows
from automl.relations.tables import SECONDS_PER_DAY, EventTable, Floats, Integers, Spans


@dataclass(frozen=True, kw_only=True)
class FittedRecency(Narrowing):
    """Counts and times of a table's events; dates give days, other times their own units."""

    kind = "recency"
    windows: tuple[Window, ...]
    reads: Sequence[str] = ()

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """Count, times since first and last, gaps; each of shape (n_entities,), float32."""
        n_rows, prefix = len(spans.start), f"{self.table}."
        wanted = {name.removeprefix(prefix) for name in self.columns}
        found = {
            name: np.full(n_rows, _EMPTY.get(name.split(".")[0], np.nan), dtype=np.float32)
            for name in wanted
        }
        starts = [window.start(table, spans) for window in self.windows]
        for block in blocks(starts[0], spans.end):
            for name, values in self._of(block, table, spans, starts).items():
                if name in wanted:
                    found[name][block.rows] = values
        return [found[name.removeprefix(prefix)] for name in self.columns]

    def _of(
        self, block: Block, table: EventTable, spans: Spans, starts: Sequence[Integers]
    ) -> dict[str, Floats]:
        unit = SECONDS_PER_DAY if table.dated else 1.0
        time = block.time(table)
        cut_off = np.where(np.isfinite(spans.cut_off), spans.cut_off, np.nan)[block.rows]
        widest = block.whole
        n = widest.count
        first, last = widest.first(time), widest.last(time)
        found: dict[str, Floats] = {
            f"count.{self.windows[0].name}": n.astype(np.float64),
            "since_last": (cut_off - last) / unit,
            "since_first": (cut_off - first) / unit,
            "span": (last - first) / unit,
        }
        # The gap before an event belongs to it, but not that before a stretch's first event.
        gap = np.diff(time, prepend=time[:1]) / unit
        gaps = Stretches(
            start=np.minimum(widest.start + 1, widest.end), end=widest.end, size=widest.size
        )
        mean = gaps.sum(gap) / positive(gaps.count)
        off = gap - gaps.spread(np.nan_to_num(mean))
        found["gap_mean"] = mean
        found["gap_std"] = np.sqrt(gaps.sum(off * off) / positive(gaps.count))
        found["gap_max"] = gaps.max(gap)
        found["gap_last"] = gaps.last(gap)
        found["gap_last_to_mean"] = found["gap_last"] / positive(mean)
        found["silence_to_gap"] = found["since_last"] / positive(mean)
        day = np.floor(time / SECONDS_PER_DAY) if table.dated else time
        fresh = kept_before(np.diff(day, prepend=day[:1]) != 0)
        for window, start in zip(self.windows, starts, strict=True):
            inside = block.since(start)
            later = Stretches(
                start=np.minimum(inside.start + 1, inside.end), end=inside.end, size=inside.size
            )
            days = (later.total(fresh) + (inside.count > 0)).astype(float)
            found[f"days.{window.name}"] = np.where(np.isnan(last), np.nan, days)
            if window is not self.windows[0]:
                found[f"count.{window.name}"] = inside.count.astype(float)
                found[f"share.{window.name}"] = inside.count / n
        return found

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "kind": self.kind,
            "table": self.table,
            "windows": [window.to_json() for window in self.windows],
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            windows=tuple(Window.from_json(one) for one in data["windows"]),
            columns=list(data["columns"]),
        )


class Recency:
    """Decides the windows; all statistics are computed."""

    kind = "recency"
    seconds_per_million = 0.035

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedRecency | None:
        """Windows from training rows."""
        windows = choose_windows(table, spans)
        names = [f"{what}.{window.name}" for window in windows for what in ("count", "days")]
        names += [f"share.{window.name}" for window in windows[1:]]
        names += _WHOLE
        return FittedRecency(
            table=table.name, windows=windows, columns=[f"{table.name}.{name}" for name in names]
        )


_WHOLE = (
    "since_last",
    "since_first",
    "span",
    "gap_mean",
    "gap_std",
    "gap_max",
    "gap_last",
    "gap_last_to_mean",
    "silence_to_gap",
)
_EMPTY = {"count": 0.0, "days": 0.0}
