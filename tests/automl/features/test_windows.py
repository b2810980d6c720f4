from __future__ import annotations

import numpy as np
import pytest

from automl.features.windows import choose_windows, most_seen
from tests.automl.features.making import event_table, relations

DAY = 86_400.0


def _regular(n_subjects, n_events, every, **about):
    """Each subject has an event `every` so many units, and its cut-off one after the last."""
    table = event_table(
        subject=np.repeat(np.arange(n_subjects), n_events),
        time=np.tile(np.arange(n_events) * every, n_subjects),
        columns={},
        **about,
    )
    return relations(table, subjects=range(n_subjects), cut_off=[n_events * every] * n_subjects)


def _names(made):
    return [w.name for w in choose_windows(made.tables["trans"], made.spans("trans"))]


@pytest.mark.parametrize(
    ("n_events", "every", "names"),
    [
        (365, DAY, ["all", "90d", "30d", "14d"]),
        (36, 10 * DAY, ["all", "90d", "30d"]),
        (288, 300.0, ["all", "6h", "2h", "1h"]),
        (5, DAY, ["all", "2d"]),
        (1, DAY, ["all"]),
    ],
)
def test_windows_are_shares_of_the_history_in_units_people_use(n_events, every, names):
    assert _names(_regular(5, n_events, every)) == names


def test_times_that_are_no_dates_have_units_without_a_name():
    assert _names(_regular(5, 200, 1.0, dated=False)) == ["all", "50units", "20units", "5units"]
    small = _regular(5, 200, 0.001, dated=False)
    assert all("." not in name for name in _names(small))


def test_many_rows_of_one_series_see_its_last_rows_only():
    n = 20_000
    table = event_table(subject=[0] * n, time=np.arange(n) * 300.0, columns={})
    made = relations(table, subjects=[0] * n, cut_off=np.arange(n) * 300.0)
    windows = choose_windows(table, made.spans("trans"))
    assert windows[0].name == "500rows"
    assert len(windows) > 1
    spans = made.spans("trans")
    assert (spans.end - windows[0].start(table, spans)).max() == 500
    assert most_seen(spans).max() == 500


def test_no_events_and_no_cut_off():
    empty = event_table(subject=[], time=[], columns={})
    assert _names(relations(empty, subjects=[0, 1], cut_off=[DAY] * 2)) == ["all"]
    timeless = event_table(subject=[0, 0], time=[0.0, 0.0], columns={}, role="static")
    assert _names(relations(timeless, subjects=[0], cut_off=[np.inf])) == ["all"]


def test_a_window_begins_with_the_first_event_inside_it():
    made = _regular(3, 10, DAY)
    spans = made.spans("trans")
    (_, window) = choose_windows(made.tables["trans"], spans)[:2]
    assert window.name == "3d"
    assert (spans.end - window.start(made.tables["trans"], spans)).tolist() == [3, 3, 3]
