"""What a model costs over its life, and that it is what the front and the picks go by."""

from __future__ import annotations

import pytest

from automl.meters.cpu_time import CpuTimeMeter
from automl.models.catalog import CATALOG
from automl.search.distill import STUDENT
from automl.search.ledger import members_of
from automl.search.lifetime import HORIZON_DAYS, lifetime, predict_seconds, predictions
from automl.search.objective import Objective
from automl.search.run import SearchResult, search
from automl.trial import Candidate
from tests.automl.search.problems import rare

DATA = rare(1500, n_positive=150, seed=2)


def run(**objective: float) -> SearchResult:
    return search(DATA, meter=CpuTimeMeter(), seed=1, mode="eco", objective=Objective(**objective))


def test_it_adds_up() -> None:
    use = Objective(predictions_per_day=4000, horizon_days=10, retrains=2)
    life = lifetime(search=7.0, refit=3.0, predict=0.5, n_rows=99, objective=use)
    assert (life.search, life.refit, life.use, life.retrains) == (7.0, 3.0, 20.0, 6.0)
    assert life.total == 36.0


def test_use_that_is_not_described_is_one_scoring_of_the_table() -> None:
    assert predictions(Objective(), n_rows=750) == 750
    assert predictions(Objective(horizon_days=9), n_rows=750) == 750
    assert predictions(Objective(predictions_per_day=3), n_rows=1) == 3 * HORIZON_DAYS
    assert predictions(Objective(predictions_per_day=0), n_rows=750) == 0


@pytest.mark.parametrize("name", ["predictions_per_day", "retrains"])
def test_nonsense_is_refused(name: str) -> None:
    for value in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=name):
            Objective(**{name: value})


def test_every_model_that_may_be_picked_has_a_life() -> None:
    result = run(predictions_per_day=1000.0, retrains=4.0)
    assert set(result.picks.values()) <= set(result.lifetimes)
    for number, life in result.lifetimes.items():
        if result.trial(number).candidate.model == STUDENT:
            continue
        assert life.search == pytest.approx(result.trial(number).expected.joules)
        assert life.retrains == pytest.approx(4 * life.refit)
        members = [result.lifetimes[n] for n in members_of(result.trial(number))]
        assert life.use == pytest.approx(sum(member.use for member in members))
        assert life.refit == pytest.approx(sum(member.refit for member in members))


def test_use_decides_what_is_frugal() -> None:
    unused, used = run(predictions_per_day=0.0), run(predictions_per_day=1e9)
    for result in (unused, used):
        cheapest = min(result.lifetimes, key=lambda n: result.lifetimes[n].total)
        assert result.picks["most_frugal"] == cheapest
    most_used = used.lifetimes[used.picks["most_frugal"]]
    assert most_used.use == min(life.use for life in used.lifetimes.values())
    assert most_used.use > 100 * most_used.search


def test_the_same_use_gives_the_same_picks() -> None:
    one, two = run(predictions_per_day=5e5), run(predictions_per_day=5e5)
    assert one.picks == two.picks
    assert one.lifetimes == two.lifetimes


def test_one_row_alone_is_measured_for_finalists_only() -> None:
    for trial in run().trials:
        known = trial.details.get("row_milliseconds")
        expected = trial.proposal.rung == "final" and trial.candidate.model != "ensemble"
        assert (known is not None) == expected
        assert known is None or 0 <= known < 1000


@pytest.mark.parametrize("model", sorted(CATALOG))
def test_no_model_predicts_for_nothing(model: str) -> None:
    """One that did would be the most frugal wherever use counts."""
    trees = [0] if CATALOG[model].family in ("linear", "kernel") else [50]
    assert predict_seconds(Candidate(model=model, params={}), trees=trees) > 0
