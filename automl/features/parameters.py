"""What the numbers in log lines are: their mean, largest and last, by template and place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.features.group import Column
from automl.features.mined import MIN_ENTITIES, MinedGroup, codes_of, seen, templates_of
from automl.features.segments import blocks
from automl.features.windows import Window, choose_windows
from automl.logs.masking import MASK
from automl.relations.tables import EventTable, Floats, Integers, Spans

# So many places are looked at, those of the most frequent templates first.
MAX_PLACES = 24
SAMPLE = 2_000
# A place holds numbers where so many of its words are, with so many different ones.
NUMERIC, MIN_DISTINCT = 0.95, 5
NUMBER = r"^[-+]?(?:\d+(?:\.\d*)?|\.\d+)$"
# Longer runs of digits are names of things, not amounts.
MAX_DIGITS = 15
STATISTICS = ("mean", "max", "last")


@dataclass(frozen=True, kw_only=True)
class FittedParameters(MinedGroup):
    """`T.parameter.4.1.mean.all`: of the numbers at place 1 (from 0) of template 4.

    Parameters
    ----------
    places : pairs of template and place that hold numbers
    """

    kind = "parameters"
    places: tuple[tuple[int, int], ...]
    window: Window

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """NaN where an entity has no such line; shape (n_entities,), float32."""
        n_rows, prefix = len(spans.start), f"{self.table}.parameter."
        wanted = [name.removeprefix(prefix) for name in self.columns]
        needed = {tuple(int(part) for part in name.split(".")[:2]) for name in wanted}
        found = {name: np.full(n_rows, np.nan) for name in wanted}
        codes = codes_of(table, spans, self.templates)
        start = self.window.start(table, spans)
        messages = table.columns.column(self.message)
        for block in blocks(start, spans.end):
            inside = block.whole.mark()
            here = np.where(inside, block.take(codes), -1)
            for template in sorted({one for one, _ in needed}):
                at = np.flatnonzero(here == template)
                if not len(at):
                    continue
                places = [place for one, place in self.places if (one, place) in needed]
                texts = block.arrow(messages).take(pa.array(at))
                numbers = numbers_at(texts, self.templates.texts[template])
                for place in sorted(
                    {place for one, place in self.places if one == template} & set(places)
                ):
                    values = numbers[place]
                    known = np.isfinite(values)
                    mask = np.zeros(len(here), dtype=bool)
                    mask[at[known]] = True
                    kept = block.whole.kept(np.concatenate(([0], np.cumsum(mask))))
                    of = values[known]
                    n = np.where(kept.count > 0, kept.count, np.nan)
                    name = f"{template}.{place}.{{}}.{self.window.name}"
                    for what, value in (
                        ("mean", kept.sum(of) / n),
                        ("max", kept.max(of)),
                        ("last", kept.last(of)),
                    ):
                        if name.format(what) in found:
                            found[name.format(what)][block.rows] = value
        return [found[name].astype(np.float32) for name in wanted]

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            **self._shared(),
            "places": [list(one) for one in self.places],
            "window": self.window.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            **cls._read(data),
            places=tuple((one, two) for one, two in data["places"]),
            window=Window.from_json(data["window"]),
        )


class Parameters:
    """Finds the places of templates that hold numbers in a sample of training lines."""

    kind = "parameters"
    seconds_per_million = 2.0

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedParameters | None:
        """None where no place of a template holds numbers."""
        templates = templates_of(table, spans)
        if templates is None or table.message is None:
            return None
        codes = codes_of(table, spans, templates)
        rows = np.flatnonzero(seen(table, spans))
        order = rows[np.argsort(codes[rows], kind="stable")]
        messages = table.columns.column(table.message)
        places: list[tuple[int, int]] = []
        for template in range(len(templates)):
            if len(places) >= MAX_PLACES or MASK not in templates.texts[template]:
                continue
            low, high = np.searchsorted(codes[order], [template, template + 1])
            at = _spread(order[low:high])
            if len(np.unique(table.subject[at])) < MIN_ENTITIES:
                continue
            for place, values in enumerate(
                numbers_at(messages.take(pa.array(at)), templates.texts[template])
            ):
                known = values[np.isfinite(values)]
                if len(known) >= NUMERIC * len(at) and len(np.unique(known)) >= MIN_DISTINCT:
                    places.append((template, place))
        if not places:
            return None
        places = places[:MAX_PLACES]
        window = choose_windows(table, spans)[0]
        return FittedParameters(
            table=table.name,
            message=table.message,
            templates=templates,
            places=tuple(places),
            window=window,
            columns=[
                f"{table.name}.parameter.{template}.{place}.{what}.{window.name}"
                for template, place in places
                for what in STATISTICS
            ],
        )


def _spread(rows: Integers) -> Integers:
    """At most 2,000 of the rows, evenly."""
    step = -(-len(rows) // SAMPLE) or 1
    return rows[::step]


def numbers_at(messages: pa.Array | pa.ChunkedArray, template: str) -> list[Floats]:
    """The words at each `<*>` of a template as numbers, NaN where they are none.

    >>> numbers_at(pa.array(["sent 12 bytes to a", "sent x bytes to b"]), "sent <*> bytes to <*>")
    [array([12., nan]), array([nan, nan])]
    """
    parts = template.split(MASK)
    pattern = "".join(
        _literal(part) + (f"(?P<p{place}>\\S+?)" if place < len(parts) - 1 else "")
        for place, part in enumerate(parts)
    )
    if isinstance(messages, pa.ChunkedArray):
        messages = messages.combine_chunks()
    if isinstance(messages, pa.ChunkedArray):
        messages = pa.concat_arrays(messages.chunks)
    if pa.types.is_dictionary(messages.type):  # a short table keeps its texts so
        messages = messages.cast(pa.string())
    found = pc.extract_regex(messages, f"^\\s*{pattern}(?:\\s|$)")
    return [_numbers(found.field(f"p{place}")) for place in range(len(parts) - 1)]


def _literal(text: str) -> str:
    """The words between two masks, whatever spaces are between them."""
    words = [re.escape(word) for word in text.split()]
    spaced = r"\s+".join(words)
    before = r"\s+" if text[:1] == " " else ""
    after = r"\s+" if text[-1:] == " " and words else ""
    return before + spaced + after


def _numbers(texts: pa.Array) -> Floats:
    fits = pc.and_(
        pc.match_substring_regex(texts, NUMBER), pc.less_equal(pc.binary_length(texts), MAX_DIGITS)
    )
    plain = pc.if_else(fits, texts, pa.scalar(None, pa.string()))
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    values: Floats = plain.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values + 0.0
