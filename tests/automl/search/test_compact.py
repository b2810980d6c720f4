"""The compact predictor against the pipeline that it stands for, on rows as wild as they come."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.bodies import read_rows
from automl.data.encoding import TableEncoder
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError
from automl.models.catalog import CATALOG, build
from automl.models.compact import decide
from automl.search.calibration import Platt
from automl.search.champion import Champion, Member
from automl.search.compact import Compact
from automl.search.fitted import Fitted
from automl.trial import Candidate

N_ROWS = 600
TYPES = {
    "amount": "number",
    "count": "integer",
    "serial": "number",
    "flag": "boolean",
    "town": "string",
    "product": "string",
    "opened": "timestamp",
    "empty": "number",
    "word": "string",
}
SAME = 1e-6


def rows_of(n_rows: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows as a client would send them; a cell in twelve is missing."""
    rows = []
    for _ in range(n_rows):
        day = int(rng.integers(1, 29))
        row: dict[str, Any] = {
            "amount": float(rng.lognormal(3, 2)),
            "count": int(rng.poisson(2)),
            "serial": 3e9 + float(rng.integers(0, 1000)) / 4,
            "flag": bool(rng.random() < 0.3),
            "town": str(rng.choice(["Lyon", "Nice", "Metz"])),
            "product": f"p{int(rng.zipf(1.5)) % 60}",
            "opened": f"2024-{int(rng.integers(1, 13)):02d}-{day:02d}",
            "empty": 1.0,
            "word": "same",
        }
        for name in list(row)[:7]:
            if rng.random() < 1 / 12:
                row[name] = None
        rows.append(row)
    return rows


def read(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return read_rows(
        json.dumps({"rows": rows}).encode(),
        "application/json",
        limits=ReadingLimits(),
        types=TYPES,
        options=ReadingOptions(),
    )


@pytest.fixture(scope="module")
def champion() -> Champion:
    """A member of every model of the catalog."""
    rng = np.random.default_rng(0)
    frame = read(rows_of(N_ROWS, rng))
    encoder = TableEncoder().fit(frame)
    matrix = encoder.transform(frame)
    odds = np.nan_to_num(matrix[:, 0]) + 40 * (matrix[:, 4] == 1) + rng.normal(0, 20, N_ROWS)
    y = (odds > np.quantile(odds, 0.8)).astype(np.int8)
    members = []
    for i, name in enumerate(CATALOG):
        models = []
        for seed in range(2):
            model = build(
                Candidate(model=name, params={}),
                encoder_info=encoder.info,
                seed=seed,
                rounds=12,
                n_trees=7,
            ).fit(matrix[seed::2], y[seed::2])
            models.append(Fitted(model=model, slope=0.9 + 0.1 * seed, shift=0.2 * seed))
        candidate = Candidate(model=name, params={})
        weight = 1 / len(CATALOG)
        members.append(Member(trial=i, candidate=candidate, weight=weight, models=tuple(models)))
    kinds = {spec["name"]: spec["kind"] for spec in encoder.columns}
    return Champion(
        encoder=encoder,
        members=tuple(members),
        calibration=Platt(slope=0.8, intercept=-0.4),
        threshold=0.5,
        alert_rate=0.01,
        schema=tuple({"name": name, "type": kinds.get(name, "number")} for name in TYPES),
    )


@pytest.fixture(scope="module")
def compact(champion: Champion) -> Compact:
    return Compact(champion, types=TYPES)


def test_the_champion_of_these_tests_has_every_kind_of_column(champion: Champion) -> None:
    assert set(champion.encoder.info.kinds) == {"numeric", "category", "rank", "frequency"}
    assert {one["column"] for one in champion.encoder.dropped} == {"empty", "word"}
    assert len(champion.members) == len(CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_each_model_decides_as_itself(champion: Champion, name: str) -> None:
    frame = read(rows_of(200, np.random.default_rng(1)))
    matrix = champion.matrix(frame)
    matrix[::7, :] = np.nan
    for member in champion.members:
        if member.candidate.model == name:
            for fitted in member.models:
                expected = fitted.model.decision(matrix)
                np.testing.assert_allclose(decide(fitted.model)(matrix), expected, atol=SAME)
                one = decide(fitted.model)(matrix[3:4])
                np.testing.assert_allclose(one, expected[3:4], atol=SAME)


def test_a_model_refuses_a_matrix_of_another_width(champion: Champion) -> None:
    for member in champion.members:
        with pytest.raises(ValueError, match="columns are needed"):
            decide(member.models[0].model)(np.zeros((2, 3), dtype=np.float32))


NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**60), 2**60),
    st.floats(width=64),
    st.floats(-1e6, 1e6),
    st.sampled_from([0, -0.0, 1e31, -1e38, 3.4e38, 3.6e38, 2.0**24 + 1, 1e-40, 0.1, math.inf]),
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["Lyon", "Nice", "Metz", "p1", "p7", "", "NA", "3", "lyon", "x" * 65]),
    st.text(max_size=8),
    st.integers(-5, 5),
)
TIMES = st.one_of(
    st.none(),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(["2024-02-30", "2024-05-01T10:00:00", "03/04/2024", "2024-05-01 10:00:00Z"]),
)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "amount": NUMBERS,
    "count": NUMBERS,
    "serial": NUMBERS | st.floats(3e9, 3e9 + 500),
    "flag": st.one_of(st.none(), st.booleans(), st.sampled_from([0, "true"])),
    "town": TEXTS,
    "product": TEXTS,
    "opened": TIMES,
    "empty": NUMBERS,
    "word": TEXTS,
    "other": st.one_of(TEXTS, NUMBERS, TIMES, st.booleans()),
}


@st.composite
def wild(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of a good table of which some cells, in some rows, are anything; columns may be gone."""
    n_rows = draw(st.integers(1, 4))
    rows = rows_of(n_rows, np.random.default_rng(draw(st.integers(0, 99))))
    for row in rows:
        for name in draw(st.sets(st.sampled_from(sorted(CELLS)), max_size=3)):
            row[name] = draw(CELLS[name])
        for name in draw(st.sets(st.sampled_from(sorted(TYPES)), max_size=1)):
            if draw(st.booleans()):
                row.pop(name, None)
    return rows


@settings(max_examples=120, deadline=None)
@given(rows=wild())
def test_wild_rows_are_predicted_as_by_the_pipeline_or_left_to_it(
    champion: Champion, compact: Compact, rows: list[dict[str, Any]]
) -> None:
    answered = compact.predict(rows)
    if answered is None:
        return
    frame = read(rows)  # what the compact form takes, the reader of everything takes too
    checked = champion.check(frame)
    assert not checked["missing_columns"]
    assert not checked["unreadable"]
    assert not checked["non_finite"]
    probability, report = answered
    np.testing.assert_allclose(probability, champion.predict_proba(frame), rtol=0, atol=SAME)
    assert report == {name: checked[name] for name in report}
    assert list(report["out_of_range"]) == list(checked["out_of_range"])


def test_plain_rows_are_taken(compact: Compact) -> None:
    taken = [compact.predict([row]) for row in rows_of(300, np.random.default_rng(2))]
    assert None not in taken


def test_far_and_unseen_cells_are_taken_and_told(compact: Compact) -> None:
    [row] = rows_of(1, np.random.default_rng(3))
    row |= {"amount": 1e35, "town": "Pau", "product": "none of them", "other": "x"}
    row |= {"opened": "1999-01-01", "count": None}
    answered = compact.predict([row])
    assert answered is not None
    assert answered[1] == {
        "unseen_categories": {"town": 1, "product": 1},
        "out_of_range": {"amount": 1.0, "opened": 1.0},
        "out_of_range_share": 1.0,
        "extra_columns": ["other"],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "12"},
        {"amount": math.nan},
        {"amount": math.inf},
        {"amount": [1]},
        {"amount": True},
        {"flag": 1},
        {"town": 3},
        {"town": "a\0b"},
        {"town": "\ud800"},
        {"opened": "2024-02-30"},
        {"opened": "03/04/2024"},
        {"opened": "2024-05-01T10:00:00+02:00"},
        {"word": 1},
        {"empty": "1"},
        {"other": "03/04/2024"},
        {"other": {"a": 1}},
        {"a\0b": 1},
    ],
)
def test_what_is_not_plain_is_left_to_the_pipeline(
    compact: Compact, change: dict[str, Any]
) -> None:
    [row] = rows_of(1, np.random.default_rng(4))
    assert compact.predict([row]) is not None
    assert compact.predict([row | change]) is None


def test_rows_without_a_column_and_no_rows_are_left_to_the_pipeline(compact: Compact) -> None:
    [row] = rows_of(1, np.random.default_rng(5))
    del row["town"]
    assert compact.predict([row]) is None
    assert compact.predict([]) is None
    with pytest.raises(DataError):
        read([{"town": "a\0b"}])


def test_times_that_follow_a_declared_format_are_left_to_the_pipeline(champion: Champion) -> None:
    [row] = rows_of(1, np.random.default_rng(6))
    for options in (ReadingOptions(date_format="%d/%m/%Y"), ReadingOptions(timezone="Asia/Tokyo")):
        assert Compact(champion, types=TYPES, options=options).predict([row]) is None


def test_declared_texts_are_missing_cells(champion: Champion) -> None:
    options = ReadingOptions(null_values=("", "unknown"))
    [row] = rows_of(1, np.random.default_rng(7))
    told = Compact(champion, types=TYPES, options=options).predict([row | {"town": "unknown"}])
    missing = Compact(champion, types=TYPES).predict([row | {"town": None}])
    assert told is not None
    assert missing is not None
    assert told[0] == missing[0]
