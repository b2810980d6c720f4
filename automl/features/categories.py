"""Which levels events had, how often, how lately and in how many turns, over windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.features.group import Column
from automl.features.segments import Block, Stretches, blocks, kept_before
from automl.features.summaries import positive
from automl.features.values import Codes, names_of, sort_of
from automl.features.windows import Window, choose_windows
from automl.relations.tables import SECONDS_PER_DAY, EventTable, Floats, Integers, Spans

# Levels of a column that are told apart; the rest are "other".
MOST_LEVELS = 12
# Subjects that must have a level before a stored featurizer names it.
LEAST_SUBJECTS = 5
# Of a column with more levels than this only the number of different ones is counted.
MOST_DISTINCT = 1_000
# Whole numbers with at most so many values are codes as well.
MOST_CODES = 10
MOST_FEATURES = 400
# Windows, the widest first: shares over two ranked a bank's loans (berka, 682 of them) as well as
# over four, with 100 columns fewer.
SHARED = 2
# Levels are found in so many events at most, spread evenly over the training rows.
LOOKED_AT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The levels of a column that features tell apart, the most frequent first."""

    column: str
    levels: tuple[str | int, ...]
    # More than `MOST_DISTINCT`: then no level is told apart.
    n_distinct: int


@dataclass(frozen=True, kw_only=True)
class FittedCategories:
    """Features such as `table.column.share[level].window` and `table.column.since_last[level]`."""

    kind = "categories"
    table: str
    windows: tuple[Window, ...]
    levels: tuple[Levels, ...]
    columns: Sequence[str]

    @property
    def reads(self) -> Sequence[str]:
        """Columns of which a feature is left."""
        return [one.column for one in self.levels]

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """One array of shape (n_entities,), float32, for each of `columns`."""
        n_rows = len(spans.start)
        found = {name: np.full(n_rows, np.nan, dtype=np.float32) for name in self.columns}
        for of in self.levels:
            for name in names_of_levels(self.table, of, self.windows):
                if name in found and (".count[" in name or ".distinct." in name):
                    found[name][:] = 0.0
        starts = [window.start(table, spans) for window in self.windows]
        for block in blocks(starts[0], spans.end):
            for of in self.levels:
                for name, values in self._of(of, block, table, spans, starts).items():
                    found[name][block.rows] = values
        return [found[name] for name in self.columns]

    def _of(
        self,
        of: Levels,
        block: Block,
        table: EventTable,
        spans: Spans,
        starts: Sequence[Integers],
    ) -> dict[str, Floats]:
        wanted = set(self.columns)
        prefix = f"{self.table}.{of.column}"
        whole, widest = block.whole, self.windows[0].name
        found: dict[str, Floats] = {}
        if not of.levels:
            column = block.arrow(table.columns.column(of.column))
            found[f"{prefix}.distinct.{widest}"] = _distinct(column, whole)
            found[f"{prefix}.distinct_share.{widest}"] = found[
                f"{prefix}.distinct.{widest}"
            ] / positive(whole.count)
            return {name: values for name, values in found.items() if name in wanted}
        unit = SECONDS_PER_DAY if table.dated else 1.0
        code = block.codes(table, of.column, of.levels)
        inside = [block.since(start) for start in starts]
        known = kept_before(code >= 0)
        n_known = [positive(one.total(known)) for one in inside]
        entropy = np.zeros(len(whole.start))
        different = np.zeros(len(whole.start))
        cut_off = np.where(np.isfinite(spans.cut_off), spans.cut_off, np.nan)[block.rows]
        time = block.time(table)
        last_code = whole.last(code)
        # What no feature asks for is not computed: a champion uses few levels.
        of_all = {f"{prefix}.entropy.{widest}", f"{prefix}.distinct.{widest}"} & wanted
        for at, label in enumerate(labels_of(of)):
            if not of_all and not any(f"[{label}]" in name for name in wanted):
                continue
            is_level = code == at
            before = kept_before(is_level)
            for window, one, n in zip(self.windows, inside, n_known, strict=True):
                count = one.total(before).astype(np.float64)
                found[f"{prefix}.share[{label}].{window.name}"] = count / n
                if window is self.windows[0]:
                    found[f"{prefix}.count[{label}].{widest}"] = count
                    share = count / n
                    # 0 log 0 is 0: the share 1 has the same logarithm term as no share at all.
                    entropy -= share * np.log(np.where(share > 0, share, 1.0))
                    different += count > 0
            if f"{prefix}.since_last[{label}]" in wanted:
                kept = whole.kept(before)
                found[f"{prefix}.since_last[{label}]"] = (
                    cut_off - kept.last(time[is_level])
                ) / unit
            found[f"{prefix}.last[{label}]"] = np.where(last_code >= 0, last_code == at, np.nan)
        found[f"{prefix}.entropy.{widest}"] = entropy
        found[f"{prefix}.distinct.{widest}"] = different
        if (name := f"{prefix}.changes.{widest}") in wanted:
            found[name] = _changes(code, whole)
        if (name := f"{prefix}.missing.{widest}") in wanted:
            found[name] = whole.total(kept_before(code < 0)) / whole.count
        return {name: values for name, values in found.items() if name in wanted}

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its columns; what they do not need is no longer read."""
        kept = [name for name in self.columns if name in set(columns)]
        names = set(kept)
        return replace(
            self,
            columns=kept,
            levels=tuple(
                of
                for of in self.levels
                if names & set(names_of_levels(self.table, of, self.windows))
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "kind": self.kind,
            "table": self.table,
            "windows": [window.to_json() for window in self.windows],
            "levels": [levels_to_json(of) for of in self.levels],
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            windows=tuple(Window.from_json(one) for one in data["windows"]),
            levels=tuple(levels_from_json(one) for one in data["levels"]),
            columns=list(data["columns"]),
        )


class Categories:
    """Decides which columns have levels, and which of these are frequent enough to be named."""

    kind = "categories"
    # Of one column of five levels.
    seconds_per_million = 0.08

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedCategories | None:
        """Levels and windows from training rows; None where no column has levels."""
        levels = find_levels(table, spans)
        if not levels:
            return None
        windows = choose_windows(table, spans)[:SHARED]
        names = [name for of in levels for name in names_of_levels(table.name, of, windows)]
        return FittedCategories(
            table=table.name,
            windows=windows,
            levels=tuple(levels),
            columns=names[:MOST_FEATURES],
        )


def find_levels(table: EventTable, spans: Spans) -> list[Levels]:
    """Levels of the columns of texts and codes, in what training rows may see.

    A level is named only where some subjects have it (`LEAST_SUBJECTS`, fewer in a table of a few
    machines): a name that one person alone has would tell of that person.
    """
    names = names_of(table, "text", "code")
    sample = _sample(spans)
    some = sample.start < sample.end
    n_subjects = len(np.unique(table.subject[sample.start[some]]))
    least = min(LEAST_SUBJECTS, max(n_subjects // 20, 1))
    found = []
    for name in names:
        ranked, n_distinct, is_text = _ranked(table, name, sample)
        if n_distinct < 2 or (not is_text and not 3 <= n_distinct <= MOST_CODES):
            continue
        if n_distinct > MOST_DISTINCT:
            ranked = []
        ranked = ranked[: 4 * MOST_LEVELS]
        had = _subjects_with(table, name, ranked, sample)
        named = [level for level, n in zip(ranked, had, strict=True) if n >= least]
        found.append(Levels(column=name, levels=tuple(named[:MOST_LEVELS]), n_distinct=n_distinct))
    return found


def _ranked(table: EventTable, name: str, spans: Spans) -> tuple[list[Any], int, bool]:
    """The levels of a column, the most frequent first; how many; whether they are texts."""
    pieces = []
    for block in blocks(spans.start, spans.end):
        column = block.arrow(table.columns.column(name))
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        pieces.append(column.filter(pa.array(block.whole.mark())))
    if not pieces:
        return [], 0, False
    tally = pc.value_counts(pa.chunked_array(pieces))
    values = tally.field("values").to_pylist() if len(tally) <= 10 * MOST_DISTINCT else []
    is_text = sort_of(tally.field("values").type) == "text"
    amounts = tally.field("counts").to_pylist()
    counts = {value: n for value, n in zip(values, amounts, strict=False) if value is not None}
    ranked = sorted(counts, key=lambda level: (-counts[level], str(level)))
    return ranked, len(ranked) or len(tally), is_text


def _subjects_with(table: EventTable, name: str, levels: Sequence[Any], spans: Spans) -> list[int]:
    """How many subjects have each of these levels."""
    having: list[list[Integers]] = [[] for _ in levels]
    for block in blocks(spans.start, spans.end):
        subject = table.subject[spans.start[block.rows]]
        code = block.codes(table, name, levels)
        for at, of in enumerate(having):
            of.append(subject[block.whole.total(kept_before(code == at)) > 0])
    return [len(np.unique(np.concatenate(of))) if of else 0 for of in having]


def names_of_levels(table: str, of: Levels, windows: Sequence[Window]) -> list[str]:
    """The features of a column."""
    prefix, widest = f"{table}.{of.column}", windows[0].name
    if not of.levels:
        return [f"{prefix}.distinct.{widest}", f"{prefix}.distinct_share.{widest}"]
    names = [f"{prefix}.{what}.{widest}" for what in ("entropy", "distinct", "changes", "missing")]
    for label in labels_of(of):
        names += [f"{prefix}.share[{label}].{window.name}" for window in windows]
        names += [
            f"{prefix}.count[{label}].{widest}",
            f"{prefix}.since_last[{label}]",
            f"{prefix}.last[{label}]",
        ]
    return names


def labels_of(of: Levels) -> list[str]:
    """How the levels are called in features, the rest last."""
    labels: list[str] = []
    for at, level in enumerate(of.levels):
        label = str(level)[:40]
        labels.append(label if label not in labels else f"{label}~{at}")
    return [*labels, "other"] if of.n_distinct > len(of.levels) else labels


def levels_to_json(of: Levels) -> dict[str, Any]:
    """As `levels_from_json` reads it."""
    return {"column": of.column, "levels": list(of.levels), "n_distinct": of.n_distinct}


def levels_from_json(data: Mapping[str, Any]) -> Levels:
    """Read what `levels_to_json` wrote."""
    return Levels(
        column=data["column"], levels=tuple(data["levels"]), n_distinct=data["n_distinct"]
    )


def _sample(spans: Spans) -> Spans:
    """Every so manieth row, so that about `LOOKED_AT` events are seen."""
    total = int((spans.end - spans.start).sum())
    step = max(-(-total // LOOKED_AT), 1)
    return replace(
        spans, start=spans.start[::step], end=spans.end[::step], cut_off=spans.cut_off[::step]
    )


def _changes(code: Codes, whole: Stretches) -> Floats:
    """Share of events whose level differs from that of the event before."""
    changed = np.zeros(len(code), dtype=np.bool_)
    changed[1:] = code[1:] != code[:-1]
    later = Stretches(start=np.minimum(whole.start + 1, whole.end), end=whole.end, size=whole.size)
    share: Floats = later.total(kept_before(changed)) / positive(later.count)
    return share


def _distinct(column: pa.Array, whole: Stretches) -> Floats:
    """How many different values each stretch has, exactly."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if len(encoded.dictionary) == 0:
        return np.zeros(len(whole.start))
    indices = encoded.indices
    row = whole.spread(np.arange(1.0, len(whole.start) + 1)).astype(np.int64) - 1
    known = (row >= 0) & ~np.asarray(indices.is_null().to_numpy(zero_copy_only=False))
    level = np.asarray(indices.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
    pairs = np.unique(row[known] * len(encoded.dictionary) + level[known])
    return np.bincount(pairs // len(encoded.dictionary), minlength=len(whole.start)).astype(float)
