"""Where a race stands: the trials so far, what they are expected to have cost, what is alive."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from automl.meta.gains import Expectation
from automl.search.effort import Effort
from automl.trial import Candidate, Proposal, Trial


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a strategy knows of the problem.

    `expected` gives the CPU-seconds of a proposal; it is a pure function. `propose` gives the
    next refinement of a family after the trials so far, or None when there is none.
    """

    screening_rows: int
    final_rows: int
    family: Callable[[Candidate], str]
    expected: Callable[[Candidate, int], float]
    fit_seconds: float  # expected CPU-seconds of one default boosting fit on the final rows
    propose: Callable[[str, Sequence[Trial]], Candidate | None]
    # All rows, and one default fit on them, where those are more than the final rows.
    all_rows: int = 0
    all_seconds: float = 0.0
    # What a random order scores: families are compared by what they have above it.
    chance: float = 0.0
    # What a configuration is expected to add to the trials so far; None where nothing tells it.
    gain: Callable[[Candidate, Sequence[Trial]], Expectation | None] = lambda candidate, trials: (
        None
    )
    # The next larger candidate where a trial's score was still climbing at its last round.
    larger: Callable[[Trial], Candidate | None] = lambda trial: None
    # What is tried besides the best on several times the final rows; None: nothing.
    large: Candidate | None = None
    # Told of every configuration of the portfolio, whether it is tried and why.
    note: Callable[..., None] = lambda candidate, **said: None


class Standing:
    """The trials so far, and what they are expected to have cost."""

    def __init__(self, *, shape: Shape, effort: Effort) -> None:
        self.shape, self.effort = shape, effort
        self.trials: list[Trial] = []
        self.mainstay = ""  # the family that gets another chance when half alive
        self.used = 0.0
        fit = shape.fit_seconds
        self.limit = effort.limit_seconds(fit)
        self.reserve = 3 * fit  # for the refit: two parts and all rows at most
        self.brute = effort.brute_seconds(fit)
        whole = shape.screening_rows >= shape.final_rows
        self.screening_rung = "final" if whole else "screening"

    def run(
        self, candidates: Sequence[Candidate], rung: str, n_rows: int
    ) -> Generator[Sequence[Proposal], Sequence[Trial], list[Trial]]:
        proposals = [Proposal(candidate=c, rung=rung, n_rows=n_rows) for c in candidates]
        done = yield proposals
        self.used += sum(trial.expected.cpu_seconds for trial in done)
        if n_rows == self.shape.screening_rows:
            self.trials += done
        return [trial for trial in done if trial.score is not None]

    def fits(
        self, candidate: Candidate, n_rows: int, *, share: float, reserved: bool = True
    ) -> bool:
        """Whether the frugal limit leaves room; it is in expected CPU-seconds, so it repeats."""
        more = self.shape.expected(candidate, n_rows) + (self.reserve if reserved else 0.0)
        return self.limit == inf or self.used + more < share * self.limit

    def liveliness(self, family: str) -> float:
        """1 for a family near the best score, a quarter for one that is half alive, else 0."""
        scores = [(self.shape.family(t.candidate), t.score) for t in self.trials]
        known = [(name, score) for name, score in scores if score is not None]
        own = [score for name, score in known if name == family]
        if not own:
            return 0.0
        best = max(score for _, score in known) - self.shape.chance
        share = (max(own) - self.shape.chance) / max(best, 1e-12)
        if share >= 1 - self.effort.tolerance:
            return 1.0
        return 0.25 if share >= 0.75 and family == self.mainstay else 0.0

    def alive(self) -> list[str]:
        """The families near the best score, best first."""
        names = [self.shape.family(t.candidate) for t in sorted(self.trials, key=by_score)]
        return [name for name in dict.fromkeys(reversed(names)) if self.liveliness(name) == 1.0]

    def brute_share(self, candidate: Candidate) -> float:
        """Expected cost in percent of the brute-force search's."""
        return 100 * self.shape.expected(candidate, self.shape.screening_rows) / self.brute

    def rate(self, candidate: Candidate, gain: float) -> float:
        return gain / max(self.brute_share(candidate), 1e-12)

    def worth(self, candidate: Candidate, gain: float) -> bool:
        return gain > 0 and self.rate(candidate, gain) >= self.effort.least_rate

    def expands(self, candidate: Candidate) -> bool:
        """Whether one more configuration of a family is worth its cost; said with its numbers."""
        lively = self.liveliness(self.shape.family(candidate))
        told = self.shape.gain(candidate, self.trials) if self.effort.expansion_gain else None
        prior = self.effort.expansion_gain
        gain = lively * (prior if told is None else told.after(prior))
        rate = self.rate(candidate, gain)
        fits = self.fits(candidate, self.shape.screening_rows, share=0.8)
        if not self.worth(candidate, gain):
            why = (
                f"{gain:.2g} % at {self.brute_share(candidate):.2g} % of brute-force cost is "
                f"{rate:.2g} per percent, below {self.effort.least_rate:.2g}"
                if lively
                else "its family is far behind"
            )
        else:
            why = f"{gain:.2g} % is worth its cost" + ("" if fits else ", which does not fit")
        tried = self.worth(candidate, gain) and fits
        self.note(candidate, stage="expand", tried=tried, why=why, told=told)
        return tried

    def note(self, candidate: Candidate, **said: Any) -> None:
        """Tell what is suggested, with its expected cost."""
        seconds = self.shape.expected(candidate, self.shape.screening_rows)
        self.shape.note(candidate, expected_cpu_seconds=seconds, **said)

    def best(self, trials: Sequence[Trial]) -> list[Trial]:
        """The finalists: the best by score, some per family, none far behind."""
        scored = sorted((t for t in trials if t.score is not None), key=by_score, reverse=True)
        chosen: list[Trial] = []
        chance = self.shape.chance
        far = (1 - 3 * self.effort.tolerance) * ((scored[0].score or 0) - chance) if scored else 0
        for trial in scored:
            family = self.shape.family(trial.candidate)
            n_own = sum(self.shape.family(t.candidate) == family for t in chosen)
            near = (trial.score or 0) - chance >= far
            if near and n_own < self.effort.members_per_family:
                chosen.append(trial)
        return chosen[: self.effort.members]

    def standard_error(self, trial: Trial) -> float:
        """Of a score, from its 90 % interval."""
        if trial.interval is None:
            return inf
        return (trial.interval[1] - trial.interval[0]) / (2 * 1.645)


def by_score(trial: Trial) -> tuple[float, int]:
    """Higher score first, then the earlier trial."""
    return (trial.score if trial.score is not None else -inf, -trial.number)
