"""The leaderboard: sorted, paged, its front, and as CSV."""

from __future__ import annotations

import csv
import io

import pytest

from api.leaderboard import cell, live_front
from scheduler.carbon.typical import yearly_mean
from tests.api.parts import Site


@pytest.fixture
def job_id(site: Site) -> str:
    """A job with three scored trials and a failed one, DONE; the third is dominated."""
    made = site.job()
    job = site.claim()
    site.trial(job, 0, score=0.2, joules=1.0)
    site.trial(job, 1, score=0.5, joules=4.0)
    site.trial(job, 2, score=0.3, joules=9.0, model="=cmd|' /C calc'!A0")
    site.trial(job, 3, score=None, interval=None, error="@SUM(1)", joules=8.0)
    site.finish(job)
    return made


def numbers(site: Site, path: str) -> list[int]:
    return [row["number"] for row in site.get(path).json["items"]]


def test_orders(site: Site, job_id: str) -> None:
    path = f"/v1/jobs/{job_id}/leaderboard"
    assert numbers(site, path) == [1, 2, 0, 3]  # best first, failed last
    assert numbers(site, f"{path}?sort=joules") == [0, 1, 3, 2]
    assert numbers(site, f"{path}?sort=number&order=descending") == [3, 2, 1, 0]
    assert numbers(site, f"{path}?limit=2&offset=1") == [2, 0]
    assert site.get(f"{path}?limit=1").json["total"] == 4


@pytest.mark.parametrize(
    "query",
    [
        "sort=score;drop table",
        "sort=project_id",
        "limit=0",
        "limit=1001",
        "offset=-1",
        "front=1",
        "order=desc",
    ],
)
def test_wrong_queries(site: Site, job_id: str, query: str) -> None:
    assert site.get(f"/v1/jobs/{job_id}/leaderboard?{query}").status_code == 422


def test_front_and_picks(site: Site, job_id: str) -> None:
    answer = site.get(f"/v1/jobs/{job_id}/leaderboard?front=true&sort=joules").json
    assert [row["number"] for row in answer["items"]] == [0, 1]
    assert [row["picks"] for row in answer["items"]] == [["most_frugal"], ["recommended"]]
    assert all(row["front"] for row in answer["items"])
    assert answer["total"] == 2


def test_the_front_of_a_running_job(site: Site) -> None:
    made = site.job()
    job = site.claim()
    path = f"/v1/jobs/{made}/leaderboard?front=true&sort=number"
    assert numbers(site, path) == []
    for number, (score, joules) in enumerate([(0.2, 1.0), (0.5, 4.0), (0.3, 9.0)]):
        site.trial(job, number, score=score, joules=joules)
    assert numbers(site, path) == [0, 1]


def test_grams_follow_the_zone(site: Site, job_id: str) -> None:
    answer = site.get(f"/v1/jobs/{job_id}/leaderboard").json
    expected = yearly_mean(site.settings.zone).grams_per_kwh
    assert answer["grams_per_kwh"] == expected
    for row in answer["items"]:
        assert row["gco2e"] == pytest.approx(row["joules"] / 3.6e6 * expected)


def test_a_job_of_another_zone_has_that_zones_grams_everywhere(site: Site) -> None:
    when = {"policy": "now", "zone": "SE"}
    made = site.job(when=when)
    job = site.claim()
    site.trial(job, 0, score=0.5, joules=4.0)
    path = f"/v1/jobs/{made}/leaderboard"
    answer = site.get(path).json
    mean = yearly_mean("SE")
    assert answer["zone"] == "SE"
    assert answer["grams_per_kwh"] == mean.grams_per_kwh
    assert answer["intensity_source"].startswith(f"SE: {mean.source} (lifecycle)")
    assert f"the mean of {mean.year}" in answer["intensity_source"]
    # Once it is billed, all that is expected of it is told at what its bill was priced at.
    billed = {"zone": "SE", "grams_per_kwh": 31.0, "source": "meter", "factor_type": "direct"}
    lives = {"0": {"search": 4.0, "refit": 2.0, "use": 3.6e6, "retrains": 0.0, "total": 3.6e6 + 6}}
    site.finish(
        job,
        receipt={"intensity": billed},
        result={"front": [0], "picks": {"recommended": 0}, "lifetimes": lives},
    )
    answer, picks = site.get(path).json, site.get(f"/v1/jobs/{made}/picks").json
    source = "SE: meter (direct); the mean that its bill was priced at"
    for told in (answer, picks):
        assert (told["zone"], told["grams_per_kwh"]) == ("SE", 31.0)
        assert told["intensity_source"] == source
        assert told["use"].startswith("Nobody declared a use: one scoring of 3 rows")
    assert answer["items"][0]["lifetime"]["gco2e"]["use"] == pytest.approx(31.0)
    assert answer["items"][0]["lifetime"]["use"] == answer["use"]
    assert picks["items"][0]["gco2e"] == pytest.approx((3.6e6 + 6) / 3.6e6 * 31)


def test_csv_is_whole_and_no_formula_runs(site: Site, job_id: str) -> None:
    """Row 24."""
    answer = site.get(f"/v1/jobs/{job_id}/leaderboard", headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["number"] for row in rows] == ["1", "2", "0", "3"]
    assert rows[1]["model"] == "'=cmd|' /C calc'!A0"
    assert rows[3]["error"] == "'@SUM(1)"
    assert float(rows[0]["score"]) == 0.5
    assert rows[3]["score"] == ""
    page = site.get(f"/v1/jobs/{job_id}/leaderboard?limit=1", headers={"Accept": "text/csv"})
    assert len(page.text.splitlines()) == 2


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_texts_that_a_spreadsheet_would_run(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_plain_cells() -> None:
    assert [cell(value) for value in (None, True, -1.5, 3, "a=b", {"C": 1})] == [
        "", "true", -1.5, 3, "a=b", '{"C": 1}'
    ]  # fmt: skip


def test_rungs_are_not_mixed_on_a_live_front() -> None:
    assert live_front([]) == []


def test_conditional_get(site: Site, job_id: str) -> None:
    path = f"/v1/jobs/{job_id}/leaderboard"
    etag = site.get(path).headers["ETag"]
    assert site.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_only_one_rung_or_one_model(site: Site, job_id: str) -> None:
    path = f"/v1/jobs/{job_id}/leaderboard"
    assert numbers(site, f"{path}?rung=final") == [1, 2, 0, 3]
    assert numbers(site, f"{path}?rung=screening") == []
    assert numbers(site, f"{path}?model=lightgbm") == []
    assert numbers(site, f"{path}?model=linear&sort=joules&limit=2") == [0, 1]
    assert site.get(f"{path}?model=linear&limit=2").json["total"] == 3
    assert site.get(f"{path}?model=%00").status_code == 422
    assert site.get(f"{path}?rung=last").status_code == 422
