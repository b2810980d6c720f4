"""The ledger over HTTP: lines, sums, filters, pages, CSV, and nobody else's."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from scheduler.ledger import LedgerLine
from tests.api.parts import NOW, Site

A, B = "a" * 32, "b" * 32


def line(site: Site, **changes: Any) -> LedgerLine:
    values: dict[str, Any] = {
        "job_id": A,
        "phase": "search",
        "day": "2026-11-22",
        "project_id": site.project,
        "dataset_id": "d" * 32,
        "cpu_seconds": 1.0,
        "joules": 3.6e6,
        "grams_per_kwh": 50.0,
        "gco2e": 50.0,
        "gco2e_at_submission": 80.0,
        "meter": "cpu_time",
        "intensity": {"zone": "FR", "source": "=cmd|' /C calc'!A0", "share_estimated": 0.5},
    }
    return LedgerLine(**{**values, **changes})


@pytest.fixture
def lines(site: Site) -> list[LedgerLine]:
    """Two jobs, one of a schedule and dirtier for its wait, and a data set read in."""
    made = [
        line(site),
        line(site, phase="refit", day="2026-11-23"),
        line(site, job_id=B, schedule_id="5" * 32, gco2e=90.0),
        line(site, job_id="d" * 32, phase="ingest", gco2e_at_submission=None),
    ]
    for job_id in (A, B, "d" * 32):
        own = [one for one in made if one.job_id == job_id]
        site.store.settle(job_id, receipt=None, lines=own, settle_at=None, now=NOW)
    return made


def test_lines_and_the_total_of_all_of_them(site: Site, lines: list[LedgerLine]) -> None:
    answer = site.get("/v1/ledger").json
    assert [(one["day"], one["job"][0], one["phase"]) for one in answer["items"]] == [
        ("2026-11-23", "a", "refit"),
        ("2026-11-22", "a", "search"),
        ("2026-11-22", "b", "search"),
        ("2026-11-22", "d", "ingest"),
    ]
    total = answer["total"]
    assert (total["n_lines"], total["kwh"], total["gco2e"]) == (4, 4.0, 240.0)
    assert total["saved_by_later_gco2e"] == pytest.approx(30 + 30 - 10)
    assert total["gco2e_text"] == "240 g"
    assert total["equivalents"]["car_km"]["source"]
    assert answer["items"][2]["saved_by_later_gco2e"] == -10  # never hidden
    assert answer["items"][3]["saved_by_later_gco2e"] is None
    assert answer["next_cursor"] is None


def test_pages_are_the_whole_and_each_tells_the_same_total(
    site: Site, lines: list[LedgerLine]
) -> None:
    whole = site.get("/v1/ledger").json
    found, path = [], "/v1/ledger?limit=1"
    while True:
        page = site.get(path).json
        found += page["items"]
        assert page["total"] == whole["total"]
        if page["next_cursor"] is None:
            break
        path = f"/v1/ledger?limit=1&cursor={page['next_cursor']}"
    assert found == whole["items"]


@pytest.mark.parametrize(
    ("group", "keys"),
    [
        ("job", [A, B, "d" * 32]),
        ("dataset", ["d" * 32]),
        ("phase", ["ingest", "refit", "search"]),
        ("day", ["2026-11-22", "2026-11-23"]),
        ("schedule", [None, "5" * 32]),
    ],
)
def test_sums_by_what_was_asked_for(
    site: Site, lines: list[LedgerLine], group: str, keys: list[Any]
) -> None:
    answer = site.get(f"/v1/ledger?group_by={group}&limit=1").json
    found = answer["items"]
    while answer["next_cursor"] is not None:
        path = f"/v1/ledger?group_by={group}&limit=1&cursor={answer['next_cursor']}"
        answer = site.get(path).json
        found += answer["items"]
    assert [one["key"] for one in found] == keys
    for name in ("n_lines", "joules", "kwh", "gco2e", "saved_by_later_gco2e", "cpu_seconds"):
        assert sum(one[name] for one in found) == pytest.approx(answer["total"][name])


def test_filters(site: Site, lines: list[LedgerLine]) -> None:
    for query, n in (
        (f"job={A}", 2),
        (f"job={'0' * 32}", 0),
        ("phase=ingest", 1),
        (f"schedule={'5' * 32}", 1),
        (f"dataset={'d' * 32}", 4),
        ("from=2026-11-23", 1),
        ("to=2026-11-22", 3),
        ("from=2026-11-22&to=2026-11-23", 4),
    ):
        answer = site.get(f"/v1/ledger?{query}").json
        assert (len(answer["items"]), answer["total"]["n_lines"]) == (n, n), query


def test_bad_queries_are_refused(site: Site) -> None:
    for query in (
        "job=1", "from=yesterday", "from=2026-02-30", "group_by=week", "limit=0", "limit=1001",
        "format=xml", "cursor=~", "first_day=2026-01-01", "phase=%00",
    ):  # fmt: skip
        assert site.get(f"/v1/ledger?{query}").status_code == 422, query


def rows(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert "ledger.csv" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_csv_by_accept_and_by_format_is_whole_and_calculates_nothing(
    site: Site, lines: list[LedgerLine]
) -> None:
    by_accept = rows(site.get("/v1/ledger", headers={"Accept": "text/csv"}))
    assert by_accept == rows(site.get("/v1/ledger?format=csv"))
    assert len(by_accept) == 4
    assert {one["source"] for one in by_accept} == {"'=cmd|' /C calc'!A0"}
    assert by_accept[2]["saved_by_later_gco2e"] == "-10.0"  # a number stays one
    assert by_accept[3]["gco2e_at_submission"] == ""
    assert sum(float(one["gco2e"]) for one in by_accept) == 240
    sums = rows(site.get("/v1/ledger?format=csv&group_by=day"))
    assert [(one["key"], one["n_lines"]) for one in sums] == [
        ("2026-11-22", "3"),
        ("2026-11-23", "1"),
    ]
    assert len(rows(site.get("/v1/ledger?format=csv&limit=2"))) == 2


def test_another_project_sees_nothing_of_it(site: Site, lines: list[LedgerLine]) -> None:
    answer = site.get(f"/v1/ledger?job={A}", secret=site.other_secret).json
    assert answer["items"] == []
    assert answer["total"]["n_lines"] == 0
    assert site.get("/v1/ledger", secret="").status_code == 401
