"""One entity per point: which row each is, what it may see, and what is written by hand."""

import numpy as np
import pandas as pd
import pytest

import benchmarks.series_points as series
from automl.relations.tables import Relations


class Made:
    """As much of what is assembled as is looked at."""

    relations: Relations


def points(raw: pd.DataFrame, place: list[int]) -> series.Points:
    return series.Points(
        made=Made(),
        raw=raw,
        y=np.zeros(len(place), dtype=np.int8),
        series=np.zeros(len(place), dtype=np.int64),
        place=np.array(place),
        columns=("x",),
    )


def test_means_by_hand_are_of_the_own_series_and_end_at_the_point():
    raw = pd.DataFrame({"unit": [1] * 30 + [2] * 10, "x": np.arange(40.0)})
    found = series.by_hand(points(raw, [29, 30, 39, 4]), "unit")
    assert found["x"].tolist() == [29, 30, 39, 4]
    assert found["x_mean5"].tolist() == [27, 30, 37, 2]
    assert found["x_mean20"].tolist() == [19.5, 30, 34.5, 2]


def test_rows_of_one_time_share_its_last_rows_entity():
    raw = pd.DataFrame({"unit": [1] * 5, "x": np.arange(5.0)})
    assert series.entities(points(raw, [4, 0, 3])).tolist() == [1, 2, 2, 2, 0]


@pytest.mark.data
def test_each_engines_cycle_sees_its_rows_up_to_itself():
    made = series.load("cmapss_fd001")
    raw = made.raw.iloc[made.place]
    assert (raw["fails_within_10"].to_numpy() == made.y).all()
    assert len(made.y) == 20_631
    spans = made.made.relations.spans("engine")
    assert (spans.end - spans.start == raw["cycle"].to_numpy()).all()
    table = made.made.relations.tables["engine"]
    assert (table.time[spans.end - 1] == raw["cycle"].to_numpy()).all()
    assert "fails_within_10" not in table.columns.column_names
    for train, test in series.by_series(made):
        assert not set(made.series[train]) & set(made.series[test])
