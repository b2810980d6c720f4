"""Groups of masked messages that are alike, and the template of each group.

A tree of fixed depth groups like messages, after He, Zhu, Zheng and Lyu, "Drain: An Online Log
Parsing Approach with Fixed Depth Tree", ICWS 2017. It differs in three ways. What varies is masked
first, so the tree sees each distinct masked message once, not each line. The distinct ones come to
it in order of their counts, not of the file, so batches may come in any order. And where messages
of a group differ in one word with few values in many lines ("opened", "closed"), it is split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from automl.logs.masking import MASK

Words = tuple[str, ...]
Places = tuple[int, ...]

UNSEEN = -1
MASKED = 0  # words are compared as numbers: that of the mask
# Drain's own settings for all of its data sets: similarity 0.5, at most 100 children.
SIMILARITY = 0.5
MAX_CHILDREN = 100
MAX_GROUPS = 200
# A word with so few values in so many lines each, on average, is part of what the line says. Their
# average, since one line of "Interrupted" among thousands of "terminating" is what is looked for.
FEW_WORDS, FREQUENT_LINES = 4, 5
# So many event codes, messages of one word; the rarer are one template.
MAX_CODES = 1_000


def ordered(counts: Mapping[Words, int]) -> list[tuple[Words, int]]:
    """The most frequent first; equal counts by their words, so that no order of arrival shows."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


class Fits:
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
        self._fits = Fits()
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


def grouped(counts: Mapping[Words, int]) -> dict[Words, int]:
    """Distinct masked messages to templates, with their counts."""
    found: dict[Words, int] = defaultdict(int)
    codes = ordered({words: count for words, count in counts.items() if len(words) == 1})
    for number, (words, count) in enumerate(codes):
        found[words if number < MAX_CODES else (MASK,)] += count
    ids = {MASK: MASKED}
    leaves: dict[tuple[int, str], _Leaf] = {}
    children: dict[int, set[str]] = defaultdict(set)
    for words, count in ordered(counts):
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
