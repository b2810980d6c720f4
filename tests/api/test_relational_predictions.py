"""A model of three tables is asked with rows and their events: order, counts, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.parts import Site
from tests.api.relations import (
    around,
)
from tests.api.trained_bank import (
    bank_site,
    champion_of,
    predicted,
    probabilities,
    some_customers,
)

pytestmark = pytest.mark.slow  # trains a model


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a data set `bank` and a model `bank` from a job that ran to its end."""
    yield from bank_site(tmp_path_factory.mktemp("relational"))


def test_answers_come_in_the_order_of_the_rows_however_many_there_are(site: Site) -> None:
    ids = some_customers()
    together = probabilities(predicted(site, around(ids)))
    backwards = probabilities(predicted(site, around(ids[::-1])))
    alone = [probabilities(predicted(site, around([one])))[0] for one in ids]
    assert together == pytest.approx(backwards[::-1], rel=1e-6)
    assert together == pytest.approx(alone, rel=1e-6)


def test_lines_of_the_log_are_as_good_as_its_rows(site: Site) -> None:
    ids = some_customers(20)
    rows, lines = around(ids), around(ids, raw_log=True)
    assert lines["tables"]["contacts"]["log"]
    assert probabilities(predicted(site, rows)) == probabilities(predicted(site, lines))


def test_what_is_at_or_after_the_cut_off_changes_nothing_and_is_counted(site: Site) -> None:
    ids = some_customers()
    body = around(ids)
    before = predicted(site, body)
    n_last = before["report"]["tables"]["balances"]["at_or_after_cut_off"]
    assert n_last == len(ids), "the month ends on the cut-off"
    later = [
        {"customer_id": one, "month_end": "2024-07-31T00:00:00Z", "balance": -1e6, "inflow": 0.0}
        for one in ids
    ]
    body["tables"]["balances"] += later
    after = predicted(site, body)
    assert probabilities(after) == probabilities(before)
    assert after["report"]["tables"]["balances"]["at_or_after_cut_off"] == 2 * len(ids)


def test_a_table_that_is_left_out_has_no_rows_and_is_told(site: Site) -> None:
    body = around(some_customers())
    del body["tables"]["contacts"]
    found = predicted(site, body)
    assert found["report"]["tables"]["contacts"]["missing"]
    body["tables"]["contacts"] = []
    assert probabilities(predicted(site, body)) == probabilities(found)


def test_rows_of_nobody_are_not_used_and_counted(site: Site) -> None:
    ids = some_customers()
    body = around(ids)
    before = probabilities(predicted(site, body))
    body["tables"]["contacts"].append({**body["tables"]["contacts"][0], "key": "C9999999"})
    found = predicted(site, body)
    assert probabilities(found) == before
    assert found["report"]["tables"]["contacts"]["not_used"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tables": {"cards": []}}, "unknown_table"),
        ({"tables": {"balances": {"log": "x"}}}, "not_a_log"),
        ({"tables": []}, "jsonl"),
        ({"now": "soon"}, "cut_off"),
        ({"rows": [{"age_band": "18-24"}]}, "missing_columns"),
    ],
)
def test_what_cannot_be_meant_is_refused(site: Site, change: dict[str, Any], code: str) -> None:
    body = around(some_customers(1)) | change
    assert predicted(site, body, status=422)["code"] == code


def test_event_rows_without_what_was_learnt_from_are_refused(site: Site) -> None:
    """A column that no row has would be taken for unknown, and nobody told; null says so."""
    tables = champion_of(site).tables
    assert tables is not None
    column = tables.reads()["balances"][0]
    body = around(some_customers())
    for row in body["tables"]["balances"]:
        row[column] = None
    predicted(site, body)
    for row in body["tables"]["balances"]:
        del row[column]
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == (
        "missing_columns",
        "balances",
        column,
    )
    body = around(some_customers())
    for row in body["rows"]:
        del row["customer_id"]
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == (
        "missing_columns",
        "customers",
        "customer_id",
    )


def codes(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["code"], one["table"]) for one in answer["report"]["warnings"]]


def test_events_of_nobody_are_warned_of_with_their_count(site: Site) -> None:
    body = around(some_customers())
    assert codes(predicted(site, body)) == []
    for row in body["tables"]["contacts"]:
        row["key"] = f"X{row['key']}"
    found = predicted(site, body)
    assert codes(found) == [("orphan_events", "contacts")]
    n = len(body["tables"]["contacts"])
    assert f"{n:,} of {n:,}" in found["report"]["warnings"][0]["detail"]
    assert found["report"]["tables"]["contacts"]["no_entity"] == n


def test_keys_of_another_type_that_match_nobody_are_refused(site: Site) -> None:
    body = around(some_customers())
    for number, row in enumerate(body["tables"]["balances"]):
        row["customer_id"] = number
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == (
        "key_type_mismatch",
        "balances",
        "customer_id",
    )
    assert "upload" not in found["detail"]
    assert "declare" not in found["detail"]


def test_a_cut_off_before_all_events_is_warned_of(site: Site) -> None:
    body = around(some_customers())
    for row in body["rows"][:3]:
        row["cut_off"] = "1999-01-01T00:00:00.000"
    found = predicted(site, body)
    assert codes(found)[0] == ("nothing_before_cut_off", "balances")
    assert "3 of 7 rows" in found["report"]["warnings"][0]["detail"]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("balances", "balance", "much"),
        ("balances", "month_end", "03/04/2024"),
        ("contacts", "time", "yesterday"),
        ("customers", "cut_off", "02/03/2024"),
        ("customers", "monthly_income", "long"),
    ],
)
def test_what_is_wrong_with_rows_is_told_without_advice_for_uploads(
    site: Site, table: str, column: str, value: str
) -> None:
    body = around(some_customers(30))
    rows = body["rows"] if table == "customers" else body["tables"][table]
    for row in rows:
        row[column] = value
    found = predicted(site, body, status=422)
    said = json.dumps(found)
    assert not [word for word in ("declare", "upload", "null_values", value) if word in said], said


def test_a_number_that_is_none_names_its_table_and_not_its_value(site: Site) -> None:
    body = around(some_customers(1))
    body["tables"]["balances"][0]["balance"] = "much"
    found = predicted(site, body, status=422)
    assert (found["code"], found["table"], found["column"]) == ("wrong_type", "balances", "balance")
    assert "much" not in json.dumps(found)
