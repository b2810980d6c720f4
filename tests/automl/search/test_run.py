"""The loop as a whole: repeatable, resumable, within budget, and it survives its models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.cost import Budget, Cost
from automl.data.dataset import Dataset
from automl.errors import BudgetExhausted, DataError, FrugalError
from automl.meta.portfolio import portfolio
from automl.meters.cpu_time import CpuTimeMeter
from automl.models import catalog
from automl.search import evaluate, ledger, refit
from automl.search.evaluate import Outcome
from automl.search.journal import Arrays, MemoryJournal
from automl.search.race import entrants
from automl.search.run import SearchResult, search
from automl.trial import Proposal, Trial
from tests.automl.search.problems import rare, seen_by


def run(dataset: Dataset, **options: Any) -> SearchResult:
    options = {"mode": "eco", "meter": CpuTimeMeter(), **options}
    return search(dataset, **options)


def gist(result: SearchResult) -> list[Any]:
    """All that must repeat: everything but what was measured."""
    measured = ("row_milliseconds",)
    trials = [
        (t.number, t.proposal, t.score, t.interval, dict(t.scores), details, t.error)
        for t in result.trials
        for details in [{name: one for name, one in t.details.items() if name not in measured}]
    ]
    return [trials, result.front, dict(result.picks), result.champion.threshold]


class KilledJournal(MemoryJournal):
    """Raises where a process could die."""

    def __init__(self, *, at: int, when: str) -> None:
        super().__init__()
        self.at: int | None = at
        self.when = when

    def _die(self, number: int, when: str) -> None:
        if (number, when) == (self.at, self.when):
            self.at = None
            raise KeyboardInterrupt("killed")

    def begin(self, number: int, proposal: Proposal, expected: Cost) -> None:
        self._die(number, "before it began")
        super().begin(number, proposal, expected)

    def end(self, trial: Trial, out_of_fold: Arrays | None) -> None:
        self._die(trial.number, "before it ended")
        super().end(trial, out_of_fold)
        self._die(trial.number, "after it ended")


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[Proposal]:
    """Every proposal that was really fitted."""
    seen: list[Proposal] = []
    original = evaluate.evaluate

    def spy(proposal: Proposal, *args: Any, **options: Any) -> Outcome:
        seen.append(proposal)
        return original(proposal, *args, **options)

    monkeypatch.setattr(ledger, "evaluate", spy)
    return seen


def test_a_search_ends_with_a_champion_that_finds_the_event() -> None:
    dataset = rare()
    result = run(dataset)
    assert [t.proposal.rung for t in result.trials] == ["final"] * 4
    assert result.trials[-1].candidate.model == "ensemble"
    assert set(result.costs) == {"features", "search", "refit"}
    assert set(result.picks) == {"recommended", "most_accurate", "most_frugal"}
    assert set(result.picks.values()) <= set(result.front)
    other = rare(seed=1)
    probability = result.champion.predict_proba(other.X)
    assert probability[other.y == 1].mean() > 2 * probability[other.y == 0].mean()
    assert probability.mean() == pytest.approx(other.y.mean(), rel=0.4)


def test_every_trial_says_what_it_took_and_how_sure_it_is() -> None:
    for trial in run(rare()).trials:
        assert trial.error is None
        assert trial.cost.cpu_seconds > 0
        assert trial.cost.joules > 0
        assert trial.expected.meter == "expected"
        assert trial.expected.cpu_seconds > 0
        assert trial.interval is not None
        assert trial.score is not None
        assert trial.interval[0] <= trial.score <= trial.interval[1]
        assert {"average_precision", "roc_auc", "recall_at_alert_rate"} == set(trial.scores)
        assert trial.predict_joules is not None
        assert trial.predict_joules > 0
        assert trial.peak_memory_bytes is not None
        assert trial.peak_memory_bytes > 10_000_000
        assert Trial.from_json(trial.to_json()) == trial


def test_the_same_seed_gives_the_same_champion_and_another_seed_another() -> None:
    dataset = rare()
    one, two, other = run(dataset), run(dataset), run(dataset, seed=1)
    assert gist(one) == gist(two)
    assert seen_by(one.champion, dataset.X) == seen_by(two.champion, dataset.X)
    assert gist(one) != gist(other)


def test_another_process_finds_the_same_champion() -> None:
    script = (
        "from automl.meters.cpu_time import CpuTimeMeter\n"
        "from automl.search.run import search\n"
        "from tests.automl.search.problems import rare, seen_by\n"
        "found = search(rare(), meter=CpuTimeMeter(), mode='eco')\n"
        "print(seen_by(found.champion, rare().X))\n"
    )
    # Another seed of string hashes, so that an order taken from a set would show.
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert json.loads(done.stdout) == seen_by(run(rare()).champion, rare().X)


@pytest.mark.parametrize("when", ["before it began", "after it ended"])
@pytest.mark.parametrize("at", range(4))
def test_killed_between_trials_and_resumed_it_ends_the_same(
    at: int, when: str, evaluated: list[Proposal]
) -> None:
    dataset = rare(600, n_positive=60, seed=1)  # of more than one finalist
    whole = run(dataset)
    n_evaluated = len(evaluated)
    evaluated.clear()
    journal = KilledJournal(at=at, when=when)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, journal=journal)
    resumed = run(dataset, journal=journal)
    assert gist(resumed) == gist(whole)
    assert seen_by(resumed.champion, dataset.X) == seen_by(whole.champion, dataset.X)
    assert len(evaluated) == len({p.candidate.id for p in evaluated}) == n_evaluated


@pytest.mark.parametrize("at", range(3))
def test_a_trial_that_died_is_failed_and_not_tried_again(
    at: int, evaluated: list[Proposal]
) -> None:
    dataset = rare(600, n_positive=60)
    journal = KilledJournal(at=at, when="before it ended")
    with pytest.raises(KeyboardInterrupt):
        run(dataset, journal=journal)
    assert journal.interrupted() is not None
    resumed = run(dataset, journal=journal)
    assert [t.error for t in resumed.trials if t.error] == ["its process died"]
    assert resumed.trials[at].error == "its process died"
    assert len(evaluated) == len({p.candidate.id for p in evaluated}) == 3
    assert any(w["code"] == "failed_trials" for w in resumed.warnings)


def test_refinements_are_proposed_the_same_after_a_resume(evaluated: list[Proposal]) -> None:
    dataset = rare(500, n_positive=50, with_category=False)
    options: dict[str, Any] = {"mode": "best", "budget": Budget(trials=9)}
    whole = run(dataset, **options)
    assert whole.stop_reason == "budget: trials: 9 spent + 1 expected > 9 allowed"
    assert len(whole.trials) == 10  # and the ensemble
    evaluated.clear()
    journal = KilledJournal(at=7, when="before it began")
    with pytest.raises(KeyboardInterrupt):
        run(dataset, journal=journal, **options)
    resumed = run(dataset, journal=journal, **options)
    assert gist(resumed) == gist(whole)
    assert len(evaluated) == 9
    assert seen_by(resumed.champion, dataset.X) == seen_by(whole.champion, dataset.X)


def test_best_picks_no_refinement_alone_and_repeats() -> None:
    dataset = rare(500, n_positive=50, with_category=False)
    whole = run(dataset, mode="best")
    raced = {candidate.id for candidate in entrants(portfolio("best", n_rows=500))}
    alone = {t.number for t in whole.trials if t.candidate.model != "ensemble"}
    refined = {n for n in alone if whole.trial(n).candidate.id not in raced}
    assert refined, "some were tried"
    assert not refined & {*whole.picks.values(), *whole.front}
    assert whole.champion.provenance["validation"]["n_parts"] == 5
    trees = [
        member.models[-1].model.details["n_trees"]
        for member in whole.champion.members
        if member.candidate.model == "extra_trees"
    ]
    assert set(trees) <= {240}
    assert gist(run(dataset, mode="best")) == gist(whole)


def test_a_finished_search_is_replayed_without_a_single_fit(evaluated: list[Proposal]) -> None:
    dataset = rare(600, n_positive=60)
    journal = MemoryJournal()
    first = run(dataset, journal=journal)
    n_evaluated = len(evaluated)
    second = run(dataset, journal=journal)
    assert len(evaluated) == n_evaluated
    assert gist(second) == gist(first)
    assert second.costs["search"].joules >= sum(
        t.cost.joules for t in second.trials if t.candidate.model != "ensemble"
    )


class BudgetedJournal(MemoryJournal):
    """Notes what had been spent whenever a trial begins."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: list[float] = []

    def begin(self, number: int, proposal: Proposal, expected: Cost) -> None:
        if proposal.candidate.model != "ensemble":  # which repeats its members' cost
            self.spent.append(sum(t.cost.joules for t in self.finished()))
        super().begin(number, proposal, expected)


@pytest.mark.parametrize("joules", [0.1, 0.3, 1.0])
def test_no_trial_begins_once_the_budget_is_spent(joules: float) -> None:
    journal = BudgetedJournal()
    try:
        result = run(rare(), mode="best", budget=Budget(joules=joules), journal=journal)
    except BudgetExhausted:
        assert journal.spent == []
        return
    assert max(journal.spent) <= joules
    assert "joules" in result.stop_reason


def test_the_end_of_a_search_is_kept_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the budget has no room for a refit, only what needs none follows the first score."""
    monkeypatch.setattr(ledger, "refit_seconds", lambda *_, **__: 1e5)
    monkeypatch.setattr(refit, "refit_seconds", lambda *_, **__: 1e5)
    for limits in ({"cpu_seconds": 1e3}, {"joules": 1e3}, {"wall_seconds": 1e3}):
        result = run(rare(600, n_positive=60), mode="best", budget=Budget(**limits))
        families = {catalog.family(t.candidate) for t in result.trials[1:-1]}
        assert families <= {"forest"}, "its parts' trees are the forest"
        assert result.stop_reason.startswith(f"budget: {next(iter(limits))}: ")
        n_parts = result.champion.provenance["validation"]["n_parts"]
        assert {len(member.models) for member in result.champion.members} == {n_parts}, "refitted"


@pytest.mark.parametrize("trials", [1, 2, 3])
def test_a_budget_of_trials_is_kept_to_the_trial(trials: int) -> None:
    result = run(rare(), budget=Budget(trials=trials))
    assert sum(t.candidate.model != "ensemble" for t in result.trials) == trials
    assert seen_by(result.champion, rare().X)


def test_a_budget_in_grams_is_one_in_joules() -> None:
    spent = Cost(cpu_seconds=1.0, joules=3.6e6, meter="cpu_time")
    budget = Budget(gco2e=100.0, grams_per_kwh=60.0)
    more = replace(spent, joules=1.8e6)
    assert budget.refusal(spent, n_trials=1, expected=more) is None
    assert "gco2e" in str(budget.refusal(spent, n_trials=1, expected=spent))
    with pytest.raises(ValueError, match="grams_per_kwh"):
        Budget(gco2e=1.0)


def test_a_dear_gram_is_tried_less_and_a_cheap_one_more() -> None:
    dataset = rare()
    counts = []
    for least in (1e9, None, 0.0):
        budget = Budget(grams_per_kwh=50.0, least_gain_per_gram=least)
        result = run(dataset, mode="balanced", budget=budget)
        counts.append(sum(t.candidate.model != "ensemble" for t in result.trials))
        stop = result.stop
        assert json.loads(json.dumps(stop.to_json()))["reason"] == stop.reason
        if stop.reason == "rate":
            assert stop.rate < stop.least_rate
            # In percent of the score per gram: the same comparison, at 4 W and 50 g/kWh.
            assert stop.rate_per_gram / stop.least_rate_per_gram == pytest.approx(
                stop.rate / stop.least_rate
            )
            grams = stop.expected_cost * 4.0 / 3.6e6 * 50
            assert stop.rate_per_gram == pytest.approx(stop.expected_gain / grams)
            if least is not None:
                assert stop.least_rate_per_gram == pytest.approx(least)
    assert counts[0] < counts[1] < counts[2]


def test_why_it_stopped_is_said_in_numbers() -> None:
    # More than a first trial takes and less than best does, however slow the machine is.
    limit = 1.5 * run(rare(), mode="eco").cost.joules
    stop = run(rare(), mode="best", budget=Budget(joules=limit)).stop
    assert stop.reason == "budget"
    assert (stop.unit, stop.limit) == ("joules", limit)
    assert stop.used + stop.expected_cost > stop.limit
    assert stop.text.startswith("budget: joules: ")
    told = run(rare(), stop=Later(2)).stop
    assert (told.reason, told.text) == ("stopped", "stopped: enough")


@pytest.mark.parametrize("mode", ["eco", "balanced", "best"])
def test_a_search_of_any_mode_says_what_brute_force_was_expected_to_take(mode: str) -> None:
    """A rate is percent of the score per percent of that cost."""
    stop = run(rare(), mode=mode, budget=Budget(trials=3, grams_per_kwh=50.0)).stop
    assert stop.brute_joules is not None
    assert stop.brute_joules > 0
    whole = run(rare(), mode=mode, budget=Budget(grams_per_kwh=50.0)).stop
    assert whole.brute_joules == pytest.approx(stop.brute_joules)
    if whole.rate is not None:
        percent = whole.expected_gain / whole.rate
        expected = whole.expected_cost * 4.0  # watts of expected costs
        assert whole.brute_joules == pytest.approx(100 * expected / percent)


class Later:
    """Asks a search to stop before its trial of that number."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self) -> str | None:
        self.left -= 1
        return "enough" if self.left < 0 else None


def test_no_budget_at_all_for_the_first_trial_is_said() -> None:
    with pytest.raises(BudgetExhausted, match="cpu_seconds"):
        run(rare(), budget=Budget(cpu_seconds=1e-9))


def test_stopped_between_trials_it_keeps_the_best_so_far() -> None:
    answers = iter([None, None, "the client cancelled"])
    result = run(rare(), stop=lambda: next(answers))
    assert result.stop_reason == "stopped: the client cancelled"
    assert sum(t.candidate.model != "ensemble" for t in result.trials) == 2
    assert seen_by(result.champion, rare().X)


def test_stopped_before_anything_was_scored() -> None:
    with pytest.raises(BudgetExhausted, match="cancelled"):
        run(rare(), stop=lambda: "cancelled")


def broken(monkeypatch: pytest.MonkeyPatch, model: str, error: Callable[[], Any]) -> None:
    def build(params: Any, **options: Any) -> Any:
        return error()

    monkeypatch.setitem(catalog.CATALOG, model, replace(catalog.CATALOG[model], build=build))


@pytest.mark.parametrize("error", [MemoryError("no room"), ValueError("bad"), KeyError("x")])
def test_a_model_that_fails_is_a_failed_trial(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise error

    broken(monkeypatch, "logistic", fail)
    result = run(rare())
    failed = [t for t in result.trials if t.error is not None]
    assert [t.candidate.model for t in failed] == ["logistic"]
    assert (failed[0].error or "").startswith(type(error).__name__)
    assert failed[0].score is None
    assert failed[0].cost.cpu_seconds >= 0
    assert failed[0].number not in result.front
    assert [w["code"] for w in result.warnings] == ["failed_trials"]


def test_scores_that_are_no_numbers_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind:
        details: dict[str, Any] = {}  # noqa: RUF012

        def fit(self, *args: Any, **options: Any) -> Blind:
            return self

        def decision(self, X: Any) -> Any:
            return np.full(len(X), np.nan)

    broken(monkeypatch, "extra_trees", Blind)
    failed = [t for t in run(rare()).trials if t.error is not None]
    assert [t.candidate.model for t in failed] == ["extra_trees"]
    assert "finite" in (failed[0].error or "")


def test_when_every_model_fails_the_first_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise RuntimeError("nothing works")

    for model in list(catalog.CATALOG):
        broken(monkeypatch, model, fail)
    with pytest.raises(FrugalError, match="nothing works") as caught:
        run(rare())
    assert caught.value.code == "no_model"


def test_few_positives_are_warned_of_and_members_weigh_the_same() -> None:
    result = run(rare(900, n_positive=12))
    assert "few_positives" in [w["code"] for w in result.warnings]
    ensemble = [t for t in result.trials if t.candidate.model == "ensemble"]
    for trial in ensemble:
        weights = list(trial.candidate.params["members"].values())
        assert weights == pytest.approx([1 / len(weights)] * len(weights))
    assert not [w for w in run(rare()).warnings if w["code"] == "few_positives"]


@pytest.mark.parametrize(
    ("n_positive", "code"), [(0, "no_positives"), (1, "too_few_positives"), (40, "constant_target")]
)
def test_a_target_that_cannot_be_learnt_is_refused(n_positive: int, code: str) -> None:
    dataset = rare(40, n_positive=n_positive)
    with pytest.raises(DataError) as caught:
        run(dataset)
    assert caught.value.code == code


def test_two_positives_are_enough_to_end() -> None:
    dataset = rare(60, n_positive=2)
    result = run(dataset)
    assert np.isfinite(seen_by(result.champion, dataset.X)).all()


def test_more_positives_than_negatives_is_unusual_but_works() -> None:
    dataset = rare(300, n_positive=240)
    assert run(dataset).champion.predict_proba(dataset.X).mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("options", [{"mode": "turbo"}, {"pick": "best"}])
def test_unknown_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        run(rare(60, n_positive=10), **options)


def test_phases_are_told_as_they_end() -> None:
    told: list[tuple[str, Cost]] = []
    result = run(rare(), on_phase=lambda name, cost: told.append((name, cost)))
    assert told == list(result.costs.items())
    assert [name for name, _ in told] == ["features", "search", "refit"]


@pytest.mark.parametrize("pick", ["recommended", "most_accurate", "most_frugal"])
def test_the_champion_is_the_pick(pick: str) -> None:
    result = run(rare(), pick=pick)
    picked = result.trial(result.picks[pick])
    members: Sequence[int] = (
        [int(n) for n in picked.candidate.params["members"]]
        if picked.candidate.model == "ensemble"
        else [picked.number]
    )
    assert [m.trial for m in result.champion.members] == sorted(members)
    assert result.champion.provenance["pick"] == pick


def test_weights_of_rows_reach_the_models() -> None:
    dataset = rare(800, n_positive=120)
    # Positives of the west count fifty times: the model must care for them most.
    west = (dataset.X["region"] == "west").to_numpy()
    weight = np.where(west & (dataset.y == 1), 50.0, 1.0)
    weighted = Dataset(X=dataset.X, y=dataset.y, weight=weight)
    plain, heavy = run(dataset), run(weighted)
    assert heavy.champion.predict_proba(dataset.X)[west].mean() > (
        2 * plain.champion.predict_proba(dataset.X)[west].mean()
    )
