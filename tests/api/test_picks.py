"""Picks for another use: against a plain look at every trial."""

from __future__ import annotations

import pytest

from api.picks import joules_of
from automl.cost import JOULES_PER_KWH
from tests.api.parts import Site

LIVES = {
    "0": {"search": 1.0, "refit": 1.0, "use": 0.1, "retrains": 0.0, "total": 2.1},
    "1": {"search": 4.0, "refit": 2.0, "use": 4.0, "retrains": 0.0, "total": 10.0},
    "2": {"search": 9.0, "refit": 9.0, "use": 9.0, "retrains": 0.0, "total": 27.0},
}
SCORES = {"0": 0.498, "1": 0.5, "2": 0.3}


@pytest.fixture
def job_id(site: Site) -> str:
    """Three trials: the second is a little better than the first, and used at 40 times its cost."""
    made = site.job()
    job = site.claim()
    for number, score in SCORES.items():
        site.trial(job, int(number), score=score, joules=LIVES[number]["search"])
    result = {
        "front": [0, 1],
        "picks": {"recommended": 1, "most_accurate": 1, "most_frugal": 0},
        "lifetimes": LIVES,
        "choice": {"price": 0.01, "standard_errors": {"0": 0.0, "1": 0.0, "2": 0.0}},
    }
    site.finish(job, result=result)
    return made


def test_as_the_job_says_the_better_one_is_recommended(site: Site, job_id: str) -> None:
    found = site.get(f"/v1/jobs/{job_id}/picks").json
    assert [one["number"] for one in found["items"]] == [0, 1]
    assert found["items"][1]["picks"] == ["most_accurate", "recommended"]
    step = 0.01 * (10.0 - 2.1) / (0.5 - 0.498)
    assert found["items"][1]["per_hundredth_joules"] == pytest.approx(step)
    assert found["items"][0]["per_hundredth_joules"] is None
    grams = step / JOULES_PER_KWH * found["grams_per_kwh"]
    assert found["items"][1]["per_hundredth_gco2e"] == pytest.approx(grams)


def test_with_much_use_the_lighter_one_is(site: Site, job_id: str) -> None:
    query = "predictions_per_day=1000&horizon_days=100&retrains=2"
    found = site.get(f"/v1/jobs/{job_id}/picks?{query}").json
    n_rows = 3  # of the data: one scoring of them is the use that the lives above count
    assert found["predictions"] == 100_000
    by_number = {one["number"]: one for one in found["items"]}
    for number in (0, 1):
        life = LIVES[str(number)]
        expected = life["search"] + 3 * life["refit"] + life["use"] * 100_000 / n_rows
        assert by_number[number]["joules"] == pytest.approx(expected)
    assert by_number[0]["picks"] == ["most_frugal", "recommended"]


@pytest.mark.parametrize(("error", "recommended"), [(0.01, 1), (0.3, 0)])
def test_none_that_is_told_apart_as_worse(site: Site, error: float, recommended: int) -> None:
    made = site.job()
    job = site.claim()
    for number, score in ((0, 0.3), (1, 0.5)):
        site.trial(job, number, score=score, joules=1.0)
    result = {
        "front": [0, 1],
        "picks": {},
        "lifetimes": {name: LIVES[name] for name in ("0", "1")},
        "choice": {"price": 100.0, "standard_errors": {"0": error, "1": 0.0}},
    }
    site.finish(job, result=result)
    found = site.get(f"/v1/jobs/{made}/picks").json["items"]
    assert [one["number"] for one in found if "recommended" in one["picks"]] == [recommended]


def test_a_job_that_is_not_done_has_none(site: Site) -> None:
    assert site.get(f"/v1/jobs/{site.job()}/picks").status_code == 409


@pytest.mark.parametrize(
    "query", ["predictions_per_day=-1", "horizon_days=0", "retrains=nan", "x=1"]
)
def test_wrong_queries(site: Site, job_id: str, query: str) -> None:
    assert site.get(f"/v1/jobs/{job_id}/picks?{query}").status_code == 422


def test_joules_add_up() -> None:
    life = LIVES["1"]
    assert joules_of(life, times=1.0, retrains=0) == life["total"]
