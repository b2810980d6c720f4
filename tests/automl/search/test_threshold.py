"""Where alerts begin, against every other threshold and on rows that no search saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from automl.data.dataset import Dataset
from automl.data.split import folds
from automl.meta.portfolio import NAMED
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.calibration import fit_platt
from automl.search.champion import Member
from automl.search.evaluate import shift_seconds
from automl.search.fitted import Fitted
from automl.search.metrics import recall_threshold
from automl.search.objective import Objective
from automl.search.problem import prepare
from automl.search.run import SearchResult, search
from automl.search.spare import SparePart
from automl.search.threshold import (
    choose,
    limit_of_parts,
    limit_on_unseen,
    rows_affordable,
    told_by,
)
from automl.trial import Candidate
from tests.automl.search.problems import rare

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4), st.floats(0.1, 9)), min_size=1, max_size=40
).filter(lambda found: any(y for y, _, _ in found))


@given(rows, st.floats(0.01, 1))
def test_no_threshold_that_finds_enough_is_more_precise(
    found: list[tuple[int, int, float]], recall: float
) -> None:
    y, score, weight = (np.array(column, dtype=float) for column in zip(*found, strict=True))

    def reached(threshold: float) -> tuple[float, float]:
        above = score >= threshold
        hits = (weight * y)[above].sum()
        return hits / (weight * y).sum(), hits / weight[above].sum()

    chosen = recall_threshold(y, score, recall=recall, weight=weight)
    assert reached(chosen)[0] >= recall - 1e-6
    others = [reached(t) for t in np.unique(score)]
    assert reached(chosen)[1] >= max(p for r, p in others if r >= recall) - 1e-9


class FirstColumn:
    """A model whose logit is the first column; it remembers on how many rows it was asked."""

    def __init__(self) -> None:
        self.details: dict[str, object] = {}
        self.n_rows = 0

    def decision(self, matrix: np.ndarray) -> np.ndarray:
        self.n_rows += len(matrix)
        return np.asarray(matrix[:, 0], dtype=np.float64)


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_the_alert_share_is_that_of_rows_in_no_fit(slope: float) -> None:
    """Whatever the scale on which fold models were judged: half of it loses all alerts."""
    problem = prepare(rare(60_000, n_positive=300), seed=0)
    assert problem.final_rows < 7_000
    logit = np.asarray(problem.matrix[problem.validation.rows, 0], dtype=np.float64)
    fitted = Fitted(model=FirstColumn(), slope=slope)  # type: ignore[arg-type]
    member = Member(
        trial=0, candidate=Candidate(model="m", params={}), weight=1.0, models=(fitted,)
    )
    platt = fit_platt(problem.validation.y, logit, problem.validation.weight)
    found = choose(
        logit, (member,), problem, calibration=platt, honest=platt.log_odds(logit), judged={}
    )
    limit = (np.log(found.probability / (1 - found.probability)) - platt.intercept) / platt.slope
    # Of 40,000 such rows 1 % are 400, and the 300 positives are one row in 200.
    true = 0.995 * norm.sf(limit / slope) + 0.005 * norm.sf(limit / slope - 1.2)
    assert true == pytest.approx(0.01, rel=3 / 400**0.5)


def test_older_rows_and_models_of_an_older_champion_tell_no_alert_share() -> None:
    dataset = rare(60_000, n_positive=300)
    model = FirstColumn()
    member = Member(
        trial=0,
        candidate=Candidate(model="m", params={}),
        weight=1.0,
        models=(Fitted(model=model),),  # type: ignore[arg-type]
    )
    problem = prepare(dataset, seed=0)
    assert limit_on_unseen((member,), problem, {}, share=0.01, recall=0.1) is not None
    asked = model.n_rows
    assert limit_on_unseen((member,), problem, {0: member}, share=0.01, recall=0.1) is None
    assert limit_on_unseen((member,), problem, {}, share=0.001, recall=0.1) is None
    forward = prepare(replace(dataset, time=np.arange(60_000)), seed=0)
    assert limit_on_unseen((member,), forward, {}, share=0.01, recall=0.1) is None
    assert model.n_rows == asked <= 40_000


def test_parts_of_different_scales_do_not_move_the_alert_share() -> None:
    """Pooled, one part would have all the alerts, and the champion a twentieth of those asked."""
    problem = prepare(rare(30_000, n_positive=1400), seed=0)
    slopes = (2.0, 0.5)
    models = tuple(Fitted(model=FirstColumn(), slope=slope) for slope in slopes)  # type: ignore[arg-type]
    refitted = Fitted(model=FirstColumn(), slope=1.25)  # type: ignore[arg-type]
    member = Member(
        trial=0,
        candidate=Candidate(model="m", params={}),
        weight=1.0,
        models=(*models, refitted),
    )
    logit = np.concatenate(
        [
            slope * problem.matrix[part.valid, 0].astype(np.float64)
            for slope, part in zip(slopes, problem.validation.parts, strict=True)
        ]
    )
    limit = limit_of_parts(logit, (member,), problem, {}, share=0.01).at / 1.25
    rate = 1400 / 30_000
    true = (1 - rate) * norm.sf(limit) + rate * norm.sf(limit - 1.2)
    assert true == pytest.approx(0.01, rel=3 / (0.01 * len(logit)) ** 0.5)


def test_rows_of_a_spare_fold_are_brought_to_the_champions_scale() -> None:
    """Three logits higher, its rows alone would have all the alerts, and the champion none."""
    problem = prepare(rare(30_000, n_positive=1400), seed=0)
    made = folds(problem.dataset, seed=0, k=5)
    refitted = Fitted(model=FirstColumn(), n_rows=30_000)  # type: ignore[arg-type]
    member = Member(
        trial=0, candidate=Candidate(model="m", params={}), weight=1.0, models=(refitted,)
    )
    spare = [
        SparePart(
            train=fold.train,
            valid=fold.valid,
            models=(Fitted(model=FirstColumn(), shift=3.0),),  # type: ignore[arg-type]
        )
        for fold in made[2:4]
    ]
    logit = np.asarray(problem.matrix[problem.validation.rows, 0], dtype=np.float64)
    found = limit_of_parts(logit, (member,), problem, {}, share=0.01, spare=spare)
    rate = 1400 / 30_000
    true = (1 - rate) * norm.sf(found.at) + rate * norm.sf(found.at - 1.2)
    assert found.n_rows == pytest.approx(24_000)
    assert true == pytest.approx(0.01, rel=3 / 240**0.5)


def test_weights_make_rows_count_for_fewer() -> None:
    logit, weight = np.arange(100.0), np.where(np.arange(100) < 90, 1.0, 4.0)
    even = told_by([(logit, np.ones(100))], share=0.1, at=89.5)
    assert even.n_rows == pytest.approx(100)
    # Ten of four are 160 squared and 40 summed, of 130 in all.
    uneven = told_by([(logit, weight)], share=0.1, at=89.5)
    assert uneven.n_rows == pytest.approx(130 * 40 / 160)


def test_a_tie_is_one_at_whatever_height_it_lies_in_each_part() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for height in (3.0, 4.0):
        logit = rng.normal(-2, 0.5, size=1000)
        logit[:50] = height
        parts.append((logit, np.ones(1000)))
    for at in (3.5, 4.0):
        limit = told_by(parts, share=0.01, at=at)
        # Above nothing at all: the limit is below the tie, all of which is alerted.
        assert [limit.least, limit.most] == pytest.approx([0.05, 0.05])
    for logit, _ in parts:
        logit[:5] += 1
    limit = told_by(parts, share=0.01, at=4.0)
    assert [limit.least, limit.most] == pytest.approx([0.005, 0.005])
    spread = [(rng.normal(size=1000), np.ones(1000)) for _ in range(2)]
    limit = told_by(spread, share=0.01, at=2.33)
    assert 0.006 < limit.least <= limit.share <= limit.most < 0.014


def test_a_share_that_ties_make_impossible_is_said_with_what_it_may_be() -> None:
    y = (np.arange(4000) % 20 == 0).astype(np.int8)
    # The sign tells all, and nothing tells the positives apart.
    X = pd.DataFrame({"x": np.where(y == 1, 1.0, -1.0)})
    found = search(Dataset(X=X, y=y), meter=CpuTimeMeter(), mode="eco")
    warned = [one for one in found.warnings if one["code"] == "tied_alerts"]
    alerts = found.champion.card()["provenance"]["alerts"]
    assert len(warned) == 1
    assert alerts["asked"] == 0.01
    assert alerts["most"] == pytest.approx(0.05, abs=0.005)
    assert "1 % of the rows" in warned[0]["detail"]
    assert f"{100 * alerts['most']:.2g} %" in warned[0]["detail"]
    realised = found.champion.alert(X).mean()
    assert alerts["least"] <= realised + 1e-9
    assert realised <= alerts["most"] + 1e-9


def searched(objective: Objective) -> tuple[SearchResult, Dataset]:
    """A search on half of a table, and the other half."""
    whole = rare(12_000, n_positive=1200)
    halves = [
        Dataset(X=whole.X.iloc[at::2].reset_index(drop=True), y=whole.y[at::2]) for at in (0, 1)
    ]
    return search(halves[0], meter=CpuTimeMeter(), mode="eco", objective=objective), halves[1]


@pytest.mark.parametrize("recall", [0.3, 0.7])
def test_the_share_of_positives_asked_for_is_found_on_new_rows(recall: float) -> None:
    found, test = searched(Objective(metric="precision_at_recall", recall=recall))
    alerts = found.champion.alert(test.X)
    scores = found.champion.scores
    counted = 1 / scores["n_validation_positives"] + 1 / test.n_positive
    error = (recall * (1 - recall) * counted) ** 0.5  # of counting positives on both sides
    assert alerts[test.y == 1].mean() == pytest.approx(recall, abs=3 * error)
    assert alerts.mean() == pytest.approx(found.champion.alert_rate, rel=0.2)
    assert scores["recall_at_threshold"] == pytest.approx(recall, abs=2 * error)
    assert scores["precision_at_threshold"] == pytest.approx(scores["precision_at_recall"], rel=0.1)


@pytest.mark.parametrize("missed", [3.0, 30.0])
def test_alerts_cost_nearly_the_least_on_new_rows(missed: float) -> None:
    objective = Objective(metric="expected_cost", missed_cost=missed, alert_cost=1.0)
    found, test = searched(objective)
    probability = found.champion.predict_proba(test.X)
    cost = objective.cost(test.y, found.champion.alert(test.X), np.ones(test.n_rows))
    least = objective.scores(test.y, probability)["expected_cost"]
    idle = min(missed * test.y.mean(), (1 - test.y).mean())
    # The least is known afterwards only, and one missed positive of 600 at 30 alerts is 2 % of
    # what can be saved: over five tables the loss was 6 to 20 % of it.
    assert least <= (cost or 0.0) < least + 0.25 * (idle - least)
    assert found.champion.scores["cost_at_threshold"] == pytest.approx(cost, rel=0.15)


def test_costs_of_alerts() -> None:
    objective = Objective(metric="expected_cost", missed_cost=10, alert_cost=1)
    y, alerted = np.array([1, 1, 0, 0]), np.array([True, False, True, False])
    assert objective.cost(y, alerted, np.array([1.0, 1, 1, 1])) == pytest.approx(11 / 4)
    assert objective.cost(y, alerted, np.array([1.0, 2, 3, 4])) == pytest.approx(23 / 10)
    assert Objective().cost(y, alerted, np.ones(4)) is None
    with pytest.raises(ValueError, match="not given"):
        _ = Objective().fair_probability


def test_where_nothing_tells_the_rows_apart_nobody_is_alerted() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=1000)})
    y = (np.arange(1000) % 10 == 0).astype(np.int8)
    objective = Objective(metric="expected_cost", missed_cost=1, alert_cost=5)
    found = search(Dataset(X=X, y=y), meter=CpuTimeMeter(), mode="eco", objective=objective)
    assert not found.champion.alert(X).any()
    assert found.champion.scores["precision_at_threshold"] == 0
    assert found.champion.scores["cost_at_threshold"] == pytest.approx(0.1)


def test_averaging_is_read_on_as_many_rows_as_a_limit_leaves_room_for() -> None:
    problem = prepare(rare(2000, n_positive=100), seed=0)
    candidate = NAMED["L15"]
    seconds = shift_seconds(candidate, problem)
    member = Member(trial=0, candidate=candidate, weight=1.0, models=())

    def rows(room: float) -> int:
        return rows_affordable([member], problem, lambda asked: asked <= room * seconds)

    assert [rows(room) for room in (1.0, 0.6, 0.2, 0.1)] == [10_000, 5_000, 1_250, 0]
    student = Member(trial=1, candidate=Candidate(model="distilled"), weight=1.0, models=())
    assert rows_affordable([student], problem, lambda s: s <= 0) == 10_000
