"""What is wrong between tables is refused with counts, and less of it is told."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from automl.errors import DataError
from automl.relations.assembling import assemble
from automl.relations.audit import n_unseen
from automl.relations.spec import Spec


def people(**changes) -> Spec:
    log = {"role": "events", "key": "id", "to": "people", "time": "at", **changes}
    return Spec.from_json(
        {
            "key": "id",
            "cut_off": {"column": "day"},
            "tables": {"people": {"role": "entities"}, "log": log},
        }
    )


def rows_of(n_rows: int, **columns) -> pa.Table:
    day = np.datetime64("2024-01-01T00:00:00", "us")
    return pa.table({"id": np.arange(n_rows), "day": np.full(n_rows, day), **columns})


def log_of(ids, *, day: str = "2023-06-01") -> pa.Table:
    times = pa.array([day] * len(ids))
    return pa.table({"id": ids, "at": times, "x": np.arange(len(ids))})


def refused(spec: Spec, tables, **settings) -> DataError:
    with pytest.raises(DataError) as caught:
        assemble(spec, tables, **settings)
    return caught.value


def test_more_than_a_few_orphans_are_refused_and_a_few_are_told():
    tables = {"people": rows_of(100), "log": log_of(np.arange(106))}
    error = refused(people(), tables)
    assert (error.code, error.table, error.column) == ("orphan_events", "log", "id")
    assert error.details == {"n_orphans": 6, "n_rows": 106}
    for spec, n_rows in ((people(), 105), (people(orphans="drop"), 300)):
        made = assemble(spec, {"people": rows_of(100), "log": log_of(np.arange(n_rows))})
        assert made.relations.tables["log"].n_rows == 100
        assert made.report["tables"]["log"]["orphans"] == n_rows - 100
        assert [one["code"] for one in made.report["warnings"]] == ["orphan_events"]


def test_an_entity_without_events_is_fine():
    made = assemble(people(), {"people": rows_of(100), "log": log_of([3, 3])})
    spans = made.relations.spans("log")
    assert sorted((spans.end - spans.start).tolist()) == [0] * 99 + [2]
    assert made.report["warnings"] == []


def test_events_of_the_future_are_refused_and_a_few_are_told():
    now = datetime(2025, 1, 1, tzinfo=UTC)
    late = pa.concat_tables([log_of([1] * 98), log_of([1] * 2, day="2025-01-01")])
    tables = {"people": rows_of(2), "log": late}
    error = refused(people(), tables, now=now)
    assert (error.code, error.table, error.column) == ("future_events", "log", "at")
    assert error.details == {"n_future": 2, "n_rows": 100}
    tables["log"] = late.slice(0, 99).take([*range(99), *range(5)])
    made = assemble(people(), tables, now=now)
    assert [one["code"] for one in made.report["warnings"]] == ["future_events"]
    assert n_unseen(made.relations, "log") == 1
    assert made.report["tables"]["log"]["future"] == 1
    with pytest.raises(ValueError, match="time zone"):
        assemble(people(), tables, now=datetime(2025, 1, 1))  # noqa: DTZ001


def test_an_entity_comes_once_for_each_cut_off():
    rows = pa.concat_tables([rows_of(5), rows_of(2)])
    error = refused(people(), {"people": rows, "log": log_of([1])})
    assert (error.code, error.table, error.column, error.row) == (
        "duplicate_entity",
        "people",
        "id",
        6,
    )
    days = pa.array(np.datetime64("2024-01-01", "us") + np.arange(7).astype("m8[D]"))
    rows = rows.set_column(1, "day", days)
    made = assemble(people(), {"people": rows, "log": log_of([1])})
    assert made.report["n_entities"] == 5
    assert (np.diff(made.key) >= 0).all()
    again = np.flatnonzero(np.diff(made.key) == 0)
    assert (made.relations.cut_off[again] < made.relations.cut_off[again + 1]).all()


def test_a_row_is_told_by_its_place_in_the_file():
    rows = pa.concat_tables([rows_of(30), rows_of(30).slice(17, 1), rows_of(30).slice(3, 1)])
    error = refused(people(), {"people": rows, "log": log_of([1])})
    assert (error.code, error.row) == ("duplicate_entity", 31)
    ids = pa.array([None if at in (11, 23) else at for at in range(30)])
    rows = rows_of(30).set_column(0, "id", ids)
    error = refused(people(), {"people": rows, "log": log_of([1])})
    assert (error.code, error.row) == ("missing_key", 12)


def test_an_entity_has_a_key():
    rows = rows_of(3).set_column(0, "id", pa.array([1, None, 3]))
    error = refused(people(), {"people": rows, "log": log_of([1])})
    assert (error.code, error.column, error.row) == ("missing_key", "id", 2)


def test_keys_of_other_types_are_refused_by_name():
    error = refused(people(), {"people": rows_of(3), "log": log_of(["001", "002"])})
    assert error.code == "key_type_mismatch"
    assert error.details == {"columns": ["log.id", "people.id"]}


def test_times_in_another_format_are_refused_and_missing_ones_are_told():
    log = log_of(np.zeros(100, dtype=int))
    some = log.set_column(1, "at", pa.array(["1.2.24 10h"] * 6 + ["2023-01-01"] * 94))
    error = refused(people(), {"people": rows_of(3), "log": some})
    assert (error.code, error.table, error.column, error.row) == ("time_format", "log", "at", 1)
    none = log.set_column(1, "at", pa.array([None] * 40 + ["x"] + ["2023-01-01"] * 59))
    made = assemble(people(), {"people": rows_of(3), "log": none})
    assert [one["code"] for one in made.report["warnings"]] == ["events_without_time"]
    assert made.report["tables"]["log"]["without_time"] == 40
    assert made.report["tables"]["log"]["unreadable"] == 1
    assert made.relations.tables["log"].n_rows == 59


def test_columns_and_tables_that_are_not_there_are_named():
    tables = {"people": rows_of(3), "log": log_of([1])}
    for spec, column, table in (
        (people(key="who", to="people.id"), "who", "log"),
        (people(time="when"), "when", "log"),
        (people(where={"kind": "a"}), "kind", "log"),
        (people(to="people.who"), "who", "people"),
    ):
        error = refused(spec, tables)
        assert (error.code, error.table, error.column) == ("column_not_found", table, column)
    assert refused(people(), {"people": rows_of(3)}).code == "missing_table"
    assert refused(people(), tables, target="bad").column == "bad"


def test_an_exclusion_that_excludes_nothing_is_told():
    spec = people(exclude=["x", "X"])
    made = assemble(spec, {"people": rows_of(3), "log": log_of([1])})
    assert made.relations.tables["log"].columns.column_names == []
    assert [(one["code"], one["column"]) for one in made.report["warnings"]] == [
        ("unknown_column", "X")
    ]
    assert refused(people(role="log", message="text"), {"people": rows_of(3), "log": log_of([1])})


def test_no_value_of_a_cell_is_in_an_error():
    secret = "4711-Meier"
    for tables in (
        {"people": rows_of(3), "log": log_of([secret])},
        {"people": rows_of(3), "log": log_of([1], day=secret)},
        {"people": rows_of(3, day=pa.array([secret] * 3)), "log": log_of([1])},
    ):
        error = refused(people(), tables)
        assert secret not in f"{error} {error.details}"
