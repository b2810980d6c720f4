"""Templates of log messages: what lines of one kind have in common.

A tree of fixed depth groups like messages, after He, Zhu, Zheng and Lyu, "Drain: An Online Log
Parsing Approach with Fixed Depth Tree", ICWS 2017. It differs in three ways. What varies is masked
first, so the tree sees each distinct masked message once, not each line. The distinct ones come to
it in order of their counts, not of the file, so batches may come in any order. And where messages
of a group differ in one word with few values in many lines ("opened", "closed"), it is split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.logs.masking import MASK, mask, tokens

Words = tuple[str, ...]
Codes = npt.NDArray[np.int32]
Places = tuple[int, ...]

MASKED = 0  # words are compared as numbers: that of the mask

UNSEEN = -1
# Drain's own settings for all of its data sets: similarity 0.5, at most 100 children.
SIMILARITY = 0.5
MAX_CHILDREN = 100
MAX_GROUPS = 200
# A word with so few values in so many lines each, on average, is part of what the line says. Their
# average, since one line of "Interrupted" among thousands of "terminating" is what is looked for.
FEW_WORDS, FREQUENT_LINES = 4, 5
# Beyond so many distinct masked messages they give way to their templates: memory stays bounded,
# and only then may the order of batches matter.
MAX_DISTINCT = 100_000
MAX_TEMPLATES = 5_000
# So many event codes, messages of one word; the rarer are one template.
MAX_CODES = 1_000


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
    def _index(self) -> Mapping[tuple[int, str], _Fits]:
        """Templates by their length and first word."""
        found: dict[tuple[int, str], _Fits] = defaultdict(_Fits)
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
            grouped = _grouped(self._counts)
            self._counts = defaultdict(int, grouped)

    def templates(self, *, min_lines: int = 1, max_templates: int = MAX_TEMPLATES) -> Templates:
        """What was found so far: those of at least so many lines, the most frequent first."""
        ordered = _ordered(_grouped(self._counts))
        kept = [(words, count) for words, count in ordered if count >= min_lines][:max_templates]
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


def _ordered(counts: Mapping[Words, int]) -> list[tuple[Words, int]]:
    """The most frequent first; equal counts by their words, so that no order of arrival shows."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


class _Fits:
    """Templates of one length, found by what is not masked in them."""

    def __init__(self) -> None:
        self._places: dict[Places, dict[Words, int]] = {}
        self._order: list[tuple[Places, dict[Words, int]]] = []

    def add(self, template: Words, number: int) -> None:
        """A template; of two with the same words the first stays."""
        places = tuple(at for at, word in enumerate(template) if word != MASK)
        if places not in self._places:
            self._places[places] = {}
            self._order = sorted(self._places.items(), key=lambda one: (-len(one[0]), one[0]))
        self._places[places].setdefault(tuple(template[at] for at in places), number)

    def find(self, words: Words) -> tuple[int, int]:
        """The template of the most words that fits, -1 for none, and how many words it has."""
        best = (UNSEEN, -1)
        for places, numbers in self._order:
            if len(places) < best[1]:
                break
            number = numbers.get(tuple([words[at] for at in places]))
            if number is not None and (best[0] == UNSEEN or number < best[0]):
                best = (number, len(places))
        return best


class _Leaf:
    """Groups of messages of one length that begin alike: templates, and their messages' counts.

    A message belongs to the template that fits it, else to the most similar one. Once there are
    200 groups, one that is like none of them has no template: they come in order of their counts,
    so it is a rare one, of a text that is hardly ever said twice.
    """

    def __init__(self, length: int, ids: dict[str, int]) -> None:
        self._ids = ids
        self._templates: list[Words] = []
        self._matrix = np.zeros((4, length), dtype=np.int32)
        self._fits = _Fits()
        self.groups: list[list[tuple[Words, int]]] = []

    def add(self, words: Words, count: int) -> None:
        """Add a message; similarity is the share of equal words where not both are masked."""
        group, _ = self._fits.find(words)
        if group != UNSEEN:
            self.groups[group].append((words, count))
            return
        n = len(self.groups)
        ids = np.array([self._ids.setdefault(one, len(self._ids)) for one in words], np.int32)
        equal = self._matrix[:n] == ids
        masked = (equal & (ids == MASKED)).sum(axis=1)
        similarity = (equal.sum(axis=1) - masked) / np.maximum(len(words) - masked, 1)
        group = int(similarity.argmax()) if n else -1
        if n and similarity[group] >= SIMILARITY:
            self._matrix[group, ~equal[group]] = MASKED
            self._templates[group] = _merged(self._templates[group], words)
            self.groups[group].append((words, count))
        elif n < MAX_GROUPS:
            group = n
            if n == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, self._matrix])
            self._matrix[n] = ids
            self._templates.append(words)
            self.groups.append([(words, count)])
        else:
            return
        # What a template fitted before it was merged it fits still.
        self._fits.add(self._templates[group], group)


def _grouped(counts: Mapping[Words, int]) -> dict[Words, int]:
    """Distinct masked messages to templates, with their counts."""
    found: dict[Words, int] = defaultdict(int)
    codes = _ordered({words: count for words, count in counts.items() if len(words) == 1})
    for number, (words, count) in enumerate(codes):
        found[words if number < MAX_CODES else (MASK,)] += count
    ids = {MASK: MASKED}
    leaves: dict[tuple[int, str], _Leaf] = {}
    children: dict[int, set[str]] = defaultdict(set)
    for words, count in _ordered(counts):
        if len(words) < 2:
            continue
        first, known = words[0], children[len(words)]
        if first not in known:
            # As in Drain, a level has so many children, then all others share one.
            first = first if len(known) < MAX_CHILDREN else MASK
            known.add(first)
        if (len(words), first) not in leaves:
            leaves[len(words), first] = _Leaf(len(words), ids)
        leaves[len(words), first].add(words, count)
    for leaf in leaves.values():
        for members in leaf.groups:
            for template, n_lines in _split(members):
                found[template] += n_lines
    return found


def _split(members: list[tuple[Words, int]]) -> Iterator[tuple[Words, int]]:
    """A group's template, or those of its parts where a word has few and frequent values."""
    if len(members) > 1:
        for place in range(len(members[0][0])):
            lines: dict[str, int] = defaultdict(int)
            for words, count in members:
                lines[words[place]] += count
                if len(lines) > FEW_WORDS:
                    break
            if 1 < len(lines) <= FEW_WORDS and (sum(lines.values()) >= FREQUENT_LINES * len(lines)):
                for word in sorted(lines):
                    yield from _split([one for one in members if one[0][place] == word])
                return
    template = members[0][0]
    for words, _ in members[1:]:
        template = _merged(template, words)
    yield template, sum(count for _, count in members)


def _merged(template: Words, words: Words) -> Words:
    return tuple(
        mine if mine == other else MASK for mine, other in zip(template, words, strict=True)
    )
