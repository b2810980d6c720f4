"""What is known at a cut-off, against its definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.relations.tables import SECONDS_PER_DAY, EventTable, Relations, first_at

times = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([-np.inf, 0.5, 1e9]))
bounds = st.one_of(times, st.sampled_from([np.inf, np.nan]))
events = st.lists(st.tuples(st.integers(0, 3), times), max_size=25)


def related(events, entities, *, gap=0.0, dated=False) -> Relations:
    subject = np.array([one for one, _ in sorted(events)], dtype=np.int64)
    time = np.array([one for _, one in sorted(events)], dtype=np.float64)
    table = EventTable(
        name="log",
        role="events",
        subject=subject,
        time=time,
        columns=pa.table({"at": np.arange(len(time))}),
        dated=dated,
    )
    return Relations(
        rows=pd.DataFrame(index=range(len(entities))),
        subjects={"log": np.array([one for one, _ in entities], dtype=np.int64)},
        cut_off=np.array([one for _, one in entities], dtype=np.float64),
        tables={"log": table},
        gap=gap,
    )


@settings(max_examples=150)
@given(
    events,
    st.lists(st.tuples(st.integers(-1, 4), bounds), min_size=1, max_size=9),
    st.sampled_from([0.0, 1.0, 0.25]),
    st.booleans(),
)
def test_a_row_sees_its_own_events_before_its_cut_off_and_no_others(events, rows, gap, dated):
    relations = related(events, rows, gap=gap, dated=dated)
    spans, table = relations.spans("log"), relations.tables["log"]
    for at, (subject, cut_off) in enumerate(rows):
        before = cut_off - gap * (SECONDS_PER_DAY if dated else 1.0)
        own = (table.subject == subject) & (table.time < before)
        assert np.flatnonzero(own).tolist() == list(range(spans.start[at], spans.end[at]))
    some = relations.take(np.arange(len(rows))[::-2].copy()).spans("log")
    assert some.start.tolist() == spans.start[::-2].tolist()
    assert some.end.tolist() == spans.end[::-2].tolist()


@settings(max_examples=60)
@given(events, st.lists(st.tuples(st.integers(0, 3), times), min_size=1, max_size=9))
def test_windows_are_within_what_is_seen(events, rows):
    relations = related(events, rows)
    spans, table = relations.spans("log"), relations.tables["log"]
    since, last = spans.since(table, 2.0), spans.last(3)
    for at, (_, cut_off) in enumerate(rows):
        seen = range(spans.start[at], spans.end[at])
        inside = [one for one in seen if table.time[one] >= cut_off - 2.0]
        assert list(range(since.start[at], since.end[at])) == inside
        assert list(range(last.start[at], last.end[at])) == list(seen)[-3:]


@pytest.mark.parametrize("bound", [2.0, np.nextafter(2.0, 3.0), -np.inf, np.inf])
def test_a_value_at_the_bound_is_not_below_it(bound):
    values = np.array([1.0, 2.0, 2.0, 3.0])
    found = first_at(values, np.array([0]), np.array([4]), np.array([bound]))
    assert found.tolist() == [int((values < bound).sum())]
