"""Who validates: nobody who was fitted on, later in time, of other groups, and weighted back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from automl.data.dataset import Dataset
from automl.data.split import folds
from automl.meters.cpu_time import CpuTimeMeter
from automl.models import catalog
from automl.search import parts
from automl.search.metrics import average_precision
from automl.search.problem import prepare
from automl.search.run import search
from automl.search.validation import FEW_POSITIVES, MOST_STOOD_FOR, plan_validation
from tests.automl.search.problems import rare


class Spy:
    """Wraps built models and notes, by the row number in the first column, who saw what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fits: list[tuple[set[int], set[int]]] = []
        original = catalog.build

        def build(*args: Any, **options: Any) -> Any:
            model: Any = original(*args, **options)
            fit = model.fit

            def noted(X: Any, y: Any, *, sample_weight: Any = None, valid: Any = None) -> Any:
                stopping = set() if valid is None else set(valid[0][:, 0].astype(int))
                self.fits.append((set(X[:, 0].astype(int)), stopping))
                return fit(X, y, sample_weight=sample_weight, valid=valid)

            model.fit = noted
            return model

        monkeypatch.setattr(parts, "build", build)


def numbered(dataset: Dataset, **roles: Any) -> Dataset:
    X = dataset.X.copy()
    X.insert(0, "row", np.arange(len(X)))
    return Dataset(X=X, y=dataset.y, **roles)


def run(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> tuple[Spy, Any]:
    spy = Spy(monkeypatch)
    result = search(dataset, meter=CpuTimeMeter(), mode="eco")
    return spy, result


def test_no_row_validates_a_model_that_was_fitted_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spy, _ = run(numbered(rare()), monkeypatch)
    assert len(spy.fits) >= 6
    for fitted, stopping in spy.fits:
        assert stopping
        assert not fitted & stopping


@pytest.mark.parametrize("n_rows", [1200, 12_000])  # without and with a screening sample
def test_time_validates_later_rows_only(n_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = rare(n_rows, n_positive=n_rows // 20)
    time = np.random.default_rng(0).permutation(n_rows) // 10
    spy, result = run(numbered(plain, time=time), monkeypatch)
    for fitted, stopping in spy.fits:
        assert max(time[list(fitted)]) < min(time[list(stopping)])
    scored = result.champion.out_of_fold["rows"]
    assert min(time[scored]) > np.quantile(time, 0.1)
    assert result.champion.provenance["validation"]["forward_in_time"]


def test_no_group_is_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    group = np.random.default_rng(0).integers(0, 80, 1200)
    spy, _ = run(numbered(rare(), group=group), monkeypatch)
    for fitted, stopping in spy.fits:
        assert not set(group[list(fitted)]) & set(group[list(stopping)])


def test_time_and_group_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    group, time = rng.integers(0, 300, 1500), rng.integers(0, 50, 1500)
    spy, _ = run(numbered(rare(1500, n_positive=200), time=time, group=group), monkeypatch)
    for fitted, stopping in spy.fits:
        assert max(time[list(fitted)]) < min(time[list(stopping)])
        assert not set(group[list(fitted)]) & set(group[list(stopping)])


def test_thinned_negatives_weigh_as_many_as_there_were() -> None:
    dataset = rare(30_000, n_positive=300)
    found = plan_validation(dataset, seed=0)
    assert len(found.rows) < 31 * found.n_positive + 1
    n_judged = sum(len(part.valid) for part in found.parts)
    assert n_judged == len(found.rows) == len(set(found.rows.tolist()))
    assert found.prevalence == pytest.approx(300 / 30_000, rel=0.1)
    total = found.weight[found.y == 0].sum() + found.n_positive
    assert total == pytest.approx(30_000 * len(found.parts) / 5, rel=0.02)
    # Scores on the thinned rows estimate those on all rows without bias.
    score = np.random.default_rng(1).normal(size=30_000) + 1.5 * dataset.y
    weighted = average_precision(found.y, score[found.rows], found.weight)
    whole = average_precision_score(dataset.y, score)
    assert weighted == pytest.approx(whole, abs=0.06)
    assert average_precision(found.y, score[found.rows]) > 2 * whole  # without the weights


def test_a_kept_negative_stands_for_few_however_rare_the_positives() -> None:
    dataset = rare(60_000, n_positive=60)
    found = plan_validation(dataset, seed=0)
    assert found.weight.max() <= MOST_STOOD_FOR
    total = found.weight[found.y == 0].sum() + found.n_positive
    assert total == pytest.approx(60_000 * len(found.parts) / 5, rel=0.02)
    # The top of a ranking is what counts: at thirty a positive its negatives are mostly not there.
    score = np.random.default_rng(1).normal(size=60_000) + 2.5 * dataset.y
    judged = np.concatenate([fold.valid for fold in folds(dataset, seed=0)[: len(found.parts)]])
    whole = average_precision_score(dataset.y[judged], score[judged])
    assert average_precision(found.y, score[found.rows], found.weight) == pytest.approx(
        whole, rel=0.25
    )


@pytest.mark.parametrize(
    ("n_positive", "n_parts"), [(2000, 1), (400, 2), (60, 3), (30, 5), (12, 5), (3, 3)]
)
def test_folds_are_as_many_as_the_positives_need(n_positive: int, n_parts: int) -> None:
    found = plan_validation(rare(6000, n_positive=n_positive), seed=0)
    assert len(found.parts) == n_parts
    assert found.few_positives == (found.n_positive < FEW_POSITIVES)


def test_rungs_nest_and_keep_to_the_training_side() -> None:
    dataset = rare(12_000, n_positive=240)
    problem = prepare(dataset, seed=0)
    assert problem.screening_rows < problem.final_rows == 12_000
    for part in problem.validation.parts:
        small = problem.rows_to_fit(problem.screening_rows, part)
        large = problem.rows_to_fit(problem.final_rows, part)
        assert set(small) < set(large) == set(part.train)
        assert not set(large) & set(part.valid)
        assert dataset.y[small].mean() > 3 * dataset.y.mean()
        # What was sampled is shifted back to the true prevalence, by Bayes' rule.
        share = dataset.y[small].mean()
        truth = dataset.y[part.train].mean()
        odds = share / (1 - share) * np.exp(problem.prior_shift(small, part))
        assert odds == pytest.approx(truth / (1 - truth))
        assert problem.prior_shift(large, part) == 0


def test_early_stopping_keeps_the_positives_and_the_weight_of_all() -> None:
    dataset = rare(6000, n_positive=600)
    part = plan_validation(dataset, seed=0).parts[0]
    rows, weight = part.thinned(300, y=dataset.y, seed=0)
    assert len(rows) == len(weight) == pytest.approx(300, abs=2)
    assert set(rows) <= set(part.valid)
    assert dataset.y[rows].sum() == dataset.y[part.valid].sum()
    assert weight.sum() == pytest.approx(part.weight.sum())
    assert np.average(dataset.y[rows], weights=weight) == pytest.approx(
        np.average(dataset.y[part.valid], weights=part.weight)
    )
    # However few rows are asked for, there is a negative for each positive.
    fewest, _ = part.thinned(10, y=dataset.y, seed=0)
    assert dataset.y[fewest].mean() == 0.5
    everything, _ = part.thinned(10**6, y=dataset.y, seed=0)
    assert everything is part.valid
