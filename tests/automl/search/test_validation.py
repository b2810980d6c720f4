"""Who validates: nobody who was fitted on, later in time, of other groups, and weighted back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from automl.data.dataset import Dataset
from automl.data.split import folds
from automl.meters.cpu_time import CpuTimeMeter
from automl.models import catalog
from automl.sampling.stratified import FINAL_ROWS
from automl.search import parts
from automl.search.metrics import average_precision
from automl.search.parts import trees_of_part
from automl.search.problem import prepare
from automl.search.run import search
from automl.search.validation import (
    FEW_POSITIVES,
    MOST_POSITIVES,
    MOST_STOOD_FOR,
    THOROUGH_ROWS,
    plan_validation,
)
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


@pytest.mark.parametrize(("n_positive", "n_parts"), [(2000, 2), (400, 5), (12, 5), (3, 3)])
def test_more_folds_judge_where_it_is_thorough(n_positive: int, n_parts: int) -> None:
    dataset = rare(6000, n_positive=n_positive)
    found = plan_validation(dataset, seed=0, thorough=True)
    assert len(found.parts) == n_parts
    # The first are those of a search that is not.
    own = plan_validation(dataset, seed=0).parts
    for one, other in zip(own, found.parts, strict=False):
        assert np.array_equal(one.valid, other.valid)
    assert len(set(found.rows.tolist())) == len(found.rows)


def test_no_further_folds_judge_forward_in_time() -> None:
    plain = rare(6000, n_positive=400)
    dataset = Dataset(X=plain.X, y=plain.y, time=np.arange(6000))
    usual, found = (plan_validation(dataset, seed=0, thorough=one) for one in (False, True))
    assert len(found.parts) == len(usual.parts) < 5


def test_as_many_folds_as_ever_judge_many_rows() -> None:
    many = rare(THOROUGH_ROWS + 1, n_positive=400)
    assert len(plan_validation(many, seed=0, thorough=True).parts) == 2


def test_few_rows_are_judged_on_all_of_them_where_it_is_thorough() -> None:
    dataset = rare(9000, n_positive=90)
    short, long = prepare(dataset, seed=0), prepare(dataset, seed=0, thorough=True)
    assert short.screening_rows < long.screening_rows == long.final_rows == 9000
    assert trees_of_part("final", long) * 5 == 4 * trees_of_part("final", short) * 2
    many = prepare(rare(12_000, n_positive=90), seed=0, thorough=True)
    assert many.screening_rows < many.final_rows
    assert trees_of_part("final", many) * 5 == 60


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


@pytest.fixture(scope="module")
def plenty() -> Dataset:
    """More positives than finals take, and more rows."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=900_000).astype(np.float32)})
    y = (rng.random(900_000) < expit(2 * X["x"].to_numpy() - 1)).astype(np.int8)
    return Dataset(X=X, y=y)


def test_many_positives_are_thinned_too_and_shifted_back(plenty: Dataset) -> None:
    problem = prepare(plenty, seed=0)
    assert problem.final_rows == FINAL_ROWS
    assert problem.n_positive(FINAL_ROWS) == FINAL_ROWS // 2 < plenty.n_positive
    for part in (*problem.validation.parts, None):
        rows = problem.rows_to_fit(problem.final_rows, part)
        assert len(rows) == round(FINAL_ROWS * (1.0 if part is None else 0.8))
        x, y = problem.matrix[rows], plenty.y[rows]
        share, truth = y.mean(), plenty.y[slice(None) if part is None else part.train].mean()
        assert abs(share - truth) > 0.1
        shift = problem.prior_shift(rows, part)
        odds = share / (1 - share) * np.exp(shift)
        assert odds == pytest.approx(truth / (1 - truth))
        # The truth is 2 x - 1: the sample moves the intercept and nothing else.
        fitted = LogisticRegression(C=1e6).fit(x, y)
        assert fitted.coef_[0, 0] == pytest.approx(2, abs=0.03)
        assert fitted.intercept_[0] + shift == pytest.approx(-1, abs=0.03)
    whole = prepare(plenty, seed=0, whole=True)
    assert whole.final_rows == plenty.n_rows
    assert whole.prior_shift(whole.rows_to_fit(plenty.n_rows, None), None) == 0


def test_so_many_positives_judge_and_count_for_all(plenty: Dataset) -> None:
    found = plan_validation(plenty, seed=0)
    (fold,) = found.parts
    assert found.n_positive == MOST_POSITIVES
    whole = folds(plenty, seed=0)[0].valid
    y = plenty.y[fold.valid]
    for label in (0, 1):
        n_all = (plenty.y[whole] == label).sum()
        assert found.weight[y == label].sum() == pytest.approx(n_all)
    assert found.prevalence == pytest.approx(plenty.y[whole].mean())
    score = plenty.X["x"].to_numpy()
    assert average_precision(y, score[fold.valid], found.weight) == pytest.approx(
        average_precision_score(plenty.y[whole], score[whole]), rel=0.01
    )
