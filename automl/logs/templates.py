"""Templates of log messages: what lines of one kind have in common.

What varies is masked first, and each distinct masked message is looked at once, not each line: a
tree of fixed depth (`automl.logs.tree`) makes groups of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.logs.masking import MASK, mask, tokens
from automl.logs.tree import UNSEEN, Fits, Words, grouped, ordered

Codes = npt.NDArray[np.int32]

# Beyond so many distinct masked messages they give way to their templates: memory stays bounded,
# and only then may the order of batches matter.
MAX_DISTINCT = 100_000
MAX_TEMPLATES = 5_000


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Templates of messages, the most frequent first; finds that of any message.

    Parameters
    ----------
    texts : words with `<*>` for what varies
    counts : lines of each when they were found
    n_lines : all lines that were looked at
    """

    texts: tuple[str, ...]
    counts: tuple[int, ...]
    n_lines: int

    def __len__(self) -> int:
        return len(self.texts)

    def assign(self, messages: pa.Array | pa.ChunkedArray) -> Codes:
        """The template of each message, -1 for none; shape (n_messages,).

        It depends on the message alone: of several that fit, the one with the most words.

        >>> found = Templates(texts=("get <*>", "get all"), counts=(5, 2), n_lines=7)
        >>> found.assign(pa.array(["get 12", "get all", "put 3", None])).tolist()
        [0, 1, -1, -1]
        """
        coded = mask(_text(messages)).dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.unify_dictionaries().combine_chunks()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.chunk(0) if coded.num_chunks else pa.array([], pa.string())
        if not len(coded):
            return np.empty(0, dtype=np.int32)
        of_distinct = [self.find(tokens(one or "")) for one in coded.dictionary.to_pylist()]
        table = np.array([*of_distinct, UNSEEN], dtype=np.int32)
        places = pc.fill_null(coded.indices, len(of_distinct)).to_numpy(zero_copy_only=False)
        return np.asarray(table[places], dtype=np.int32)

    def find(self, words: Words) -> int:
        """The template of a masked message by its words, -1 for none."""
        if not words:
            return UNSEEN
        own = self._index.get((len(words), words[0]))
        any_ = self._index.get((len(words), MASK)) if words[0] != MASK else None
        fits = [one.find(words) for one in (own, any_) if one is not None]
        return max(fits, key=lambda fit: (fit[1], -fit[0]))[0] if fits else UNSEEN

    @cached_property
    def _index(self) -> Mapping[tuple[int, str], Fits]:
        """Templates by their length and first word."""
        found: dict[tuple[int, str], Fits] = defaultdict(Fits)
        for number, text in enumerate(self.texts):
            words = tuple(text.split())
            found[len(words), words[0]].add(words, number)
        return dict(found)

    def only(self, numbers: Sequence[int]) -> Self:
        """Some of them, in this order; the others' messages are unseen then."""
        return type(self)(
            texts=tuple(self.texts[one] for one in numbers),
            counts=tuple(self.counts[one] for one in numbers),
            n_lines=self.n_lines,
        )

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {"texts": list(self.texts), "counts": list(self.counts), "n_lines": self.n_lines}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            texts=tuple(data["texts"]), counts=tuple(data["counts"]), n_lines=data["n_lines"]
        )


class TemplateMiner:
    """Finds the templates of messages that come in batches, in bounded memory.

    Its result does not depend on the order of the batches or on how they are cut, as long as there
    are at most 100,000 distinct masked messages.

    >>> miner = TemplateMiner()
    >>> miner.update(pa.array(["sent 12 bytes", "sent 7 bytes", "door opened"]))
    >>> miner.templates().texts
    ('sent <*> bytes', 'door opened')
    """

    def __init__(self, *, max_distinct: int = MAX_DISTINCT) -> None:
        self._counts: dict[Words, int] = defaultdict(int)
        self._masked: dict[str | None, Words] = {}
        self._max_distinct = max_distinct
        self.n_lines = 0

    def update(self, messages: pa.Array | pa.ChunkedArray) -> None:
        """Count a batch."""
        if not len(messages):
            return
        self.n_lines += len(messages)
        found = pc.value_counts(mask(_text(messages)))
        for text, count in zip(
            found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True
        ):
            words = self._masked.get(text)
            if words is None:
                words = self._masked[text] = tokens(text or "")
            self._counts[words] += count
        if len(self._masked) > self._max_distinct:
            self._masked.clear()
        if len(self._counts) > self._max_distinct:
            self._counts = defaultdict(int, grouped(self._counts))

    def templates(self, *, min_lines: int = 1, max_templates: int = MAX_TEMPLATES) -> Templates:
        """What was found so far: those of at least so many lines, the most frequent first."""
        found = ordered(grouped(self._counts))
        kept = [(words, count) for words, count in found if count >= min_lines][:max_templates]
        return Templates(
            texts=tuple(" ".join(words) for words, _ in kept),
            counts=tuple(count for _, count in kept),
            n_lines=self.n_lines,
        )


def mine(batches: Iterable[pa.Array | pa.ChunkedArray], *, min_lines: int = 1) -> Templates:
    """The templates of messages that come in batches."""
    miner = TemplateMiner()
    for batch in batches:
        miner.update(batch)
    return miner.templates(min_lines=min_lines)


def _text(messages: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_dictionary(messages.type) or not pa.types.is_string(messages.type):
        return messages.cast(pa.string())
    return messages
