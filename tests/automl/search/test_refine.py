"""Optuna's proposals follow from the trials and the seed, and from nothing else."""

from __future__ import annotations

import pytest

from automl.cost import ZERO
from automl.meta.portfolio import NAMED
from automl.search.refine import propose
from automl.trial import Candidate, Proposal, Trial


def trial(number: int, candidate: Candidate, score: float | None) -> Trial:
    return Trial(
        number=number,
        proposal=Proposal(candidate=candidate, rung="screening", n_rows=100),
        cost=ZERO,
        expected=ZERO,
        score=score,
        error="failed" if score is None else None,
    )


def history(around: Candidate, n: int, *, seed: int = 0) -> list[Trial]:
    trials = [trial(0, around, 0.4)]
    for number in range(1, n):
        found = propose(around, trials, seed=seed)
        assert found is not None
        trials.append(trial(number, found, None if number % 4 == 3 else 0.3 + 0.01 * number))
    return trials


@pytest.mark.parametrize("name", ["L15", "LRq", "ETs", "RF", "Lnb10"])
def test_the_same_trials_give_the_same_proposal(name: str) -> None:
    around = NAMED[name]
    trials = history(around, 6)
    again = [Trial.from_json(t.to_json()) for t in trials]
    found = propose(around, trials, seed=0)
    assert found == propose(around, again, seed=0)
    assert found is not None
    assert found.model == around.model
    assert [t.candidate for t in history(around, 6)] == [t.candidate for t in trials]


def test_nothing_is_proposed_twice() -> None:
    trials = history(NAMED["L15"], 12)
    ids = [t.candidate.id for t in trials]
    assert len(set(ids)) == len(ids)


def test_another_seed_proposes_another() -> None:
    trials = [trial(0, NAMED["L15"], 0.4)]
    assert propose(NAMED["L15"], trials, seed=0) != propose(NAMED["L15"], trials, seed=1)


def test_it_learns_where_good_ones_lie() -> None:
    around, leaves = NAMED["L15"], []
    trials = [trial(0, around, 0.0)]
    for number in range(1, 40):
        found = propose(around, trials, seed=0)
        assert found is not None
        leaves.append(found.params["num_leaves"])
        trials.append(trial(number, found, -abs(found.params["num_leaves"] - 100) / 100))
    early = sum(abs(n - 100) for n in leaves[:10]) / 10
    late = sum(abs(n - 100) for n in leaves[-10:]) / 10
    assert late < 0.6 * early


def test_trials_of_other_models_do_not_matter_but_by_their_number() -> None:
    mixed = [trial(0, NAMED["L15"], 0.4), trial(1, NAMED["LRq"], 0.9)]
    other = [trial(0, NAMED["L15"], 0.4), trial(1, NAMED["ETs"], 0.1)]
    assert propose(NAMED["L15"], mixed, seed=0) == propose(NAMED["L15"], other, seed=0)
