"""A strategy is a generator: it yields proposals and is sent the trials.

Nothing else is needed to write one: no base class, no state object. A stopped search is resumed
by sending the stored trials through a fresh generator, so a strategy may look at nothing but
what it was made with and what it is sent. It decides by expected costs only.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

from automl.search.effort import Effort
from automl.search.probes import Probe
from automl.search.standing import Shape, Standing, by_score
from automl.search.stop import Stop
from automl.trial import Candidate, Proposal, Trial

Strategy: TypeAlias = Generator[Sequence[Proposal], Sequence[Trial], "SearchEnd"]


@dataclass(frozen=True, kw_only=True)
class SearchEnd:
    """Why a strategy has nothing more to propose, and which trials may become members."""

    stop: Stop
    finalists: tuple[int, ...]
    # Those that join the finalists only by a gain that is told from chance.
    others: tuple[int, ...] = ()
    # Of the finalists by number, where they are known already; else they are found.
    weights: Mapping[int, float] | None = None

    @property
    def reason(self) -> str:
        """In words."""
        return self.stop.text


def successive_halving(
    first: Sequence[Candidate],
    expansions: Mapping[str, Sequence[Candidate]],
    *,
    shape: Shape,
    effort: Effort,
    probes: Sequence[Probe] = (),
    explore: Sequence[Candidate] = (),
) -> Strategy:
    """Race families on the screening rows, widen those alive, judge the best on the final rows.

    Karnin, Koren & Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013, with
    two rungs: docs/method.md, The steps. Where the screening rows are the final rows
    there is one rung, and every trial of it is a finalist's.

    A proposal that was sent no trial was refused by the budget; what it would have told is
    simply not known. Probes, and what is to be explored, are tried whatever they are expected to
    gain.
    """
    race = Standing(shape=shape, effort=effort)
    for position, candidate in enumerate(first):
        # The first two always run: with one family there is nothing to compare.
        tried = position < 2 or (
            race.worth(candidate, effort.first_gain)
            and race.fits(candidate, shape.screening_rows, share=0.75)
        )
        race.note(candidate, stage="first", tried=tried, why=f"number {position + 1} of the race")
        if tried:
            yield from race.run([candidate], race.screening_rung, shape.screening_rows)
    race.mainstay = shape.family(first[0])
    for probe in probes:
        tried = race.fits(probe.candidate, shape.screening_rows, share=0.8)
        race.note(probe.candidate, stage="probe", tried=tried, why=probe.why)
        if tried:
            yield from race.run([probe.candidate], race.screening_rung, shape.screening_rows)
    for candidates in expansions.values():
        for candidate in candidates:
            if race.expands(candidate):
                yield from race.run([candidate], race.screening_rung, shape.screening_rows)
    for candidate in explore:
        tried = race.fits(candidate, shape.screening_rows, share=0.8)
        race.note(candidate, stage="explore", tried=tried, why="one job in twenty explores")
        if tried:
            yield from race.run([candidate], race.screening_rung, shape.screening_rows)
    n_raced = len(race.trials)
    stop = yield from _refine(race)
    if effort.thorough:
        return (yield from _thorough(race, stop, raced=race.trials[:n_raced]))
    finalists = race.best(race.trials)
    if race.screening_rung == "final":
        yield from _escalate(race, finalists)
        return SearchEnd(stop=stop, finalists=tuple(t.number for t in race.best(race.trials)))
    chosen: list[Trial] = []
    for position, screened in enumerate(finalists):
        candidate = screened.candidate
        judged: list[Trial] = []
        if position == 0 or race.fits(candidate, shape.final_rows, share=1.0, reserved=False):
            judged = yield from race.run([candidate], "final", shape.final_rows)
        # One that could not be afforded on the final rows stays as it was screened.
        chosen.append(judged[0] if judged else screened)
    chosen += yield from _escalate(race, [t for t in chosen if t.proposal.rung == "final"])
    chosen += yield from _widen(race, [t for t in chosen if t.proposal.rung == "final"])
    best = {t.number for t in sorted(chosen, key=by_score, reverse=True)[: effort.members]}
    return SearchEnd(stop=stop, finalists=tuple(t.number for t in chosen if t.number in best))


# Refinements that are judged on the final rows, where they were screened on fewer.
REFINEMENTS_JUDGED = 2


def _thorough(
    race: Standing, stop: Stop, *, raced: Sequence[Trial]
) -> Generator[Sequence[Proposal], Sequence[Trial], SearchEnd]:
    """End with the finalists of the race; what was refined may only join them.

    Of many refinements the luckiest led by score and crowded out the mixture that a shorter search
    keeps: docs/method.md, Best. What is grown or widened, from a finalist and by a gain of its
    own, is a finalist like any other.
    """
    shape = race.shape
    known = {trial.number for trial in raced}
    refined = [trial for trial in race.trials if trial.number not in known]
    finalists = race.best(raced)
    if race.screening_rung == "final":
        made = yield from _escalate(race, finalists)
        finalists = race.best([*raced, *made])
        others = [trial for trial in refined if trial.score is not None]
        return _end(stop, finalists, others)
    judged: dict[bool, list[Trial]] = {True: [], False: []}
    best = [(trial, True) for trial in finalists]
    best += [(trial, False) for trial in race.best(refined)[:REFINEMENTS_JUDGED]]
    for position, (screened, own) in enumerate(best):
        candidate = screened.candidate
        done: list[Trial] = []
        if position == 0 or race.fits(candidate, shape.final_rows, share=1.0, reserved=False):
            done = yield from race.run([candidate], "final", shape.final_rows)
        # A refinement that was not judged on the final rows is none of the others.
        judged[own] += done or ([screened] if own else [])
    final = [t for t in judged[True] if t.proposal.rung == "final"]
    grown = yield from _escalate(race, final)
    grown += yield from _widen(race, [*final, *grown])
    return _end(stop, race.best([*judged[True], *grown]), judged[False])


def _end(stop: Stop, finalists: Sequence[Trial], others: Sequence[Trial]) -> SearchEnd:
    return SearchEnd(
        stop=stop,
        finalists=tuple(t.number for t in finalists),
        others=tuple(t.number for t in others),
    )


# What a search may take, in frugal limits, while larger and larger models pay.
WHERE_CAPACITY_PAYS = 2.0


def _escalate(
    race: Standing, judged: Sequence[Trial]
) -> Generator[Sequence[Proposal], Sequence[Trial], list[Trial]]:
    """Grow the best model while its score was climbing at its last round and the next gains.

    The next is tried on the final rows, and another after it only if it gained more than half a
    standard error: no more is spent where capacity does not matter than one trial, and that
    only where early stopping never had its say.
    """
    made: list[Trial] = []
    best = max((t for t in judged if t.score is not None), key=by_score, default=None)
    n_rows = race.shape.final_rows
    while best is not None:
        candidate = race.shape.larger(best)
        if candidate is None or not race.fits(candidate, n_rows, share=WHERE_CAPACITY_PAYS):
            break
        done = yield from race.run([candidate], "final", n_rows)
        made += done
        needed = (best.score or 0.0) + race.standard_error(best) / 2
        best = next((t for t in done if (t.score or 0.0) > needed), None)
    return made


# Narrower kernels fit the rows that judge: a refined one led by 0.04 out of fold and lost 0.09 on
# the test part, of 0.34 (docs/method.md, Few rows).
UNREFINED = ("kernel",)
# Where more folds judge and forests are large, other leaves of theirs lost 0.5 %
# (docs/method.md, Best).
UNREFINED_IF_THOROUGH = (*UNREFINED, "forest")


# So many times the rows at a time: two such steps reach what three of three times do, for less.
MORE_ROWS = 5


def _widen(
    race: Standing, judged: Sequence[Trial]
) -> Generator[Sequence[Proposal], Sequence[Trial], list[Trial]]:
    """Fit on more negatives than the final rows have, while that gains.

    Twenty negatives for each positive are enough on most tables. Where they are not, and all the
    rows are hundreds for each, the first step tells: docs/method.md, Sample. More rows bear larger
    trees, so that a large model is tried on them, and the best one only where that gains nothing.
    A next step is taken by what gained more than half a standard error.
    """
    shape = race.shape
    made: list[Trial] = []
    limit = max(race.effort.wide_seconds(shape.all_seconds), race.limit)
    best = max((t for t in judged if t.score is not None), key=by_score, default=None)
    n_rows = shape.final_rows
    while best is not None and n_rows < shape.all_rows:
        n_rows = min(MORE_ROWS * n_rows, shape.all_rows)
        needed = (best.score or 0.0) + race.standard_error(best) / 2
        large = shape.large if not made and shape.large is not None else best.candidate
        candidates = [large] if large == best.candidate else [large, best.candidate]
        best = None
        for candidate in candidates:
            # Half as much again for the refit on these rows.
            more = 1.5 * shape.expected(candidate, n_rows)
            if best is None and (not race.effort.frugal or race.used + more <= limit):
                done = yield from race.run([candidate], "final", n_rows)
                made += done
                best = next((t for t in done if (t.score or 0.0) > needed), None)
    return made


def _refine(race: Standing) -> Generator[Sequence[Proposal], Sequence[Trial], Stop]:
    """Let the sampler propose around the best of a family until it is no longer worth it."""
    shape, effort = race.shape, race.effort
    if not effort.refinements:
        return Stop(
            reason="tried", text=f"all {len(race.trials)} configurations of this mode were tried"
        )
    unrefined = UNREFINED_IF_THOROUGH if effort.thorough else UNREFINED
    since_better = 0
    exhausted: set[str] = set()  # families near whose best all that is proposed was tried
    for position in range(effort.refinements):
        scored = [t for t in race.trials if t.score is not None]
        if not scored:
            return Stop(reason="no_score", text="no candidate could be scored")
        best = max(scored, key=by_score)
        families = [name for name in race.alive() if name not in {*unrefined, *exhausted}]
        if not families:
            text = f"{len(race.trials)} trials, and what is alive is not refined"
            if exhausted:
                of = f"family {' and family '.join(sorted(exhausted))}"
                text = f"{len(race.trials)} trials and no further refinement of {of}"
            return Stop(reason="tried", text=text)
        family = families[: effort.families_refined][
            position % min(len(families), effort.families_refined)
        ]
        candidate = shape.propose(family, race.trials)
        if candidate is None:
            exhausted.add(family)
            continue
        gain = effort.refinement_gain(position)
        rate = race.rate(candidate, gain)
        numbers = Stop(
            reason="rate",
            text=f"the next refinement's expected gain, {gain:.2g} % at "
            f"{race.brute_share(candidate):.2g} % of brute-force cost, is {rate:.2g} per "
            f"percent, below {effort.least_rate:.2g}",
            expected_gain=gain,
            expected_cost=shape.expected(candidate, shape.screening_rows),
            used=race.used,
            limit=None if race.limit == inf else race.limit,
            unit="expected_cpu_seconds",
            rate=rate,
            least_rate=effort.least_rate,
        )
        if rate < effort.least_rate:
            return numbers
        if not race.fits(candidate, shape.screening_rows, share=0.8):
            text = (
                f"the next refinement does not fit the frugal limit: {race.used:.3g} CPU-seconds "
                f"expected so far, {race.limit:.3g} in all"
            )
            return replace(numbers, reason="frugal_limit", text=text)
        if since_better >= effort.plateau:
            text = (
                f"the last {since_better} refinements gained less than half a standard error "
                f"({race.standard_error(best) / 2:.2g}) on the best score of {best.score:.4g}"
            )
            return replace(numbers, reason="plateau", text=text)
        rung = "final" if race.screening_rung == "final" else "refinement"
        done = yield from race.run([candidate], rung, shape.screening_rows)
        if not done:
            text = "the budget refused the next refinement"
            return replace(numbers, reason="budget", text=text)
        score = done[0].score
        better = score is not None and score > (best.score or 0) + race.standard_error(best) / 2
        since_better = 0 if better else since_better + 1
    text = f"all of {effort.refinements} refinements planned in this mode were tried"
    return Stop(reason="tried", text=text)
