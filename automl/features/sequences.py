"""In which order a log says things: frequent pairs and triples of templates, and rare turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from automl.features.group import Column
from automl.features.mined import (
    MIN_ENTITIES,
    Coded,
    MinedGroup,
    coded_blocks,
    codes_of,
    templates_of,
)
from automl.features.segments import Stretches
from automl.features.windows import Window, choose_windows
from automl.logs.tree import UNSEEN
from automl.relations.tables import EventTable, Floats, Integers, Spans

# So many pairs and triples are counted, of those that tell entities apart best.
MAX_PAIRS, MAX_TRIPLES = 40, 24
# Whole sequences up to this length are compared with those of training rows.
MAX_LENGTH, MAX_SEQUENCES = 64, 5_000
# A turn that one of a hundred lines takes after the same line before it is a rare one.
RARE = 0.01
ODD = np.uint64(0x9E3779B97F4A7C15)  # of SplitMix64 (Steele et al. 2014), as the two below
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
SUMMARIES = ("surprise_mean", "surprise_max", "surprise_last", "rare", "new", "same", "last")


@dataclass(frozen=True, kw_only=True)
class FittedSequences(MinedGroup):
    """Counts of pairs and triples of templates, and how usual their order is.

    `T.sequence.pair.3.count` is the number of times that the two templates of `pairs[3]` follow
    each other. `T.sequence.surprise_max` is the highest -log probability of a line given the one
    before, under a Markov chain of training rows; `rare` and `new` are the numbers of turns of a
    probability below 0.01, and of those that training rows never (or one or two of them) took;
    `same` is the log of the number of training rows with the very same sequence, `last` the number
    of the last template.

    Parameters
    ----------
    pairs, triples : tuples of template numbers; n_templates is a line like none
    turns : (from, to) to the number of times it was taken; n_templates + 1 is the beginning
    totals : how often each state was left, shape (n_templates + 2,)
    sequences : hash of a whole sequence to the number of training rows that have it
    """

    kind = "sequences"
    window: Window
    pairs: tuple[tuple[int, ...], ...]
    triples: tuple[tuple[int, ...], ...]
    turns: Mapping[tuple[int, int], int]
    totals: tuple[int, ...]
    sequences: Mapping[int, int]

    def transform(self, table: EventTable, spans: Spans) -> list[Column]:
        """Counts of none are 0, the rest NaN; shape (n_entities,), float32."""
        n_rows, prefix = len(spans.start), f"{self.table}.sequence."
        wanted = [name.removeprefix(prefix) for name in self.columns]
        found = {name: np.full(n_rows, _empty(name)) for name in wanted}
        codes = codes_of(table, spans, self.templates)
        start = self.window.start(table, spans)
        for coded in coded_blocks(table, start, spans.end, codes, n_columns=MAX_PAIRS):
            for name, values in self._of(coded).items():
                if name in found:
                    found[name][coded.block.rows] = values
        return [found[name].astype(np.float32) for name in wanted]

    def _of(self, coded: Coded) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        n, steps = coded.n_stretches, _Steps.of(coded, len(self.templates))
        for what, wanted, taken in (
            ("pair", self.pairs, steps.pairs()),
            ("triple", self.triples, steps.triples()),
        ):
            numbers = np.array([steps.number(one) for one in wanted], dtype=np.int64)
            order = np.argsort(numbers)
            stretch, values = taken
            at = np.minimum(np.searchsorted(numbers[order], values), max(len(numbers) - 1, 0))
            hit = numbers[order][at] == values if len(numbers) else np.zeros(len(values), bool)
            cells = stretch[hit] * len(numbers) + order[at[hit]]
            counts = np.bincount(cells, minlength=n * len(numbers)).reshape(n, len(numbers))
            for number in range(len(numbers)):
                found[f"{what}.{number}.count"] = counts[:, number].astype(float)
        surprise, new = self._surprise(steps)
        of = steps.stretches
        found["surprise_mean"] = of.sum(surprise) / of.count
        found["surprise_max"] = of.max(surprise)
        found["surprise_last"] = of.last(surprise)
        found["rare"] = of.sum((surprise > -np.log(RARE)).astype(float))
        found["new"] = of.sum(new)
        found["last"] = of.last(steps.state.astype(float))
        hashes = steps.hashes()
        same = np.array([self.sequences.get(int(one), 0) for one in hashes], dtype=np.float64)
        found["same"] = np.log1p(same)
        return found

    def _surprise(self, steps: _Steps) -> tuple[Floats, Floats]:
        """-log probability of each line after the one before; whether training rows had none."""
        numbers, logs = self._chain
        pair = steps.before * steps.size + steps.state
        at = np.minimum(np.searchsorted(numbers, pair), max(len(numbers) - 1, 0))
        known = numbers[at] == pair if len(numbers) else np.zeros(len(pair), dtype=bool)
        n_states = len(self.templates) + 1
        unknown = np.log(np.array(self.totals, dtype=np.float64) + n_states)[steps.before]
        return np.where(known, logs[at] if len(logs) else 0.0, unknown), (~known).astype(float)

    @cached_property
    def _chain(self) -> tuple[Integers, Floats]:
        """Turns as ascending numbers, and -log of their probability, smoothed by adding one."""
        size, n_states = len(self.templates) + 2, len(self.templates) + 1
        ordered = sorted((one * size + two, one, n) for (one, two), n in self.turns.items())
        logs = [np.log((self.totals[one] + n_states) / (n + 1)) for _, one, n in ordered]
        return np.array([one for one, _, _ in ordered], dtype=np.int64), np.array(logs)

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it; what fewer than three training rows did is not in it."""
        return {
            **self._shared(),
            "window": self.window.to_json(),
            "pairs": [list(one) for one in self.pairs],
            "triples": [list(one) for one in self.triples],
            "turns": [[one, two, n] for (one, two), n in self.turns.items()],
            "totals": list(self.totals),
            "sequences": [[one, n] for one, n in self.sequences.items()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            **cls._read(data),
            window=Window.from_json(data["window"]),
            pairs=tuple(tuple(one) for one in data["pairs"]),
            triples=tuple(tuple(one) for one in data["triples"]),
            turns={(one, two): n for one, two, n in data["turns"]},
            totals=tuple(data["totals"]),
            sequences=dict(data["sequences"]),
        )


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """The lines of a block with the state before each; states are templates, none, beginning."""

    stretches: Stretches
    stretch: Integers
    state: Integers
    before: Integers
    size: int

    @classmethod
    def of(cls, coded: Coded, n_templates: int) -> _Steps:
        state = np.where(coded.codes == UNSEEN, n_templates, coded.codes).astype(np.int64)
        length = coded.block.whole.count
        stop = np.cumsum(length)
        before = np.empty_like(state)
        before[1:] = state[:-1]
        before[stop - length] = n_templates + 1
        return cls(
            stretches=Stretches(start=stop - length, end=stop, size=len(state)),
            stretch=coded.stretch,
            state=state,
            before=before,
            size=n_templates + 2,
        )

    def number(self, states: Sequence[int]) -> int:
        """One number for some states in a row."""
        number = 0
        for one in states:
            number = number * self.size + one
        return number

    def pairs(self) -> tuple[Integers, Integers]:
        """The stretch and the number of each pair of lines."""
        inner = self.before < self.size - 1
        return self.stretch[inner], (self.before * self.size + self.state)[inner]

    def triples(self) -> tuple[Integers, Integers]:
        """The stretch and the number of each three lines in a row."""
        earlier = np.empty_like(self.before)
        earlier[1:] = self.before[:-1]
        earlier[:1] = self.size - 1
        inner = (self.before < self.size - 1) & (earlier < self.size - 1)
        numbers = (earlier * self.size + self.before) * self.size + self.state
        return self.stretch[inner], numbers[inner]

    def hashes(self) -> Integers:
        """A hash of each whole sequence of at most 64 lines, of 53 bits; 0 of a longer one."""
        place = np.arange(len(self.state)) - self.stretches.start[self.stretch]
        mixed = (self.state * 2**20 + place + 1).astype(np.uint64) * ODD
        mixed = (mixed ^ (mixed >> np.uint64(30))) * MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * MIX[1]
        sums = np.add.reduceat(mixed ^ (mixed >> np.uint64(31)), self.stretches.start)
        short = self.stretches.count <= MAX_LENGTH
        return np.where(short, sums >> np.uint64(11), 0).astype(np.int64)


class Sequences:
    """Counts pairs, triples, turns and whole sequences of training rows, without the target."""

    kind = "sequences"
    seconds_per_million = 1.8

    def fit(self, table: EventTable, spans: Spans, *, seed: int) -> FittedSequences | None:
        """What to count; None for a table without messages, or with one line per entity."""
        templates = templates_of(table, spans)
        if templates is None or table.message is None:
            return None
        window = choose_windows(table, spans)[0]
        start = window.start(table, spans)
        if not (spans.end - start > 1).any():
            return None
        codes = codes_of(table, spans, templates)
        n, size = len(templates), len(templates) + 2
        counts: dict[str, _Counter] = {what: _Counter() for what in ("pair", "triple", "turn")}
        sequences = _Counter()
        totals = np.zeros(size, dtype=np.int64)
        n_rows = 0
        for coded in coded_blocks(table, start, spans.end, codes, n_columns=1):
            steps = _Steps.of(coded, n)
            n_rows += coded.n_stretches
            counts["pair"].add(*steps.pairs())
            counts["triple"].add(*steps.triples())
            counts["turn"].add(steps.stretch, steps.before * size + steps.state)
            sequences.add(np.arange(coded.n_stretches), steps.hashes())
            totals += np.bincount(steps.before, minlength=size)
        pairs = counts["pair"].telling(n_rows, MAX_PAIRS)
        triples = counts["triple"].telling(n_rows, MAX_TRIPLES)
        usual = sorted((-n_have, number) for number, n_have, _ in sequences.kept() if number != 0)[
            :MAX_SEQUENCES
        ]
        names = [f"pair.{number}.count" for number in range(len(pairs))]
        names += [f"triple.{number}.count" for number in range(len(triples))]
        return FittedSequences(
            table=table.name,
            message=table.message,
            templates=templates,
            window=window,
            pairs=tuple(divmod(one, size) for one in pairs),
            triples=tuple((*divmod(one // size, size), one % size) for one in triples),
            turns={divmod(number, size): n for number, _, n in counts["turn"].kept()},
            totals=tuple(totals.tolist()),
            sequences={number: -n_have for n_have, number in usual},
            columns=[f"{table.name}.sequence.{name}" for name in (*names, *SUMMARIES)],
        )


class _Counter:
    """How often a number occurs, and in how many stretches."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int]] = {}

    def add(self, stretch: Integers, numbers: Integers) -> None:
        """Count those of a block."""
        if not len(numbers):
            return
        distinct, places = np.unique(numbers, return_inverse=True)
        pairs = np.unique(stretch * len(distinct) + places)
        n_have = np.bincount(pairs % len(distinct), minlength=len(distinct))
        n_times = np.bincount(places, minlength=len(distinct))
        for number, have, times in zip(
            distinct.tolist(), n_have.tolist(), n_times.tolist(), strict=True
        ):
            one = self._found.get(number, (0, 0))
            self._found[number] = (one[0] + have, one[1] + times)

    def kept(self) -> Iterator[tuple[int, int, int]]:
        """Number, stretches and times of those that three or more stretches have, ascending."""
        for number in sorted(self._found):
            n_have, n_times = self._found[number]
            if n_have >= MIN_ENTITIES:
                yield number, n_have, n_times

    def telling(self, n_rows: int, most: int) -> list[int]:
        """Those that the most rows have and others have not, or have more than once."""
        scored = [
            (-n_have * max(n_rows - n_have, n_times - n_have), number)
            for number, n_have, n_times in self.kept()
        ]
        return [number for score, number in sorted(scored)[:most] if score < 0]


def _empty(name: str) -> float:
    return 0.0 if name.endswith(".count") or name in ("rare", "new", "same") else np.nan
