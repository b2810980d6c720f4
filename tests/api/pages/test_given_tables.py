"""Predicting by hand with a model of several tables: files or JSON by table, faults beside them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.cookie import COOKIE
from api.pages.given_tables import rows_of
from tests.api.parts import Site
from tests.api.trained_bank import bank_site

OWN = {"Sec-Fetch-Site": "same-origin"}
CUSTOMER = {"customer_id": "C1", "cut_off": "2024-06-30"}
BALANCES = "customer_id,month_end,balance,inflow\nC1,2024-04-30,210.5,9\nC1,2024-05-31,,8\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1}, {"a": }]', "no JSON: Expecting value at line 1, character 18"),
        ('{"a": 1}\n{"a": 12', "line 2, character"),
        ("[1]", "give a list of rows"),
        ("a,b\n1,2\n1\n", "line 3 has 1 cells, the first has 2"),
        ('a,b\n"4971 1234,2\n', "never closed"),
        ("hello", "neither JSON nor CSV"),
    ],
)
def test_what_is_no_table_says_where_and_repeats_no_cell(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        rows_of(text, types={"a": "number"}, is_log=False)
    assert "4971" not in str(caught.value)


def test_cells_of_csv_are_as_their_columns_have_them() -> None:
    types = {"id": "string", "n": "number", "yes": "boolean"}
    (row,) = rows_of("id;n;yes;other;day\n12;7;true;007;2024-01-01\n", types=types, is_log=False)
    assert row == {"id": "12", "n": 7, "yes": True, "other": "007", "day": "2024-01-01"}
    (one,) = rows_of("a,b\n007,1.5\n", types={}, is_log=False)
    assert one == {"a": "007", "b": 1.5}
    lines = "[10:00] C1 called\n[11:00] C1 wrote"
    assert rows_of(lines, types={}, is_log=True) == {"log": lines}
    assert rows_of('[{"a": 1}]', types={}, is_log=True) == [{"a": 1}]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from bank_site(tmp_path_factory.mktemp("given"))


def post(site: Site, **data: Any) -> Any:
    headers = {"Cookie": f"{COOKIE}={site.secret}", **OWN}
    client = site.app.test_client(use_cookies=False)
    return client.post("/ui/models/bank/row", headers=headers, data=data)


def page(site: Site) -> str:
    headers = {"Cookie": f"{COOKIE}={site.secret}", **OWN}
    return str(
        site.app.test_client(use_cookies=False).get("/ui/models/bank/row", headers=headers).text
    )


def fields(text: str) -> dict[str, str]:
    """The id of each table's field, by the table."""
    return {
        name: text.partition(f">Rows of {name}<")[0].rpartition('<label for="')[2].partition('"')[0]
        for name in ("customers", "balances", "contacts")
    }


def customer(site: Site, **changes: Any) -> dict[str, Any]:
    """The row that the page offers to fill in, filled in."""
    text = page(site).partition('<textarea id="rows"')[2].partition(">")[2].partition("<")[0]
    (row,) = json.loads(text.replace("&#34;", '"'))
    return {**row, **CUSTOMER, **changes}


@pytest.mark.slow
def test_events_come_as_files_or_typed_and_change_the_prediction(bank: Site) -> None:
    ids = fields(page(bank))
    assert ids["customers"] == "rows"
    rows = json.dumps([customer(bank), customer(bank, customer_id="C2")])
    bare = post(bank, rows=rows)
    assert bare.status_code == 200, bare.text
    assert "The prediction" in bare.text
    assert "2 rows, in their order" in bare.text
    both = post(
        bank,
        rows=rows,
        **{
            f"{ids['balances']}-file": (io.BytesIO(BALANCES.encode()), "b.csv"),
            ids["contacts"]: "2024-06-02T10:00:00Z C1 phone customer asks to postpone instalment",
        },
    )
    assert both.status_code == 200, both.text
    assert "balances 2 rows" in both.text
    assert "contacts 1 row" in both.text
    asked = {
        "rows": json.loads(rows),
        "tables": {
            "balances": [
                {"customer_id": "C1", "month_end": "2024-04-30", "balance": 210.5, "inflow": 9},
                {"customer_id": "C1", "month_end": "2024-05-31", "balance": None, "inflow": 8},
            ],
            "contacts": {
                "log": "2024-06-02T10:00:00Z C1 phone customer asks to postpone instalment"
            },
        },
    }
    answer = bank.post("/v1/models/bank/predict", json=asked)
    assert answer.status_code == 200, answer.text
    shown = f"{100 * answer.json['predictions'][0]['probability']:.2f} %"
    assert shown in both.text


@pytest.mark.slow
def test_each_fault_stands_beside_the_field_of_its_table(bank: Site) -> None:
    ids = fields(page(bank))
    rows = json.dumps([customer(bank)])

    def fault(text: str, name: str) -> bool:
        return f'id="fault-{ids[name]}"' in text

    answer = post(bank, rows=rows, **{ids["balances"]: "[{"})
    assert (answer.status_code, fault(answer.text, "balances")) == (422, True)
    assert "C1" in answer.text  # what was typed is still there
    answer = post(bank, rows="[]")
    assert (answer.status_code, fault(answer.text, "customers")) == (422, True)
    # What the API finds: a table without a column that the model reads of it, or a wrong type.
    answer = post(bank, rows=rows, **{ids["balances"]: '[{"customer_id": "C1"}]'})
    assert (answer.status_code, fault(answer.text, "balances")) == (422, True), answer.text
    answer = post(bank, rows="[{}]")
    assert (answer.status_code, fault(answer.text, "customers")) == (422, True), answer.text
    binary = {f"{ids['balances']}-file": (io.BytesIO(b"PAR1\xff\xfe\x00"), "b.parquet")}
    answer = post(bank, rows=rows, **binary)
    assert (answer.status_code, fault(answer.text, "balances")) == (422, True)
    assert "no text in UTF-8" in answer.text
