"""What kinds of lines an entity's log has: counts and shares of templates, rare and new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from automl.features.group import Column
from automl.features.mined import Coded, MinedGroup, coded_blocks, codes_of, templates_of
from automl.features.windows import Window, choose_windows
from automl.logs.tree import UNSEEN
from automl.relations.tables import EventTable, Floats, Integers, Spans

# Counts of so many of the most frequent templates; the others show in the summaries.
MAX_COUNTED = 60
SUMMARIES = ("kinds", "rarity_mean", "rarity_max", "unseen", "unseen_share")


@dataclass(frozen=True, kw_only=True)
class FittedTemplates(MinedGroup):
    """Counts of templates over windows, and how rare the lines are.

    `T.template.3.count.all` is the number of lines of template 3 (the texts are in its JSON),
    `T.templates.rarity_max.all` the highest -log of a line's share among training lines,
    `T.templates.unseen.all` the number of lines like none of them, and `T.templates.fresh.7d` the
    number of templates that the entity had never had before the last 7 days.
    """

    kind = "templates"
    windows: tuple[Window, ...]

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """Counts of none are 0, shares and rarity of none NaN; shape (n_entities,), float32."""
        n_rows, prefix = len(spans.start), f"{self.table}."
        wanted = [name.removeprefix(prefix) for name in self.columns]
        found = {name: np.full(n_rows, _empty(name)) for name in wanted}
        codes = codes_of(table, spans, self.templates)
        starts = [window.start(table, spans) for window in self.windows]
        n_columns = len(self.templates) + 1
        for coded in coded_blocks(table, starts[0], spans.end, codes, n_columns=n_columns):
            for name, values in self._of(coded, starts).items():
                if name in found:
                    found[name][coded.block.rows] = values
        return [found[name].astype(np.float32) for name in wanted]

    def _of(self, coded: Coded, starts: Sequence[Integers]) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        n, k = coded.n_stretches, len(self.templates)
        kinds = np.where(coded.codes == UNSEEN, k, coded.codes).astype(np.int64)
        cells = coded.stretch * (k + 1) + kinds
        rarity = self._rarity()
        for window, start in zip(self.windows, starts, strict=True):
            inside = coded.block.since(start)
            recent = coded.at >= inside.start[coded.stretch]
            counts = np.bincount(cells[recent], minlength=n * (k + 1)).reshape(n, k + 1)
            total = counts.sum(axis=1)
            share = counts / np.where(total > 0, total, np.nan)[:, None]
            for number in range(min(k, MAX_COUNTED)):
                found[f"template.{number}.count.{window.name}"] = counts[:, number].astype(float)
                found[f"template.{number}.share.{window.name}"] = share[:, number]
            present = np.where(counts > 0, rarity, -np.inf).max(axis=1)
            name = f"templates.{{}}.{window.name}"
            found[name.format("kinds")] = (counts > 0).sum(axis=1).astype(float)
            found[name.format("rarity_mean")] = (share * rarity).sum(axis=1)
            found[name.format("rarity_max")] = np.where(total > 0, present, np.nan)
            found[name.format("unseen")] = counts[:, k].astype(float)
            found[name.format("unseen_share")] = share[:, k]
            if window is not self.windows[0]:
                before = np.bincount(cells[~recent], minlength=n * (k + 1)).reshape(n, k + 1)
                found[name.format("fresh")] = ((counts > 0) & (before == 0)).sum(axis=1) * 1.0
        return found

    def _rarity(self) -> Floats:
        """-log of each template's share of training lines, and at the end of a line like none."""
        counts = np.array([*self.templates.counts, 0.0]) + 1.0
        return np.asarray(-np.log(counts / (self.templates.n_lines + len(counts))))

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it; the words of templates that three or more subjects have."""
        return {
            **self._shared(),
            "windows": [window.to_json() for window in self.windows],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            **cls._read(data),
            windows=tuple(Window.from_json(one) for one in data["windows"]),
        )


class LogTemplates:
    """Mines the templates of training rows' messages, without looking at the target."""

    kind = "templates"
    seconds_per_million = 1.5

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedTemplates | None:
        """Templates and windows; None for a table without messages."""
        templates = templates_of(table, spans)
        if templates is None or table.message is None:
            return None
        windows = choose_windows(table, spans)
        widest, *shorter = windows
        windows = (widest, *shorter[-1:])  # and the shortest
        n_counted = min(len(templates), MAX_COUNTED)
        names = [
            f"template.{number}.{what}.{widest.name}"
            for number in range(n_counted)
            for what in ("count", "share")
        ]
        names += [
            f"template.{number}.count.{window.name}"
            for window in windows[1:]
            for number in range(n_counted)
        ]
        names += [f"templates.{what}.{window.name}" for window in windows for what in SUMMARIES]
        names += [f"templates.fresh.{window.name}" for window in windows[1:]]
        return FittedTemplates(
            table=table.name,
            message=table.message,
            templates=templates,
            windows=windows,
            columns=[f"{table.name}.{name}" for name in names],
        )


def _empty(name: str) -> float:
    unknown = ("share", "rarity_mean", "rarity_max", "unseen_share")
    return np.nan if name.split(".")[-2] in unknown else 0.0
