"""Entities made from a series or a log, against loops."""

from __future__ import annotations

import bisect

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.relations.asking import request_relations
from automl.relations.assembling import assemble
from automl.relations.spec import Spec


def spec_of(**windows) -> Spec:
    return Spec.from_json(
        {
            "windows": {"table": "sensors", "label": "odd", **windows},
            "tables": {
                "sensors": {
                    "role": "series",
                    "key": "unit",
                    "time": "t",
                    "time_format": "number",
                },
            },
        }
    )


def by_rows(rows: pd.DataFrame, length: int, step: int, horizon: int) -> list[tuple]:
    """(unit, rows seen, label) of each window, by its definition."""
    found = {}
    for unit, series in rows.groupby("unit"):
        times, odd = series.sort_values("t")["t"].tolist(), series.sort_values("t")["odd"].tolist()
        for last in range(length - 1, len(times), step):
            n_seen = bisect.bisect_right(times, times[last])
            if n_seen + horizon > len(times):
                continue
            about = range(n_seen, n_seen + horizon) if horizon else range(n_seen - length, n_seen)
            at = sorted(range(len(times)), key=lambda one: times[one])
            found[unit, n_seen] = int(any(odd[at[one]] for one in about))
    return sorted((unit, n_seen, label) for (unit, n_seen), label in found.items())


def by_time(rows: pd.DataFrame, length: float, step: float, horizon: float) -> list[tuple]:
    found = []
    for unit, series in rows.groupby("unit"):
        end = series["t"].min() + length
        while end + horizon <= series["t"].max():
            low, high = (end, end + horizon) if horizon else (end - length, end)
            inside = series[(series["t"] >= low) & (series["t"] < high)]
            n_seen = int((series["t"] < end).sum())
            found.append((unit, n_seen, int(inside["odd"].any())))
            end += step
    return sorted(found)


def made_of(made) -> list[tuple]:
    spans = made.relations.spans("sensors")
    n_seen = (spans.end - spans.start).tolist()
    units = made.table["unit"].to_pylist()
    return sorted(zip(units, n_seen, made.target.to_pylist(), strict=True))


def sensors(data, *, unique: bool) -> pd.DataFrame:
    n_rows = data.draw(st.integers(1, 40))
    seed = data.draw(st.integers(0, 2**32))
    chance = np.random.default_rng(seed)
    unit = chance.integers(0, 3, n_rows)
    t = chance.permutation(n_rows) if unique else chance.integers(0, 30, n_rows)
    return pd.DataFrame({"unit": unit, "t": t, "x": chance.normal(size=n_rows)}).assign(
        odd=chance.integers(0, 4, n_rows) == 0
    )


@settings(max_examples=25)
@given(st.data(), st.integers(1, 6), st.integers(1, 4), st.integers(0, 4))
def test_windows_of_rows(data, length, step, horizon):
    rows = sensors(data, unique=True)
    wanted = by_rows(rows, length, step, horizon)
    spec = spec_of(length=length, step=step, horizon=horizon)
    tables = {"sensors": pa.Table.from_pandas(rows, preserve_index=False)}
    if not wanted:
        with pytest.raises(DataError) as caught:
            assemble(spec, tables)
        assert caught.value.code == "no_windows"
        return
    assert made_of(assemble(spec, tables)) == wanted


@settings(max_examples=25)
@given(st.data(), st.integers(1, 9), st.integers(1, 5), st.integers(0, 5))
def test_windows_of_time(data, length, step, horizon):
    rows = sensors(data, unique=False)
    wanted = by_time(rows, length, step, horizon)
    spec = spec_of(length=length, step=step, horizon=horizon, by_time=True)
    tables = {"sensors": pa.Table.from_pandas(rows, preserve_index=False)}
    if wanted:
        assert made_of(assemble(spec, tables)) == wanted


def test_rows_of_one_time_are_on_one_side_of_the_cut_off():
    rows = pa.table({"unit": ["a"] * 4, "t": [0, 1, 1, 2], "odd": [0, 0, 0, 1]})
    made = assemble(spec_of(length=2, step=1, horizon=1), {"sensors": rows})
    assert made_of(made) == [("a", 3, 1)]
    with pytest.raises(DataError) as caught:  # nothing comes after the last time
        assemble(spec_of(length=2, step=1, horizon=1), {"sensors": rows.slice(0, 3)})
    assert caught.value.code == "no_windows"


def test_the_label_is_not_among_what_is_learnt_from():
    rows = pa.table({"unit": ["a"] * 4, "t": [0, 1, 2, 3], "x": [1.0] * 4, "odd": [0, 0, 0, 1]})
    made = assemble(spec_of(length=2, step=1), {"sensors": rows})
    assert made.relations.tables["sensors"].columns.column_names == ["x"]
    assert made.relations.rows.columns.tolist() == []
    assert made.spec.target == "odd"
    assert made.spec.positive == 1
    assert made.relations.about["windows"] == {"table": "sensors", "length": 2, "by_time": False}


def test_windows_of_days_and_a_named_label():
    days = pd.date_range("2020-01-01", periods=10, freq="D", tz="UTC")
    rows = pa.table({"t": days, "x": range(10), "state": ["ok"] * 7 + ["bad", None, "ok"]})
    spec = Spec.from_json(
        {
            "positive": "bad",
            "windows": {
                "table": "log",
                "length": 3,
                "step": 2,
                "horizon": 2,
                "by_time": True,
                "label": "state",
            },
            "tables": {"log": {"role": "log", "time": "t", "message": "x"}},
        }
    )
    made = assemble(spec, {"log": rows})
    spans = made.relations.spans("log")
    order = np.argsort(made.relations.cut_off)
    assert (spans.end - spans.start)[order].tolist() == [3, 5, 7]
    assert np.array(made.target.to_pylist())[order].tolist() == [0, 0, 1]


def test_sessions_of_a_log_and_a_table_about_them():
    log = pa.table(
        {
            "block": ["a", "b", "a", None, "c", "b"],
            "line": ["x", "y", "z", "x", "x", "failed"],
            "bad": [0, 0, 0, 1, 0, 1],
        }
    )
    spec = Spec.from_json(
        {
            "windows": {"table": "log", "sessions": "block", "label": "bad"},
            "tables": {
                "log": {
                    "role": "log",
                    "key": "block",
                    "time_format": "order",
                    "message": "line",
                },
                "about": {"role": "static", "key": "block", "to": "log"},
            },
        }
    )
    about = pa.table({"block": ["b", "a"], "size": [2, 1]})
    made = assemble(spec, {"log": log, "about": about})
    spans, events = made.relations.spans("log"), made.relations.tables["log"]
    found = {
        name: (events.columns["line"].to_pylist()[start:end], label, size)
        for name, start, end, label, size in zip(
            made.table["block"].to_pylist(),
            spans.start,
            spans.end,
            made.target.to_pylist(),
            made.table["about.size"].to_pylist(),
            strict=True,
        )
    }
    assert found == {
        "a": (["x", "z"], 0, 1),
        "b": (["y", "failed"], 1, 2),
        "c": (["x"], 0, None),
    }


def test_windows_of_a_request_are_told_by_its_rows():
    rows = pa.table({"unit": ["a"] * 4, "t": [0, 1, 2, 3], "x": [1.0] * 4, "odd": [0, 0, 0, 1]})
    made = assemble(spec_of(length=2, step=1), {"sensors": rows})
    asked = pa.table({"unit": ["a", "b", "a"], "cut_off": [2.5, 9.0, 1.0]})
    relations = request_relations(made.spec, asked, {"sensors": rows}, about=made.relations.about)
    spans = relations.spans("sensors")
    assert (spans.end - spans.start).tolist() == [3, 0, 1]


@pytest.mark.data
def test_nab_has_windows_in_seconds(shared_data):
    spec = Spec.from_json(
        {
            "windows": {"table": "nab", "length": 48, "step": 12, "horizon": 6, "label": "odd"},
            "tables": {"nab": {"role": "series", "key": "series", "time": "timestamp"}},
        }
    )
    rows = pd.read_parquet(shared_data / "nab" / "nab.parquet")
    rows = rows.rename(columns={"anomaly_window": "odd"}).drop(columns="anomaly_point")
    made = assemble(spec, {"nab": pa.Table.from_pandas(rows, preserve_index=False)})
    assert made.report["n_entities"] == 58
    spans = made.relations.spans("nab")
    names, labels = made.table["series"].to_pylist(), made.target.to_pylist()
    series = {name: one.sort_values("timestamp") for name, one in rows.groupby("series")}
    for at in range(0, len(names), 997):
        of = series[names[at]]
        ended = pd.Timestamp(made.relations.cut_off[at], unit="s")
        seen = int((of["timestamp"] < ended).sum())
        assert spans.end[at] - spans.start[at] == seen
        assert labels[at] == int(of["odd"].iloc[seen : seen + 6].any())
