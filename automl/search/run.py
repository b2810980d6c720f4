"""The loop: from a dataset and a budget to a front, three picks and a champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from automl.cost import ZERO, Budget, Cost
from automl.data.dataset import Dataset
from automl.meta.features import Meta
from automl.meta.knowledge import Knowledge
from automl.meta.portfolio import portfolio
from automl.meters.base import Meter, measure
from automl.models.expected import CostModel
from automl.search.advice import Adviser, Suggestion
from automl.search.champion import Champion
from automl.search.crowning import crowned
from automl.search.effort import EFFORTS
from automl.search.evaluate import default_fit_seconds, expected_seconds
from automl.search.finish import finish
from automl.search.giveaway import giveaways
from automl.search.journal import Journal, MemoryJournal
from automl.search.ledger import Ledger
from automl.search.lifetime import Lifetime
from automl.search.objective import Objective
from automl.search.pareto import PICKS
from automl.search.problem import Problem, prepare
from automl.search.race import entrants, race_of
from automl.search.renew import recalled, saving, starting
from automl.search.speed import probed
from automl.search.start import Relation, Start, relate
from automl.search.stop import Stop, refused
from automl.search.strategies import SearchEnd, Strategy
from automl.search.threshold import tied
from automl.search.validation import FEW_POSITIVES
from automl.trial import Trial


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found.

    `trials` are all, failed ones and the ensemble included, by number. The ensemble's cost is
    that of its members together with its own, since that is what it takes to have it; so the
    cost of a search is the sum over `costs`, not over trials.
    """

    trials: tuple[Trial, ...]
    front: tuple[int, ...]  # numbers, cheapest first
    picks: Mapping[str, int]  # recommended, most_accurate, most_frugal -> number
    champion: Champion
    stop: Stop
    warnings: tuple[Mapping[str, Any], ...]  # {"code", "detail"}
    costs: Mapping[str, Cost]  # by phase: features, search, refit
    start: Mapping[str, Any] | None = None  # of a search that started from a champion
    # Expected joules of the life of each trial that might have been picked, by number.
    lifetimes: Mapping[int, Lifetime] = field(default_factory=dict)
    # What the recommended one was picked by: `price`, percent of the best score a joule, and the
    # `standard_errors` of each one's distance to the best, by number.
    choice: Mapping[str, Any] = field(default_factory=dict)
    suggestions: tuple[Suggestion, ...] = ()  # of the knowledge base, in order
    meta: Meta = ()  # of the table, as the knowledge base keeps it

    @property
    def stop_reason(self) -> str:
        """Why nothing more was tried, in words; `stop` has it in numbers."""
        return self.stop.text

    @property
    def cost(self) -> Cost:
        """Of all phases."""
        return sum(self.costs.values(), start=ZERO)

    def trial(self, number: int) -> Trial:
        """The trial of that number."""
        return next(trial for trial in self.trials if trial.number == number)


def search(
    dataset: Dataset,
    *,
    meter: Meter,
    objective: Objective | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    mode: str = "balanced",
    pick: str = "recommended",
    journal: Journal | None = None,
    stop: Callable[[], str | None] | None = None,
    on_phase: Callable[[str, Cost], None] | None = None,
    knowledge: Knowledge | None = None,
    start: Start | None = None,
) -> SearchResult:
    """Find a model about as good as brute force would, for a few percent of its computing.

    The same dataset, mode and seed give the same champion, as long as no budget cuts in: choices
    are made by scores and expected costs only. A journal with trials in it is replayed first, and
    a trial in it that was begun and never ended counts as failed.

    Parameters
    ----------
    dataset : Dataset
        With at least two positives and two negatives. It is let go of once it is encoded.
    meter : the energy counter that every trial is read from
    objective : what a good model is; average precision, alerts for 1 % of the rows by default
    budget : a hard limit over search and refit; no limit by default
    seed : of folds, samples, models and proposals
    mode : ``eco`` (a few models, no search), ``balanced``, or ``best`` (more
        folds judge, larger forests, refinements until nothing is gained)
    pick : which of the three picks becomes the champion
    journal : where trials are written before the next begins; in memory by default
    stop : asked before each trial; a text ends the search with what it has so far
    on_phase : told each phase's name (features, search, refit) and cost as it ends
    knowledge : what earlier searches taught, which sets the order, the expected gains and the
        expected costs; what is shipped by default
    start : a champion to start from: its configurations come first, and what its record on rows
        that it never saw makes unneeded is left out

    Raises
    ------
    DataError
        Too few rows of a class, no usable column, no fold with both classes, or no such columns
        as the champion to start from reads.
    BudgetExhausted
        The budget or `stop` ended the search before one candidate was scored.
    ValueError
        An unknown mode or pick.
    """
    if mode not in EFFORTS:
        raise ValueError(f"mode {mode!r} is not one of {', '.join(EFFORTS)}")
    if pick not in PICKS:
        raise ValueError(f"pick {pick!r} is not one of {', '.join(PICKS)}")
    budget = Budget() if budget is None else budget
    knowledge = Knowledge.shipped() if knowledge is None else knowledge
    tell = on_phase or (lambda name, cost: None)
    costs: dict[str, Cost] = {}
    effort = EFFORTS[mode]

    with measure(meter) as features:
        relation = None if start is None else relate(start, dataset, seed=seed)
        # The encoded rows are the table from here on: a caller that keeps no reference of its own
        # has its memory back before folds are made.
        handed = [dataset]
        del dataset
        problem = prepare(
            handed.pop(),
            objective=objective,
            seed=seed,
            whole=effort.whole,
            thorough=effort.thorough,
            encoder=None if relation is None else relation.encoder,
            validation=None if relation is None else relation.validation,
        )
        if knowledge.costs is not None:
            problem = replace(problem, costs=CostModel.from_json(knowledge.costs))
        adviser = Adviser(knowledge, problem)
        speed = probed(meter, problem.costs) if budget.is_limited else None
    costs["features"] = features.cost
    tell("features", features.cost)

    ledger = Ledger(
        problem=problem,
        meter=meter,
        budget=budget,
        journal=MemoryJournal() if journal is None else journal,
        stop=stop,
        before=features.cost,
        speed=speed,
        recalled=recalled(relation),
    )
    with measure(meter) as searching:
        default = portfolio(mode).first[0]
        brute = effort.brute_seconds(default_fit_seconds(default, problem))
        if budget.least_gain_per_gram is not None:
            effort = replace(
                effort, least_rate=budget.least_gain_per_gram * percent_grams(brute, budget)
            )
        race = race_of(adviser, mode=mode, effort=effort, relation=relation)
        if relation is not None:
            race = starting(relation, race, ledger=ledger)
        end = _drive(race, ledger)
        # What the search paid for a percent of the score, a model may cost in its life.
        percent = expected_seconds(0.01 * brute).joules
        price = effort.least_rate / percent
        outcome = finish(ledger, end, price=price)
    costs["search"] = ledger.replayed + searching.cost
    tell("search", costs["search"])

    with measure(meter) as refitting:
        champion = crowned(
            ledger, outcome, pick=pick, mode=mode, knowledge=knowledge, relation=relation
        )
    costs["refit"] = refitting.cost
    tell("refit", refitting.cost)
    return SearchResult(
        trials=tuple(ledger.trials),
        front=outcome.front,
        picks=outcome.picks,
        champion=champion,
        stop=replace(
            _stop(ledger, end, brute_seconds=brute, budget=budget),
            brute_joules=expected_seconds(brute).joules,
        ),
        warnings=(*_warnings(problem, ledger), *_of_alerts(champion), *_of_start(relation)),
        costs=costs,
        lifetimes=outcome.lifetimes,
        choice={"price": price, "standard_errors": dict(outcome.standard_errors)},
        start=None
        if relation is None
        else saving(
            relation,
            problem,
            ledger.trials,
            race=entrants(portfolio(mode, n_rows=problem.dataset.n_rows)),
        ),
        suggestions=tuple(adviser.suggestions),
        meta=adviser.meta(ledger.trials),
    )


def _drive(strategy: Strategy, ledger: Ledger) -> SearchEnd:
    """Send the strategy the trials of what it proposes until it ends."""
    done: list[Trial] | None = None
    while True:
        try:
            with measure(ledger.meter) as thinking:
                proposals = next(strategy) if done is None else strategy.send(done)
        except StopIteration as end:
            result: SearchEnd = end.value
            return result
        finally:
            ledger.charge(thinking.cost)
        done = ledger.run(proposals)


def percent_grams(brute_seconds: float, budget: Budget) -> float:
    """Grams of CO2e of one percent of brute force, by its expected CPU-seconds.

    At the watts of expected costs, not at the machine's own: what a rate decides has to repeat.
    """
    return (expected_seconds(brute_seconds) * 0.01).grams(budget.grams_per_kwh or 0.0)


def _stop(ledger: Ledger, end: SearchEnd, *, brute_seconds: float, budget: Budget) -> Stop:
    if ledger.stopped is not None:
        return Stop(reason="stopped", text=f"stopped: {ledger.stopped}")
    if ledger.refusals:
        return refused(ledger.refusals[-1])
    grams = percent_grams(brute_seconds, budget)
    if not grams or end.stop.rate is None or end.stop.least_rate is None:
        return end.stop
    return replace(
        end.stop,
        rate_per_gram=end.stop.rate / grams,
        least_rate_per_gram=end.stop.least_rate / grams,
    )


def _of_alerts(champion: Champion) -> list[dict[str, Any]]:
    """That the share of alerts asked for cannot be kept, since rows tie at the limit."""
    alerts = champion.provenance.get("alerts")
    text = None if alerts is None else tied(alerts)
    return [] if text is None else [{"code": "tied_alerts", "detail": text}]


def _of_start(relation: Relation | None) -> list[dict[str, Any]]:
    """That a start gave less than it might have, and why."""
    if relation is None or relation.kind == "recalled":
        return []
    left = {"first": "its configurations come first in the race, no more"}
    rest = left.get(relation.kind, "its configurations are fitted again")
    return [{"code": "started_from", "detail": f"{relation.why}: {rest}"}]


def _warnings(problem: Problem, ledger: Ledger) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    validation = problem.validation
    if validation.few_positives:
        found.append(
            {
                "code": "few_positives",
                "detail": f"only {validation.n_positive} positives validate; below "
                f"{FEW_POSITIVES} scores are mostly noise, and members weigh the same",
            }
        )
    failed = [trial for trial in ledger.trials if trial.error is not None]
    if failed:
        first = failed[0]
        found.append(
            {
                "code": "failed_trials",
                "detail": f"{len(failed)} of {len(ledger.trials)} trials failed; the first, "
                f"number {first.number} ({first.candidate.model}): {first.error}",
            }
        )
    return [*found, *giveaways(problem, ledger.trials)]
