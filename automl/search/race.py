"""The race of a search: which candidates run, in which order, and what each is expected to take."""

from __future__ import annotations

from collections.abc import Sequence

from automl.meta.portfolio import NAMED, Portfolio, portfolio
from automl.models.catalog import family, monotone
from automl.sampling.stratified import FINAL_ROWS
from automl.search.advice import Adviser
from automl.search.capacity import larger
from automl.search.effort import Effort
from automl.search.evaluate import default_fit_seconds, expected_cost
from automl.search.probes import probes
from automl.search.refine import propose
from automl.search.standing import Shape
from automl.search.start import Relation
from automl.search.strategies import Strategy, successive_halving
from automl.search.unlabelled import gain_with_unlabelled, with_unlabelled
from automl.trial import Candidate, Proposal, Trial


def race_of(
    adviser: Adviser, *, mode: str, effort: Effort, relation: Relation | None = None
) -> Strategy:
    """Return the strategy of a search: what the knowledge base puts in the race, in its order.

    The candidates of a champion to start from come before all others.
    """
    problem, knowledge = adviser.problem, adviser.knowledge
    models = knowledge.portfolio(mode, n_rows=problem.dataset.n_rows)
    # What brute force is measured in, whatever the order.
    default = portfolio(mode).first[0]
    if relation is not None:
        models = models.after(relation.start.candidates)
    explore = tuple(one for one in (knowledge.explore,) if one is not None)
    models = with_unlabelled(models, problem)
    if problem.info.monotone:
        models = models.only(monotone)
        explore = tuple(filter(monotone, explore))
    found = probes(problem)
    named = {c.id: c for c in (*entrants(models), *(probe.candidate for probe in found))}

    def refinement(name: str, trials: Sequence[Trial]) -> Candidate | None:
        own = [t for t in trials if t.score is not None and t.candidate.id in named]
        own = [t for t in own if family(t.candidate) == name]
        if not own:
            return None
        around = max(own, key=lambda t: (t.score or 0.0, -t.number)).candidate
        return propose(around, trials, seed=problem.seed)

    def expected(candidate: Candidate, n_rows: int) -> float:
        rung = "final" if n_rows >= problem.final_rows else "screening"
        proposal = Proposal(candidate=candidate, rung=rung, n_rows=n_rows)
        return expected_cost(proposal, problem).cpu_seconds

    # Where there are few rows for the finals, more negatives may gain; many are enough.
    enough = problem.final_rows >= FINAL_ROWS
    all_rows = problem.final_rows if enough else problem.dataset.n_rows
    shape = Shape(
        screening_rows=problem.screening_rows,
        final_rows=problem.final_rows,
        family=family,
        expected=expected,
        fit_seconds=default_fit_seconds(default, problem),
        all_rows=all_rows,
        all_seconds=default_fit_seconds(default, problem, n_rows=all_rows),
        propose=refinement,
        chance=problem.objective.chance,
        gain=gain_with_unlabelled(adviser.gain),
        larger=larger,
        large=NAMED["L255"],
        note=adviser.note,
    )
    return successive_halving(
        models.first,
        models.expand,
        shape=shape,
        effort=effort,
        probes=found,
        explore=explore,
    )


def entrants(models: Portfolio) -> tuple[Candidate, ...]:
    """Every candidate of a portfolio, those to begin with first."""
    return (*models.first, *sum(models.expand.values(), start=()))
