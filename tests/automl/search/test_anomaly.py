"""Rows without labels: the odd come first, the alerts are as many as asked, files are safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from automl.cost import Cost
from automl.errors import BudgetExhausted, DataError
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.anomaly import REFERENCE_ROWS, AnomalyRanker, below, expected_seconds
from automl.search.anomaly_files import load_model
from automl.search.champion import Champion
from automl.search.journal import MemoryJournal
from automl.search.ranking import CANDIDATE, Ranking, rank_anomalies
from automl.search.reasons import reasons
from automl.search.run import search
from automl.trial import Proposal
from tests.automl.search.problems import rare

N_ROWS, N_ODD = 1500, 30


def table(*, seed: int = 0, n_rows: int = N_ROWS) -> pd.DataFrame:
    """Correlated numbers and a level; the last rows are each usual, together they are not."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n_rows)
    frame = pd.DataFrame({"a": a, "b": a + 0.2 * rng.normal(size=n_rows)})
    frame["noise"] = rng.exponential(size=n_rows)
    frame["level"] = rng.choice(["north", "south"], n_rows)
    odd = np.arange(n_rows) >= n_rows - N_ODD
    frame.loc[odd, "a"] = rng.choice([-1.8, 1.8], N_ODD)
    frame.loc[odd, "b"] = -frame.loc[odd, "a"]
    frame.loc[rng.random(n_rows) < 0.05, "noise"] = np.nan
    return frame


ODD = np.arange(N_ROWS) >= N_ROWS - N_ODD


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return rank_anomalies(table(), alert_rate=0.02)


def test_rows_odd_only_in_company_are_first(ranking: Ranking) -> None:
    anomaly = ranking.champion.anomaly(table())
    assert roc_auc_score(ODD, anomaly) > 0.97
    assert ((anomaly >= 0) & (anomaly <= 1)).all()


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.2])
def test_as_many_are_alerted_as_can_be_looked_at(rate: float) -> None:
    champion = rank_anomalies(table(), alert_rate=rate).champion
    assert champion.alert(table()).mean() == pytest.approx(rate, abs=1.5 / N_ROWS)
    usual = table(seed=1, n_rows=6000)
    assert champion.alert(usual).mean() == pytest.approx(rate, rel=0.6, abs=0.004)


def test_the_anomaly_is_the_share_that_looks_less_odd(ranking: Ranking) -> None:
    anomaly = np.sort(ranking.champion.anomaly(table()))
    np.testing.assert_allclose(anomaly, (np.arange(N_ROWS) + 0.5) / N_ROWS, atol=0.01)
    reference = np.array([1.0, 2.0, 2.0, 3.0])
    assert below(reference, np.array([0.0, 1.0, 2.0, 2.5, 9.0])).tolist() == [
        0,
        0.125,
        0.5,
        0.75,
        1,
    ]


def test_the_same_rows_and_seed_give_the_same(ranking: Ranking) -> None:
    again = rank_anomalies(table(), alert_rate=0.02)
    other = rank_anomalies(table(), alert_rate=0.02, seed=1)
    own = ranking.champion.anomaly(table())
    np.testing.assert_array_equal(again.champion.anomaly(table()), own)
    assert not np.array_equal(other.champion.anomaly(table()), own)


def test_a_row_ranks_alone_as_among_others(ranking: Ranking) -> None:
    whole = ranking.champion.anomaly(table())
    alone = [ranking.champion.anomaly(table()[i : i + 1])[0] for i in (0, 7, N_ROWS - 1)]
    np.testing.assert_allclose(alone, whole[[0, 7, N_ROWS - 1]])


def test_one_trial_without_a_score_is_measured(ranking: Ranking) -> None:
    (trial,) = ranking.trials
    assert trial.score is None
    assert trial.error is None
    assert trial.candidate == CANDIDATE
    assert trial.cost.cpu_seconds > 0
    assert trial.expected.cpu_seconds == expected_seconds(n_rows=N_ROWS, n_columns=4)
    assert ranking.stop.reason == "no_labels"
    assert ranking.cost.cpu_seconds == pytest.approx(
        sum(cost.cpu_seconds for cost in ranking.costs.values())
    )


def test_a_trial_whose_process_died_is_charged_and_followed_by_another() -> None:
    journal = MemoryJournal()
    expected = Cost(cpu_seconds=2.0, joules=8.0, meter="expected")
    journal.begin(0, Proposal(candidate=CANDIDATE, rung="final", n_rows=N_ROWS), expected)
    found = rank_anomalies(table(), journal=journal)
    died, done = found.trials
    assert died.error is not None
    assert done.number == 1
    assert found.costs["search"].cpu_seconds > 2.0
    assert found.champion.provenance["trial"] == 1


def test_a_stop_ends_it_before_it_began() -> None:
    with pytest.raises(BudgetExhausted, match="cancelled"):
        rank_anomalies(table(), stop=lambda: "cancelled")


def test_reasons_name_the_columns_that_are_odd(ranking: Ranking) -> None:
    row = table()[:1].assign(a=0.0, b=0.0, noise=60.0)
    (found,) = reasons(ranking.champion, row, n_reasons=2)
    assert found[0].column == "noise"
    assert found[0].contribution > 0


def test_it_is_saved_without_pickle_and_loads_the_same(ranking: Ranking, tmp_path: Path) -> None:
    digest = ranking.champion.save(tmp_path / "model")
    again = AnomalyRanker.load(tmp_path / "model", sha256=digest)
    np.testing.assert_array_equal(again.anomaly(table()), ranking.champion.anomaly(table()))
    np.testing.assert_array_equal(again.alert(table()), ranking.champion.alert(table()))
    assert again.card() == json.loads(json.dumps(ranking.champion.card()))
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".npz", ".skops"}
    assert isinstance(load_model(tmp_path / "model"), AnomalyRanker)


def test_neither_kind_is_taken_for_the_other(ranking: Ranking, tmp_path: Path) -> None:
    ranking.champion.save(tmp_path / "ranking")
    with pytest.raises(DataError) as caught:
        Champion.load(tmp_path / "ranking")
    assert caught.value.code == "not_a_champion"
    champion = search(rare(300, n_positive=40), meter=CpuTimeMeter(), mode="eco").champion
    champion.save(tmp_path / "champion")
    assert isinstance(load_model(tmp_path / "champion"), Champion)
    with pytest.raises(DataError):
        AnomalyRanker.load(tmp_path / "champion")


def test_a_file_that_was_changed_is_refused(ranking: Ranking, tmp_path: Path) -> None:
    ranking.champion.save(tmp_path / "model")
    path = tmp_path / "model" / "champion.json"
    path.write_text(path.read_text().replace("0.02", "0.03"))
    with pytest.raises(DataError) as caught:
        AnomalyRanker.load(tmp_path / "model")
    assert caught.value.code == "corrupt_model"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (table()[:19], "too_few_rows"),
        (pd.DataFrame({"a": [1.0] * 50}), "no_features"),
        (pd.DataFrame({"a": [np.nan] * 50}), "no_features"),
    ],
)
def test_what_cannot_be_ranked_is_said(frame: pd.DataFrame, code: str) -> None:
    with pytest.raises(DataError) as caught:
        rank_anomalies(frame)
    assert caught.value.code == code


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_an_alert_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="alert rate"):
        rank_anomalies(table(), alert_rate=rate)


def bad_tables() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(60, 700)), columns=[f"c{i}" for i in range(700)])
    infinite = table()
    infinite.loc[3, "a"] = np.inf
    return {
        "few rows": table()[:20],
        "wide": wide,
        "infinite": infinite,
        "one level beside nothing": pd.DataFrame({"a": ["x", None] * 30}),
        "all but one the same": pd.DataFrame({"a": [0.0] * 59 + [1.0]}),
        "many levels": pd.DataFrame({"a": [f"v{i}" for i in range(300)], "b": range(300)}),
    }


@pytest.mark.parametrize("name", bad_tables())
def test_odd_tables_are_ranked(name: str) -> None:
    frame = bad_tables()[name]
    anomaly = rank_anomalies(frame).champion.anomaly(frame)
    assert np.isfinite(anomaly).all()
    if name == "all but one the same":
        assert anomaly.argmax() == len(frame) - 1


def test_a_column_that_is_missing_is_named(ranking: Ranking) -> None:
    with pytest.raises(DataError) as caught:
        ranking.champion.anomaly(table().drop(columns="noise"))
    assert caught.value.column == "noise"


def test_what_it_is_expected_to_cost_stops_growing_with_the_rows() -> None:
    few = expected_seconds(n_rows=1000, n_columns=10)
    many = expected_seconds(n_rows=REFERENCE_ROWS, n_columns=10)
    assert few < many
    assert expected_seconds(n_rows=10**7, n_columns=10) == many
