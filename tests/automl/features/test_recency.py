from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.features.recency import FittedRecency, Recency
from automl.features.windows import Window
from tests.automl.features.making import compare, event_table, random_relations, relations, visible

DAY = 86_400.0


def truth(made, row, windows):
    events = visible(made, row)
    time, cut_off = events["time"].to_numpy(), made.cut_off[row] - made.gap * DAY
    gaps = np.diff(time) / DAY
    some, several = len(time) > 0, len(gaps) > 0
    mean = gaps.mean() if several else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "since_last": (cut_off - time[-1]) / DAY if some else np.nan,
            "since_first": (cut_off - time[0]) / DAY if some else np.nan,
            "span": (time[-1] - time[0]) / DAY if some else np.nan,
            "gap_mean": mean,
            "gap_std": gaps.std() if several else np.nan,
            "gap_max": gaps.max() if several else np.nan,
            "gap_last": gaps[-1] if several else np.nan,
            "gap_last_to_mean": gaps[-1] / mean if several and mean > 0 else np.nan,
            "silence_to_gap": (
                (cut_off - time[-1]) / DAY / mean if several and mean > 0 else np.nan
            ),
        }
    for window in windows:
        inside = visible(made, row, window)
        found[f"count.{window.name}"] = len(inside)
        found[f"days.{window.name}"] = (inside["time"] // DAY).nunique()
        found[f"share.{window.name}"] = len(inside) / len(events) if some else np.nan
    return {f"trans.{name}": value for name, value in found.items()}


@pytest.mark.parametrize("gap", [0.0, 2.5])
def test_counts_and_times_are_those_of_a_plain_loop(gap):
    made = random_relations(n_rows=80)
    made = relations(
        made.tables["trans"], subjects=made.subjects["trans"], cut_off=made.cut_off, gap=gap
    )
    table, spans = made.tables["trans"], made.spans("trans")
    group = Recency().fit(table, spans, seed=0)
    assert len(group.windows) > 1
    found = pd.DataFrame(dict(zip(group.columns, group.transform(table, spans), strict=True)))
    compare(found, [truth(made, row, group.windows) for row in range(made.n_rows)])
    assert (found["trans.count.all"] == 0).any()
    assert (found["trans.count.all"] == 1).any()


def test_without_a_cut_off_there_is_no_time_since_and_windows_count_rows():
    table = event_table(subject=[0] * 90 + [1] * 30, time=range(120), columns={}, dated=False)
    made = relations(table, subjects=[0, 1, 2], cut_off=[np.inf] * 3)
    group = Recency().fit(table, made.spans("trans"), seed=0)
    assert [window.name for window in group.windows[1:]] == ["20rows", "5rows", "2rows"]
    found = dict(zip(group.columns, group.transform(table, made.spans("trans")), strict=True))
    assert found["trans.count.20rows"].tolist() == [20, 20, 0]
    assert np.isnan(found["trans.since_last"]).all()
    np.testing.assert_array_equal(found["trans.span"], [89, 29, np.nan])


def test_some_columns_of_a_group_and_its_json():
    made = random_relations()
    group = Recency().fit(made.tables["trans"], made.spans("trans"), seed=0)
    some = group.only(["trans.since_last", "trans.count.all"])
    assert list(some.columns) == ["trans.count.all", "trans.since_last"]
    assert FittedRecency.from_json(some.to_json()) == some
    assert Window.from_json(Window(name="3rows", rows=3).to_json()) == Window(name="3rows", rows=3)
