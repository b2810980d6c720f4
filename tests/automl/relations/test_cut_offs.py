"""Cut-offs from a column, a moment, or an entity's first event."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from automl.errors import DataError
from automl.relations.asking import request_relations
from automl.relations.assembling import assemble
from automl.relations.spec import Spec

DAY = 86_400.0
ROWS = pa.table({"id": [1, 2, 3], "day": ["2024-01-01", "2024-02-01", "2024-03-01"]})
LOG = pa.table({"id": [2, 1, 1], "at": ["2024-01-15", "2024-01-02", "2023-12-01"], "n": [7, 3, 5]})


def spec_of(cut_off, **log) -> Spec:
    about = {"role": "events", "key": "id", "to": "rows", "time": "at", **log}
    return Spec.from_json(
        {
            "key": "id",
            "cut_off": cut_off,
            "tables": {"rows": {"role": "entities"}, "log": about},
        }
    )


def made_of(cut_off, **log):
    return assemble(spec_of(cut_off, **log), {"rows": ROWS, "log": LOG})


def by_id(made, values) -> list:
    return [value for _, value in sorted(zip(made.table["id"].to_pylist(), values, strict=True))]


def seen(made) -> list[int]:
    spans = made.relations.spans("log")
    return by_id(made, (spans.end - spans.start).tolist())


def stamp(*day: int) -> float:
    return datetime(day[0], day[1], day[2], tzinfo=UTC).timestamp()


def test_a_column_says_when():
    made = made_of({"column": "day"})
    assert by_id(made, made.relations.cut_off) == [
        stamp(2024, 1, 1),
        stamp(2024, 2, 1),
        stamp(2024, 3, 1),
    ]
    assert seen(made) == [1, 1, 0]
    assert "day" not in made.relations.rows
    assert made.roles["cut_off"] == ("day",)
    assert seen(made_of({"column": "day", "gap": 17})) == [1, 0, 0]
    assert seen(made_of({"column": "day", "gap": 16.5})) == [1, 1, 0]


def test_a_moment_is_for_all():
    made = made_of({"now": "2024-01-10T12:00:00Z"})
    assert seen(made) == [2, 0, 0]
    assert set(made.relations.cut_off) == {stamp(2024, 1, 10) + DAY / 2}


def test_a_request_is_of_its_own_moment():
    made = made_of({"now": "2024-01-10T12:00:00Z"})
    asked = pa.table({"id": [2]})
    for now, n_seen in ((None, 0), (datetime(2024, 2, 1, tzinfo=UTC), 1)):
        found = request_relations(
            made.spec, asked, {"log": LOG}, about=made.relations.about, now=now
        )
        spans = found.spans("log")
        assert (spans.end - spans.start).tolist() == [n_seen]


def test_so_many_days_after_the_first_event():
    made = made_of({"after_first": 32, "table": "log"})
    assert by_id(made, made.relations.cut_off) == [
        stamp(2023, 12, 1) + 32 * DAY,
        stamp(2024, 1, 15) + 32 * DAY,
        -np.inf,
    ]
    assert seen(made) == [1, 1, 0]
    assert [one["code"] for one in made.report["warnings"]] == ["no_first_event"]


def test_so_many_units_after_the_first_event():
    made = made_of({"after_first": 2, "table": "log"}, time="n", time_format="month_number")
    assert by_id(made, made.relations.cut_off) == [5.0, 9.0, -np.inf]
    assert seen(made) == [1, 1, 0]


def test_without_a_cut_off_everything_is_known_and_that_is_told():
    made = made_of({})
    assert seen(made) == [2, 1, 0]
    assert [one["code"] for one in made.report["warnings"]] == ["no_cut_off"]


@pytest.mark.parametrize(
    ("cut_off", "log", "column"),
    [
        ({"column": "when"}, {}, "when"),
        ({"column": "id", "time_format": "yymmdd"}, {}, "id"),
        ({"column": "day", "time_format": "yymmdd"}, {}, "day"),
        ({"now": "tomorrow"}, {}, None),
        ({"now": 7}, {}, "at"),
        ({"column": "day"}, {"time": "n", "time_format": "number"}, "n"),
        ({"after_first": 3, "table": "rows"}, {}, None),
    ],
)
def test_a_cut_off_that_cannot_be_meant(cut_off, log, column):
    with pytest.raises(DataError) as caught:
        made_of(cut_off, **log)
    assert caught.value.code == "cut_off"
    assert caught.value.column == column


def test_a_row_without_a_cut_off_is_refused():
    days = pa.array(["2024-01-01", None, "2024-03-01"])
    with pytest.raises(DataError) as caught:
        assemble(spec_of({"column": "day"}), {"rows": ROWS.set_column(1, "day", days), "log": LOG})
    assert (caught.value.code, caught.value.row) == ("cut_off", 2)


@pytest.mark.parametrize(
    ("cut_off", "field"),
    [
        ({"column": "day", "now": "2024-01-01"}, "cut_off"),
        ({"column": "day", "after_first": 7, "table": "log"}, "cut_off"),
        ({"after_first": 7}, "cut_off.table"),
        ({"after_first": 7, "table": "logs"}, "cut_off.table"),
    ],
)
def test_a_cut_off_that_is_told_twice_or_by_half_is_refused(cut_off, field):
    with pytest.raises(DataError) as refused:
        spec_of(cut_off)
    assert (refused.value.code, refused.value.details["field"]) == ("bad_spec", field)
