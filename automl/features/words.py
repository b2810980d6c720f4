"""Words of free text as numbers: how many of an entity's texts have a word of each hashed kind."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from automl.features.group import Column
from automl.features.mined import MIN_ENTITIES, seen
from automl.features.segments import Block, blocks
from automl.features.values import sort_of
from automl.features.windows import Window, choose_windows
from automl.logs.masking import mask
from automl.relations.tables import EventTable, Floats, Integers, Spans

# Hashing instead of a vocabulary (Weinberger et al. 2009): nobody's words are in the model.
N_HASHES = 2**16
MAX_WORDS = 48
# A column is text where it has so many different values, of two words or more on average.
MIN_DISTINCT, MIN_WORDS = 50, 1.5
WORD = re.compile(r"[^\W\d_]{2,}")
MAX_CHARACTERS = 2_000
SAMPLE = 50_000


@dataclass(frozen=True, kw_only=True)
class FittedWords:
    """`T.note.word.812.share`: the share of the texts of column `note` with a word of hash 812.

    Parameters
    ----------
    hashes : by column, the hashes of words that are counted
    """

    kind = "words"
    table: str
    hashes: Mapping[str, tuple[int, ...]]
    window: Window
    columns: Sequence[str]

    @property
    def reads(self) -> Sequence[str]:
        return tuple(self.hashes)

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """NaN where an entity has no rows; shape (n_entities,), float32."""
        n_rows, prefix = len(spans.start), f"{self.table}."
        wanted = [name.removeprefix(prefix) for name in self.columns]
        found = {name: np.full(n_rows, np.nan) for name in wanted}
        start = self.window.start(table, spans)
        for block in blocks(start, spans.end):
            for column, hashes in self.hashes.items():
                shares = _shares(block, table, column, hashes)
                for hashed, share in zip(hashes, shares, strict=True):
                    name = f"{column}.word.{hashed}.share"
                    if name in found:
                        found[name][block.rows] = share
        return [found[name].astype(np.float32) for name in wanted]

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its columns."""
        kept = [name for name in self.columns if name in set(columns)]
        hashes = {
            column: tuple(
                one for one in known if f"{self.table}.{column}.word.{one}.share" in set(kept)
            )
            for column, known in self.hashes.items()
        }
        return replace(
            self, columns=kept, hashes={name: known for name, known in hashes.items() if known}
        )

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it; hashes of words that three or more subjects have."""
        return {
            "kind": self.kind,
            "table": self.table,
            "hashes": {name: list(known) for name, known in self.hashes.items()},
            "window": self.window.to_json(),
            "columns": list(self.columns),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            table=data["table"],
            hashes={name: tuple(known) for name, known in data["hashes"].items()},
            window=Window.from_json(data["window"]),
            columns=list(data["columns"]),
        )


class Words:
    """Chooses the words of text columns that some subjects of training rows have and others not."""

    kind = "words"
    seconds_per_million = 1.5

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedWords | None:
        """None where no column is text."""
        rows = np.flatnonzero(seen(table, spans))
        if not len(rows):
            return None
        rows = rows[:: -(-len(rows) // SAMPLE)]
        chosen = {
            one.name: hashes
            for one in table.columns.schema
            if sort_of(one.type) == "text" and (hashes := _chosen(table, one.name, rows))
        }
        if not chosen:
            return None
        return FittedWords(
            table=table.name,
            hashes=chosen,
            window=choose_windows(table, spans)[0],
            columns=[
                f"{table.name}.{column}.word.{hashed}.share"
                for column, hashes in chosen.items()
                for hashed in hashes
            ],
        )


def _chosen(table: EventTable, column: str, rows: Integers) -> tuple[int, ...]:
    """Hashes of words by how well they tell subjects apart; nothing where it is no text."""
    texts, places = _distinct(table.columns.column(column).take(pa.array(rows)))
    if len(texts) < MIN_DISTINCT and column != table.message:
        return ()
    words = [_hashes(text) for text in texts]
    counts = np.bincount(places, minlength=len(texts) + 1)[:-1]
    n_words = sum(len(one) * n for one, n in zip(words, counts.tolist(), strict=True))
    if n_words < MIN_WORDS * counts.sum():
        return ()
    n_have: Counter[int] = Counter()
    subjects = table.subject[rows]
    known = places < len(texts)
    pairs = np.unique(np.column_stack([subjects[known], places[known]]), axis=0)
    ends = np.flatnonzero(np.diff(pairs[:, 0], append=-1)) + 1
    start = 0
    for end in ends.tolist():
        n_have.update(set().union(*(words[one] for one in pairs[start:end, 1].tolist())))
        start = end
    n_subjects = len(ends)
    scored = sorted(
        (-n * (n_subjects - n), hashed)
        for hashed, n in n_have.items()
        if MIN_ENTITIES <= n < n_subjects
    )
    return tuple(sorted(hashed for _, hashed in scored[:MAX_WORDS]))


def _shares(block: Block, table: EventTable, column: str, hashes: tuple[int, ...]) -> list[Floats]:
    """The share of each stretch's texts that have a word of each hash."""
    texts, places = _distinct(block.arrow(table.columns.column(column)))
    has = np.zeros((len(texts) + 1, len(hashes)), dtype=np.bool_)
    at = {hashed: number for number, hashed in enumerate(hashes)}
    for row, text in enumerate(texts):
        for hashed in _hashes(text) & at.keys():
            has[row, at[hashed]] = True
    whole, found = block.whole, []
    for number in range(len(hashes)):
        before = np.concatenate(([0], np.cumsum(has[places, number])))
        found.append(whole.total(before) / whole.count)
    return found


def _distinct(column: pa.Array | pa.ChunkedArray) -> tuple[list[str], Integers]:
    """Distinct texts without numbers and ids, and which each row has; one past the end: none."""
    if pa.types.is_dictionary(column.type) or not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    coded = mask(column).dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    texts = [text or "" for text in coded.dictionary.to_pylist()]
    places = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return texts, places.astype(np.int64)


def _hashes(text: str) -> set[int]:
    """Hashes of the words of a text, upper and lower case alike."""
    words = WORD.findall(text[:MAX_CHARACTERS].lower())
    return {zlib.crc32(word.encode()) % N_HASHES for word in words}
