"""Groups of features are kept where they gain, and nothing is read that no tree split on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from automl.cost import Budget
from automl.data.dataset import Dataset
from automl.errors import BudgetExhausted
from automl.features.featurizer import GroupOffer
from automl.meters.cpu_time import CpuTimeMeter
from automl.relations.tables import EventTable, Relations
from automl.search.feature_groups import chosen, sampled
from automl.search.feature_race import Race, judging

METER = CpuTimeMeter()


def events(n: int, *, y: np.ndarray, told: float, seed: int, name: str) -> EventTable:
    """Some dated amounts of each entity, higher for positives by `told`."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n), rng.integers(0, 12, n)).astype(np.int64)
    time = np.empty(len(subject))
    for one in np.unique(subject):
        at = subject == one
        time[at] = np.sort(rng.uniform(0, 86_400 * 90, at.sum()))
    amount = rng.normal(size=len(subject)) + told * y[subject]
    return EventTable(
        name=name, role="events", subject=subject, time=time, columns=pa.table({"amount": amount})
    )


@pytest.fixture(scope="module")
def bank() -> tuple[Relations, Dataset]:
    n = 1500
    rng = np.random.default_rng(0)
    y = (rng.random(n) < 0.08).astype(np.int8)
    X = pd.DataFrame({"age": rng.normal(size=n) + 0.3 * y})
    tables = {
        "payments": events(n, y=y, told=1.5, seed=1, name="payments"),
        "noise": events(n, y=y, told=0.0, seed=2, name="noise"),
    }
    relations = Relations(
        rows=X,
        subjects={name: np.arange(n) for name in tables},
        cut_off=np.full(n, 86_400 * 90.0),
        tables=tables,
    )
    return relations, Dataset(X=X, y=y)


def test_what_tells_is_kept_and_pays(bank):
    relations, dataset = bank
    found = chosen(relations, dataset, meter=METER, seed=0)
    by_name = {one.name: one for one in found.decisions}
    assert by_name["payments.aggregates"].kept
    assert by_name["payments.aggregates"].gain > 20
    assert found.featurizer is not None
    assert any(name.startswith("payments.amount.mean") for name in found.featurizer.columns)
    assert found.cost.cpu_seconds > 0
    assert found.base_score < by_name["payments.aggregates"].score


def test_groups_that_harm_are_left_out(bank):
    relations, dataset = bank
    only = ["noise.aggregates", "noise.recency"]
    found = chosen(relations, dataset, meter=METER, seed=0, groups=only)
    kept = [one for one in found.decisions if one.kept]
    assert all(one.gain is not None and one.gain > -one.error for one in kept)
    assert {one.name for one in found.decisions} == set(only)
    assert all(one.why for one in found.decisions)


def test_a_group_that_gains_nothing_is_not_worth_being_dear(bank, monkeypatch):
    relations, dataset = bank
    monkeypatch.setattr("automl.search.feature_race.CHEAP_SHARE", 0.0)
    found = chosen(relations, dataset, meter=METER, seed=0, groups=["noise.aggregates"])
    assert not found.decisions[0].kept
    assert "dear" in found.decisions[0].why
    assert found.featurizer is None


def test_convolutions_wait_for_all_others_however_cheap_they_look():
    offers = [
        GroupOffer(name=f"{table}.{kind}", table=table, kind=kind, expected_seconds=seconds)
        for table, kind, seconds in (
            ("a", "convolutions", 0.1),
            ("b", "rolling", 1.0),
            ("a", "rolling", 2.0),
        )
    ]
    race = SimpleNamespace(_failures={"b": 2})
    order = sorted(offers, key=lambda offer: Race.turn(race, offer))
    assert [one.name for one in order] == ["a.rolling", "b.rolling", "a.convolutions"]


def test_the_same_seed_chooses_the_same(bank):
    relations, dataset = bank
    first, second = (chosen(relations, dataset, meter=METER, seed=3) for _ in range(2))
    assert first.featurizer.to_json() == second.featurizer.to_json()
    assert [one.gain for one in first.decisions] == [one.gain for one in second.decisions]


def test_rows_that_were_taken_from_others(bank):
    relations, dataset = bank
    rows = np.arange(len(dataset.y))[::-1][:1000].copy()
    some = Dataset(X=dataset.X.iloc[rows].reset_index(drop=True), y=dataset.y[rows])
    found = chosen(relations.take(rows), some, meter=METER, seed=0, groups=["payments.aggregates"])
    assert found.decisions[0].kept


def test_stopped_before_the_second_group(bank):
    relations, dataset = bank
    told: list[object] = []
    found = chosen(
        relations,
        dataset,
        meter=METER,
        seed=0,
        stop=lambda: "enough" if told else None,
        on_group=told.append,
    )
    assert len(found.decisions) == len(told) == 1


def test_entities_without_columns_of_their_own(bank):
    relations, dataset = bank
    bare = Dataset(X=dataset.X[[]], y=dataset.y)
    found = chosen(relations, bare, meter=METER, seed=0)
    assert found.base_score is None or found.decisions[0].kept
    assert found.featurizer is not None


def test_a_sample_stands_for_all_rows(bank):
    _, dataset = bank
    positives = np.flatnonzero(dataset.y == 1)
    rows = np.sort(np.concatenate([positives, np.flatnonzero(dataset.y == 0)[:200]]))
    some = sampled(dataset, rows)
    rate = np.average(some.y, weights=some.weight)
    assert rate == pytest.approx(dataset.y.mean())


def test_few_positives_are_judged_by_all_folds(bank):
    _, dataset = bank
    assert len(judging(dataset, seed=0).parts) == 5
    assert judging(dataset, seed=0).n_positive == dataset.n_positive


def test_a_choice_without_a_limit_tells_no_stop(bank):
    relations, dataset = bank
    assert chosen(relations, dataset, meter=METER, seed=0, groups=["noise.recency"]).stop is None


def test_no_group_is_tried_that_does_not_fit_the_budget(bank):
    relations, dataset = bank
    budget = Budget(cpu_seconds=1e-6)
    found = chosen(relations, dataset, meter=METER, seed=0, budget=budget)
    assert found.featurizer is None
    assert found.base_score is None, "nothing was judged either"
    assert {one.cost.cpu_seconds for one in found.decisions} == {0.0}
    assert found.stop is not None
    assert (found.stop.reason, found.stop.unit) == ("budget", "cpu_seconds")
    assert all(one.why.startswith("not tried: budget: cpu_seconds") for one in found.decisions)
    assert [one["code"] for one in found.warnings] == ["features_stopped"]


def test_a_budget_ends_the_choice_where_it_is_spent(bank):
    relations, dataset = bank
    chosen(relations, dataset, meter=METER, seed=0, groups=["noise.recency"])  # imports are done
    whole = chosen(relations, dataset, meter=METER, seed=0)
    budget = Budget(cpu_seconds=0.6 * whole.cost.cpu_seconds)
    found = chosen(relations, dataset, meter=METER, seed=0, budget=budget)
    assert len(found.decisions) == len(whole.decisions), "each group is told"
    tried = [one for one in found.decisions if one.score is not None]
    assert 0 < len(tried) < len(whole.decisions)
    assert found.featurizer is not None
    assert found.cost.cpu_seconds < whole.cost.cpu_seconds


def test_rows_without_columns_and_without_a_budget_for_features_end_there(bank):
    relations, dataset = bank
    bare = Dataset(X=dataset.X[[]], y=dataset.y)
    with pytest.raises(BudgetExhausted, match="no feature was computed: budget: cpu_seconds"):
        chosen(relations, bare, meter=METER, seed=0, budget=Budget(cpu_seconds=1e-9))
