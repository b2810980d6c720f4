"""What each night is sent, and how the models of many periods are compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.night_cases import CASES, Case
from benchmarks.nights import judged, table


@pytest.fixture
def case() -> Case:
    people = pd.DataFrame({"id": [1, 2, 3, 4], "bad": ["no", "yes", "no", "yes"]})
    visits = pd.DataFrame({"id": [1, 1, 4], "at": [0, 2, 3]})
    return Case(
        name="made",
        spec={},
        entities="people",
        key="id",
        target="bad",
        positive=("yes",),
        frames={"people": people, "visits": visits, "towns": pd.DataFrame({"town": ["a"]})},
        at={"people": np.array([0.0, 1.0, 1.0, 2.0]), "visits": np.array([0.0, 2.0, 3.0])},
        labels_at=np.array([1.0, 1.0, 2.0, 9.0]),
        clock=(0.0, 1.0, 2.0),
        step="day",
        delay="1 day",
        days=1,
    )


def test_rows_come_once_and_labels_when_they_are_known(case: Case) -> None:
    first, second = case.rows("people", 0.0), case.rows("people", 1.0, since=0.0)
    assert first["id"].tolist() == [1]
    assert first["bad"].isna().all()
    assert second["id"].tolist() == [2, 3]
    assert second["bad"].fillna("-").tolist() == ["yes", "-"]
    assert case.late(1.0, since=0.0).to_numpy().tolist() == [[1, "no"]]
    assert case.late(2.0, since=1.0).to_numpy().tolist() == [[3, "no"]]
    assert case.rows("visits", 2.0, since=0.0)["at"].tolist() == [2]
    assert len(case.rows("towns", 0.0)) == 1
    assert len(case.rows("towns", 1.0, since=0.0)) == 0
    assert case.is_positive(np.array([0, 3])).tolist() == [False, True]


def test_every_label_comes_with_its_row_or_later(case: Case) -> None:
    told = {}
    for since, until in ((-np.inf, 0.0), (0.0, 1.0), (1.0, 2.0)):
        rows = case.rows("people", until, since=since).dropna()
        for key, label in [*rows.to_numpy().tolist(), *case.late(until, since=since).to_numpy()]:
            assert key not in told
            told[key] = label
    assert told == {1: "no", 2: "yes", 3: "no"}


def test_models_are_compared_on_the_same_rows() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(600) < 0.1
    good, bad = y + rng.normal(0, 0.5, 600), rng.normal(size=600)
    rows = pd.DataFrame({"followed": good, "frozen": bad, "anew": good, "y": y})
    found = judged([rows[:300].assign(period=1), rows[300:].assign(period=2)])
    difference, low, _ = found["average_precision_over_frozen"]
    assert 0 < low < difference
    assert found["roc_auc_over_anew"] == [0, 0, 0]
    assert (found["n_rows"], found["n_positive"], found["n_periods"]) == (600, int(y.sum()), 2)


def test_the_table_says_what_nights_took() -> None:
    kept = {"versions": 3, "kept": 6000}
    nights = [
        {"state": "SKIPPED", "promoted": False, "cpu_seconds": 2.0, "bill": {}, "bytes": kept},
        {
            "state": "DONE",
            "promoted": True,
            "cpu_seconds": 8.0,
            "anew_cpu_seconds": 20.0,
            "bill": {"ingest": 1.0, "search": 3.0},
            "bytes": kept,
        },
    ]
    row = {
        "set": "made",
        "step": "day",
        "first_cpu_seconds": 20.0,
        "first_bill": {"search": 9.0},
        "nights": nights,
        "average_precision": {"followed": 0.5},
        "average_precision_over_frozen": [0.1, 0.02, 0.2],
    }
    last = table([row]).splitlines()[-1]
    assert "| 20.0 (9.0) | 1: 2.0 | 1: 8.0 (3.0) | 1 | 20.0 | 2 kB | 0.500 |" in last
    assert "+0.100 [+0.020, +0.200] | - |" in last


@pytest.mark.data
@pytest.mark.parametrize("name", ["superlender", "berka"])
@pytest.mark.usefixtures("shared_data")
def test_a_set_has_new_rows_each_night(name: str) -> None:
    case = CASES[name]()
    for since, until in zip(case.clock, case.clock[1:], strict=False):
        assert len(case.known(case.entities, until, since=since))
    for frame, times in ((case.frames[one], at) for one, at in case.at.items()):
        assert len(frame) == len(times)
        assert np.isfinite(times).all()
