"""Where a search writes down each trial before the next begins, and reads them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from automl.cost import Cost
from automl.trial import Proposal, Trial

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

DIED = "its process died"


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A trial that was begun: its number, what it tries, and what it is expected to cost."""

    number: int
    proposal: Proposal
    expected: Cost


class Journal(Protocol):
    """The record of one search. Trials run one after the other, so at most one is unended.

    A search that starts on a journal with trials in it replays them and goes on: that is all
    there is to resuming after a pause, a crash, or a move to another machine.
    """

    def finished(self) -> Sequence[Trial]:
        """Every ended trial, failed ones too, ordered by number."""
        ...

    def interrupted(self) -> Begun | None:
        """The trial that was begun and never ended: its process died. None mostly."""
        ...

    def begin(self, number: int, proposal: Proposal, expected: Cost) -> None:
        """Write down that a trial starts, before any work is done for it.

        Raises
        ------
        ValueError
            The number was begun before, or another trial has not ended.
        """
        ...

    def end(self, trial: Trial, out_of_fold: Arrays | None) -> None:
        """Write down what came of the begun trial; durable when this returns.

        `out_of_fold` has one entry per array, all of one length: ``rows`` (positions in the
        dataset, int64) and ``logit`` (float64, at the true prevalence). None for a failed trial.

        Raises
        ------
        ValueError
            The trial was not begun, or has ended before.
        """
        ...

    def out_of_fold(self, number: int) -> Arrays | None:
        """The arrays given to `end`, bit for bit; None when there were none."""
        ...


class MemoryJournal:
    """A journal that lives as long as its object.

    >>> journal = MemoryJournal()
    >>> journal.finished(), journal.interrupted()
    ([], None)
    """

    def __init__(self) -> None:
        self._trials: dict[int, Trial] = {}
        self._arrays: dict[int, dict[str, npt.NDArray[Any]]] = {}
        self._begun: Begun | None = None

    def finished(self) -> Sequence[Trial]:
        return [self._trials[number] for number in sorted(self._trials)]

    def interrupted(self) -> Begun | None:
        return self._begun

    def begin(self, number: int, proposal: Proposal, expected: Cost) -> None:
        if self._begun is not None:
            raise ValueError(f"trial {self._begun.number} has not ended")
        if number in self._trials:
            raise ValueError(f"trial {number} has ended before")
        self._begun = Begun(number=number, proposal=proposal, expected=expected)

    def end(self, trial: Trial, out_of_fold: Arrays | None) -> None:
        if self._begun is None or self._begun.number != trial.number:
            raise ValueError(f"trial {trial.number} was not begun")
        if out_of_fold is not None:
            self._arrays[trial.number] = {k: np.array(v) for k, v in out_of_fold.items()}
        self._trials[trial.number] = trial
        self._begun = None

    def out_of_fold(self, number: int) -> Arrays | None:
        return self._arrays.get(number)


def all_ended(journal: Journal) -> list[Trial]:
    """Every trial of a journal, once one that was interrupted has been ended as failed.

    What that one took is unknown; the expected cost is charged, so that a budget stays one.
    """
    begun = journal.interrupted()
    if begun is not None:
        died = Trial(
            number=begun.number,
            proposal=begun.proposal,
            cost=begun.expected,
            expected=begun.expected,
            error=DIED,
        )
        journal.end(died, None)
    return list(journal.finished())
