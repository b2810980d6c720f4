"""Rows without a label are learnt from where they are many, and judge nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.meta.portfolio import NAMED, portfolio
from automl.meters.cpu_time import CpuTimeMeter
from automl.models.expected import SELF_TRAINED, CostModel, FitShape
from automl.search.champion import Champion
from automl.search.evaluate import expected_cost
from automl.search.problem import ENOUGH_UNLABELLED, MOST_UNLABELLED, prepare
from automl.search.run import SearchResult, search
from automl.search.unlabelled import GAIN_PERCENT, gain_with_unlabelled, with_unlabelled
from automl.trial import Proposal
from tests.automl.search.problems import rare, seen_by


def partly(n_labelled: int = 500, n_others: int = 900, *, seed: int = 0) -> Dataset:
    """A table of which most rows have lost their label."""
    whole = rare(n_labelled + n_others, n_positive=(n_labelled + n_others) // 8, seed=seed)
    return Dataset(
        X=whole.X[:n_labelled],
        y=whole.y[:n_labelled],
        unlabelled=whole.X[n_labelled:].reset_index(drop=True),
    )


def run(dataset: Dataset, **options: Any) -> SearchResult:
    return search(dataset, **{"meter": CpuTimeMeter(), "mode": "balanced", **options})


def tried(result: SearchResult) -> list[str]:
    return [trial.candidate.model for trial in result.trials]


@pytest.fixture(scope="module")
def found() -> SearchResult:
    return run(partly())


def test_many_are_tried_and_judged_on_labelled_rows_only(found: SearchResult) -> None:
    own = [trial for trial in found.trials if trial.candidate.model == SELF_TRAINED]
    assert len(own) == 1
    assert own[0].error is None
    assert own[0].score is not None
    assert {part["n_unlabelled"] for part in own[0].details["parts"]} <= {800, 900}
    rows = found.champion.out_of_fold["rows"]
    assert len(set(rows.tolist())) == len(rows)
    assert set(rows.tolist()) <= set(range(500))
    suggestion = next(one for one in found.suggestions if one.name == "S15")
    assert suggestion.tried
    assert suggestion.gain_percent == GAIN_PERCENT
    assert suggestion.stage == "expand"


def test_none_or_few_are_never_tried() -> None:
    dataset = partly()
    assert SELF_TRAINED not in tried(run(replace(dataset, unlabelled=None)))
    assert dataset.unlabelled is not None
    few = dataset.unlabelled[: int(ENOUGH_UNLABELLED * 500) - 1]
    problem = prepare(replace(dataset, unlabelled=few), seed=0)
    assert problem.unlabelled is None
    assert with_unlabelled(portfolio("balanced"), problem) == portfolio("balanced")


def test_the_mode_that_only_compares_never_tries_it() -> None:
    result = run(partly(), mode="eco")
    assert SELF_TRAINED not in tried(result)


def test_what_a_champion_of_it_predicts_is_saved(found: SearchResult, tmp_path: Path) -> None:
    own = next(t for t in found.trials if t.candidate.model == SELF_TRAINED)
    dataset = partly()
    from automl.search.refit import fit_member

    problem = prepare(dataset, seed=0)
    member = fit_member(
        own,
        problem,
        weight=1.0,
        at_hand=(),
        meter=CpuTimeMeter(),
        affordable=lambda seconds: True,
    )
    assert all(one.model.details["n_unlabelled"] for one in member.models)
    champion = replace(found.champion, members=(member,))
    champion.save(tmp_path / "champion")
    again = Champion.load(tmp_path / "champion")
    assert seen_by(again, dataset.X) == seen_by(champion, dataset.X)


def test_the_same_rows_give_the_same_trials(found: SearchResult) -> None:
    again = run(partly())
    assert [(t.proposal, t.score) for t in again.trials] == [
        (t.proposal, t.score) for t in found.trials
    ]


def test_a_fit_learns_from_so_many_as_its_own_rows_tell() -> None:
    problem = prepare(partly(200, 2000), seed=0)
    assert problem.n_unlabelled(100) == round(100 * MOST_UNLABELLED)
    assert problem.unlabelled_for(NAMED["L15"], 100) is None
    small, large = (problem.unlabelled_for(NAMED["S15"], n) for n in (50, 100))
    assert small is not None
    assert large is not None
    np.testing.assert_array_equal(small.rows, large.rows[: len(small.rows)])
    assert small.rate == pytest.approx(problem.dataset.y.mean())


def test_it_is_expected_to_cost_both_fits() -> None:
    costs = CostModel.shipped()
    shape = FitShape(n_rows=2000, n_columns=10, n_positive=200, n_stopping=500, n_valid=500)
    plain = costs.seconds(NAMED["L15"], shape)
    assert costs.seconds(NAMED["S15"], shape) == plain
    taught = costs.seconds(NAMED["S15"], replace(shape, n_unlabelled=4000))
    assert 2 * plain < taught < 6 * plain
    problem = prepare(partly(), seed=0)
    one, other = (
        expected_cost(Proposal(candidate=NAMED[name], rung="final", n_rows=500), problem)
        for name in ("L15", "S15")
    )
    assert 2 * one.cpu_seconds < other.cpu_seconds < 6 * one.cpu_seconds


def test_its_gain_is_its_own_and_others_are_left_as_they_are() -> None:
    told = gain_with_unlabelled(lambda candidate, trials: None)
    assert told(NAMED["Lps"], ()) is None
    own = told(NAMED["S15"], ())
    assert own is not None
    assert own.gain_percent == GAIN_PERCENT


def test_cells_are_encoded_as_those_with_a_label() -> None:
    dataset = partly()
    assert dataset.unlabelled is not None
    odd = pd.concat([dataset.unlabelled.assign(region="never seen")])
    problem = prepare(replace(dataset, unlabelled=odd), seed=0)
    assert problem.unlabelled is not None
    assert problem.unlabelled.rows.shape[1] == problem.matrix.shape[1]
