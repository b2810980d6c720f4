"""Proposals over HTTP of what tables are to each other, of copies and of files in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.parts import Site, build
from tests.api.registered import EVENTS, N, ready
from tests.api.registered import customers as customers
from tests.api.registered import root as root
from tests.api.registered import site as site


def infer(site: Site, tables: dict[str, str], **more: Any) -> Any:
    body = {"tables": {name: {"dataset": one} for name, one in tables.items()}, **more}
    return site.post("/v1/datasets/infer", json=body)


def test_a_proposal_of_files_where_they_are(site: Site, root: Path, customers: str) -> None:
    balances = {"uri": f"file://{root}/balances"}
    tables = {"customers": {"dataset": customers}, "balances": balances}
    answer = site.post("/v1/datasets/infer", json={"tables": tables, "target": "bad"})
    assert answer.status_code == 200, answer.text
    about = answer.json["spec"]["tables"]["balances"]
    assert (about["key"], about["time"], about["source"]) == (
        ["customer_id"],
        "month_end",
        balances,
    )
    assert answer.json["sampled"]["balances"] == {"rows": 3 * EVENTS, "of": 3 * EVENTS}
    for one, code in (
        ({"uri": "file:///etc"}, "uri_not_allowed"),
        ({"uri": "s3://bank/x"}, "uri_not_allowed"),
        ({"uri": f"file://{root}/none"}, "uri_not_found"),
        ({**balances, "dataset": customers}, "invalid_request"),
        ({}, "invalid_request"),
        ({"dataset": customers, "reading": {"format": "csv"}}, "invalid_request"),
        ({**balances, "reading": {"format": "xls"}}, "invalid_option"),
    ):
        answer = site.post("/v1/datasets/infer", json={"tables": {**tables, "balances": one}})
        assert (answer.status_code, answer.json["code"]) == (422, code), answer.text


def test_a_proposal_can_be_posted_as_it_is(site: Site, root: Path, customers: str) -> None:
    body = (root / "balances" / "part-0.parquet").read_bytes()
    balances = ready(site, site.upload(body))["id"]
    answer = infer(site, {"customers": customers, "balances": balances}, target="bad")
    assert answer.status_code == 200, answer.text
    proposed = answer.json["spec"]
    assert proposed["tables"]["customers"]["source"] == {"dataset": customers}
    about = proposed["tables"]["balances"]
    assert (about["key"], about["to"], about["time"]) == (
        ["customer_id"],
        ["customers.customer_id"],
        "month_end",
    )
    assert about["source"] == {"dataset": balances}
    assert proposed["cut_off"] == {"column": "cut_off"}
    assert answer.json["sampled"]["balances"] == {"rows": EVENTS, "of": EVENTS}
    assert {one["field"] for one in answer.json["reasons"]} >= {"entities", "tables.balances"}
    posted = site.post("/v1/datasets", json={"name": "b", "spec": proposed})
    assert posted.status_code == 201, posted.text
    assert ready(site, posted.json["id"])["state"] == "READY"


@pytest.mark.parametrize(
    ("form", "line", "time"),
    [
        ("key_message", "C{n:04d} Received block {k} of size 67108864 from node", None),
        ("iso_message", "2024-0{m}-1{d}T10:00:00Z C{n:04d} the customer asked for a {k} loan", 1),
    ],
)
def test_lines_of_a_raw_log_are_not_learnt_from_by_their_number(
    site: Site, customers: str, form: str, line: str, time: int | None
) -> None:
    lines = [
        line.format(n=n % N, k=k, m=1 + k % 9, d=n % 10) for n in range(N) for k in range(1, 6)
    ]
    body = ("\n".join(lines) + "\n").encode()
    log = ready(site, site.upload(body, query_string={"log_format": form}))
    assert log["state"] == "READY", log["problem"]
    tables = {"customers": customers, "calls": log["id"]}
    answer = infer(site, tables, target="bad")
    assert answer.status_code == 200, answer.text
    about = answer.json["spec"]["tables"]["calls"]
    assert (about["role"], about["message"], about["exclude"]) == ("log", "message", ["line"])
    assert about.get("time_format") == ("order" if time is None else None)
    assert "tables.calls.exclude" in {one["field"] for one in answer.json["reasons"]}


def test_what_cannot_be_proposed(site: Site, customers: str) -> None:
    for tables, more, status, code in (
        ({"a": "0" * 32}, {}, 404, "not_found"),
        ({"a": customers}, {"target": "none"}, 422, "target_not_found"),
        ({"a b": customers}, {}, 422, "invalid_request"),
        ({}, {}, 422, "invalid_request"),
        ({f"t{n}": customers for n in range(65)}, {}, 422, "invalid_request"),
        ({"a": customers}, {"seed": 1}, 422, "invalid_request"),
    ):
        answer = infer(site, tables, **more)
        assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    other = site.post(
        "/v1/datasets/infer",
        json={"tables": {"a": {"dataset": customers}}},
        secret=site.other_secret,
    )
    assert other.status_code == 404
    site.call("DELETE", f"/v1/datasets/{customers}")
    assert infer(site, {"a": customers}).status_code == 410


def test_of_a_data_set_that_is_not_ready_nothing_is_proposed(tmp_path: Path) -> None:
    site = build(tmp_path)
    site.ingestor.finish = False
    dataset = site.upload()
    answer = infer(site, {"a": dataset})
    assert (answer.status_code, answer.json["code"]) == (409, "dataset_not_ready")
    site.store.close()
