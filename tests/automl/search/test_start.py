"""A search that starts from a champion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl import FrugalClassifier
from automl.cost import Budget
from automl.data.dataset import Dataset
from automl.errors import DataError
from automl.meters.cpu_time import CpuTimeMeter
from automl.models.rated import RatedBoosting
from automl.search.champion import Champion, Member
from automl.search.journal import MemoryJournal
from automl.search.problem import prepare
from automl.search.refit import fit_member
from automl.search.renew import continuing_seconds, more_rounds, renewed
from automl.search.run import SearchResult, search
from automl.search.seen import hashes
from automl.search.start import Start, relate
from tests.automl.search.problems import rare, seen_by

N_OLD = 2000
WHOLE = rare(2800, n_positive=280, seed=5)


def part(rows: Any, of: Dataset = WHOLE, **changes: Any) -> Dataset:
    own = Dataset(X=of.X.iloc[rows].reset_index(drop=True), y=of.y[rows])
    return replace(own, **changes)


def run(dataset: Dataset, **options: Any) -> SearchResult:
    return search(dataset, **({"meter": CpuTimeMeter(), "seed": 3, "mode": "eco"} | options))


@pytest.fixture(scope="module")
def first() -> SearchResult:
    return run(part(slice(0, N_OLD)))


@pytest.fixture(scope="module")
def grown(first: SearchResult) -> SearchResult:
    return run(WHOLE, start=Start(champion=first.champion, parent={"name": "old"}))


def test_grown_data_are_not_raced_again(first: SearchResult, grown: SearchResult) -> None:
    assert grown.start is not None
    assert grown.start["kind"] == "recalled"
    assert abs(grown.start["n_rows_new"] - 800) < 40  # about 1 in 100 is taken for seen
    tried = [t for t in grown.trials if t.candidate.model != "ensemble"]
    assert {t.candidate.id for t in tried} == {m.candidate.id for m in first.champion.members}
    assert grown.stop.reason == "start"
    assert grown.start["expected_saved_cpu_seconds"] > 0
    assert grown.champion.provenance["started_from"]["model"] == {"name": "old"}


def test_it_is_judged_on_rows_that_it_never_saw(first: SearchResult, grown: SearchResult) -> None:
    rows = grown.champion.out_of_fold["rows"]
    old = hashes(first.champion.encoder.transform(part(slice(0, N_OLD)).X))
    judging = hashes(first.champion.encoder.transform(WHOLE.X.iloc[rows]))
    assert not np.isin(judging, old).any()
    assert rows.min() >= N_OLD


def test_its_score_is_that_of_the_old_models_on_the_new_rows(
    first: SearchResult, grown: SearchResult
) -> None:
    kept = grown.champion.out_of_fold
    number = grown.champion.members[0].trial
    wanted = grown.champion.members[0].candidate.id
    old = next(m for m in first.champion.members if m.candidate.id == wanted)
    matrix = first.champion.encoder.transform(WHOLE.X.iloc[kept["rows"]])
    assert np.array_equal(kept[f"logit_{number}"], old.decision(matrix))


def test_every_member_has_one_new_model_and_no_more_than_before(
    first: SearchResult, grown: SearchResult
) -> None:
    old = {m.candidate.id: m for m in first.champion.members}
    for member in grown.champion.members:
        before = old[member.candidate.id]
        assert len(member.models) == len(before.models)
        assert all(a is b for a, b in zip(member.models, before.models[1:], strict=False))
        assert member.models[-1] not in before.models


def renewed_by(first: SearchResult, *, refit: bool, continued: bool) -> tuple[Member, Member]:
    """A boosted member before and after, with the means for a fit and for going on, or without."""
    relation = relate(Start(champion=first.champion), WHOLE, seed=3)
    problem = prepare(WHOLE, seed=3, encoder=relation.encoder, validation=relation.validation)
    trial = next(t for t in first.trials if t.candidate.model == "lightgbm" and t.score)
    trial = max((t for t in first.trials if t.candidate == trial.candidate), key=lambda t: t.number)
    old = fit_member(
        trial, problem, weight=1.0, at_hand=(), meter=CpuTimeMeter(), affordable=lambda s: True
    )
    going = continuing_seconds(old, problem)
    means = np.inf if refit else going if continued else 0.0
    new = renewed(trial, old, problem, weight=1.0, affordable=lambda seconds: seconds <= means)
    return old, new


def test_without_the_means_for_a_fit_its_trees_are_gone_on_with(first: SearchResult) -> None:
    old, new = renewed_by(first, refit=False, continued=True)
    before, after = old.models[-1].model.details, new.models[-1].model.details
    assert len(new.models) == len(old.models)
    assert after["n_continued"] == more_rounds(old) > 0
    assert after["best_iteration"] == before["best_iteration"] + after["n_continued"]
    old, fitted = renewed_by(first, refit=True, continued=True)
    assert "n_continued" not in fitted.models[-1].model.details
    old, same = renewed_by(first, refit=False, continued=False)
    assert same.models == old.models


def test_trees_that_know_older_labels_are_fitted_anew_or_stay(first: SearchResult) -> None:
    old, _ = renewed_by(first, refit=True, continued=True)
    other = replace(
        old, models=(replace(old.models[-1], model=RatedBoosting.__new__(RatedBoosting)),)
    )
    assert more_rounds(other) == 0


def test_the_same_start_gives_the_same_champion(first: SearchResult, grown: SearchResult) -> None:
    again = run(WHOLE, start=Start(champion=first.champion))
    assert seen_by(again.champion, WHOLE.X) == seen_by(grown.champion, WHOLE.X)


def test_a_resumed_start_ends_with_the_same_champion(
    first: SearchResult, grown: SearchResult
) -> None:
    journal = MemoryJournal()
    start = Start(champion=first.champion)
    run(WHOLE, start=start, journal=journal)
    resumed = run(WHOLE, start=start, journal=journal)
    assert seen_by(resumed.champion, WHOLE.X) == seen_by(grown.champion, WHOLE.X)
    assert [t.number for t in resumed.trials] == [t.number for t in journal.finished()]


def test_a_saved_champion_starts_as_the_one_in_memory(
    first: SearchResult, grown: SearchResult, tmp_path: Path
) -> None:
    first.champion.save(tmp_path / "old")
    again = run(WHOLE, start=Start(champion=Champion.load(tmp_path / "old")))
    assert seen_by(again.champion, WHOLE.X) == seen_by(grown.champion, WHOLE.X)


def test_grandchildren_know_the_rows_of_both(first: SearchResult) -> None:
    # The first 1,000 rows are gone from the data, but models that saw them are not.
    later = part(slice(800, 2800))
    child = run(later, start=Start(champion=first.champion)).champion
    assert len(child.seen) == 2
    hashed = hashes(child.encoder.transform(WHOLE.X))
    assert (child.seen[0].holds(hashed) | child.seen[1].holds(hashed)).all()
    assert relate(Start(champion=child), WHOLE, seed=0).kind == "first"


def test_appended_rows_need_one_digest_only(grown: SearchResult) -> None:
    assert len(grown.champion.seen) == 1


def test_a_champion_that_fails_on_the_new_rows_is_raced_again(first: SearchResult) -> None:
    y = WHOLE.y.copy()
    y[N_OLD:] = np.random.default_rng(0).permutation(y[N_OLD:])
    result = run(replace(WHOLE, y=y), start=Start(champion=first.champion))
    assert result.stop.reason != "start"
    models = {t.candidate.model for t in result.trials}
    assert {"lightgbm", "logistic", "extra_trees"} <= models


def test_too_few_new_positives_repeat_its_configurations(first: SearchResult) -> None:
    rows = np.concatenate([np.arange(N_OLD), N_OLD + np.flatnonzero(WHOLE.y[N_OLD:] == 0)])
    result = run(part(rows), start=Start(champion=first.champion))
    assert result.start is not None
    assert result.start["kind"] == "repeated"
    tried = {t.candidate.id for t in result.trials if t.candidate.model != "ensemble"}
    assert tried == {m.candidate.id for m in first.champion.members}
    # Fitted anew: nothing of what the old models saw is among the validation rows of new ones.
    old = {id(fitted) for m in first.champion.members for fitted in m.models}
    assert not old & {id(fitted) for m in result.champion.members for fitted in m.models}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: part(slice(0, N_OLD)), "no row is new"),
        (lambda d: rare(2000, n_positive=200, seed=77), "other rows"),
        (lambda d: replace(d, X=d.X.assign(extra=np.arange(len(d.X)) % 7)), "other columns"),
        (lambda d: replace(d, X=d.X.assign(region="n" + d.X["region"])), "does not know"),
        (lambda d: replace(d, monotone={"a": 1}), "monotone"),
    ],
)
def test_otherwise_its_configurations_come_first_in_a_race(
    first: SearchResult, change: Any, why: str
) -> None:
    found = relate(Start(champion=first.champion), change(WHOLE), seed=0)
    assert (found.kind, found.validation) == ("first", None)
    assert why in found.why


def test_another_target_takes_configurations_only(first: SearchResult) -> None:
    start = Start(champion=first.champion, same_target=False)
    result = run(WHOLE, start=start)
    assert result.start is not None
    assert result.start["kind"] == "first"
    assert result.trials[0].candidate == start.candidates[0]
    assert [w["code"] for w in result.warnings] == ["started_from"]


def test_entities_that_were_seen_do_not_judge(first: SearchResult) -> None:
    group = np.arange(2800)
    group[N_OLD : N_OLD + 400] = np.arange(400)  # new rows of old entities
    found = relate(Start(champion=first.champion), replace(WHOLE, group=group), seed=0)
    assert found.validation is not None
    assert found.validation.rows.min() >= N_OLD + 400


def test_only_later_rows_judge_where_there_is_time(first: SearchResult) -> None:
    time = np.arange(2800.0)
    time[N_OLD : N_OLD + 300] = 5.0
    found = relate(Start(champion=first.champion), replace(WHOLE, time=time), seed=0)
    assert found.validation is not None
    assert found.validation.rows.min() >= N_OLD + 300
    late = relate(Start(champion=first.champion), replace(WHOLE, time=time, gap=700.0), seed=0)
    assert late.kind == "repeated"  # the last hundred rows have too few positives


def test_missing_columns_are_named(first: SearchResult) -> None:
    with pytest.raises(DataError, match="first 'b'") as caught:
        run(replace(WHOLE, X=WHOLE.X.drop(columns="b")), start=Start(champion=first.champion))
    assert caught.value.code == "missing_columns"


def test_a_budget_holds_with_a_start(first: SearchResult) -> None:
    result = run(WHOLE, start=Start(champion=first.champion), budget=Budget(cpu_seconds=3.0))
    assert result.cost.cpu_seconds < 3.5


def test_the_estimator_starts_from_a_champion_a_fitted_one_or_a_folder(tmp_path: Path) -> None:
    X, y = WHOLE.X.to_numpy()[:, :4].astype(float), WHOLE.y
    old = FrugalClassifier(mode="eco").fit(X[:N_OLD], y[:N_OLD])
    old.champion_.save(tmp_path / "old")
    for given in (old, old.champion_, tmp_path / "old", str(tmp_path / "old")):
        new = FrugalClassifier(mode="eco", warm_start_from=given).fit(X, y)
        assert new.result_.start["kind"] == "recalled"
    with pytest.raises(DataError):
        FrugalClassifier(warm_start_from=tmp_path / "nothing").fit(X, y)


def test_columns_by_name_whatever_their_order(first: SearchResult) -> None:
    turned = replace(WHOLE, X=pd.DataFrame(WHOLE.X[WHOLE.X.columns[::-1]]))
    assert relate(Start(champion=first.champion), turned, seed=0).kind == "recalled"
