"""Limits of a request: they end the search, or are refused with the least that works."""

from __future__ import annotations

import pytest

from tests.api.parts import Site
from tests.api.searched import board, searched
from tests.api.searched import dataset as dataset
from tests.api.searched import site as site

pytestmark = pytest.mark.slow  # trains models


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("limit", ["gco2e", "joules", "cpu_seconds", "trials"])
def test_a_limit_of_the_request_ends_the_search(site: Site, dataset: str, limit: str) -> None:
    asked = {"exclude": ["day", "customer", "weight"], "mode": "best"}
    value, figure = 2.0, None
    if limit != "trials":
        # Some times what is safe for one trial on this machine: too little for all of best.
        body = {"dataset": dataset, "target": "y", "limits": {limit: 1e-9}, **asked}
        value, figure = 2 * site.post("/v1/jobs", json=body).json["details"]["safe"], limit
    job = searched(site, dataset, limits={limit: value}, **asked)
    assert job["state"] == "DONE", job["problem"]
    assert job["stop_reason"].startswith(f"budget: {limit}: ")
    stop = job["result"]["stop"]
    assert (stop["reason"], stop["unit"], stop["limit"]) == ("budget", limit, value)
    assert stop["used"] + stop["expected_cost"] > value
    trials = [row for row in board(site, job) if row["model"] != "ensemble"]
    assert trials
    spent = [1.0 if figure is None else row[figure] for row in trials]
    # What a trial takes is known afterwards: one may have taken more than was expected of it.
    assert sum(spent) - (0.0 if figure is None else max(spent)) <= value


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("limit", ["gco2e", "joules", "cpu_seconds", "wall_seconds"])
def test_a_limit_that_lets_nothing_run_is_refused_with_the_least(
    site: Site, dataset: str, limit: str
) -> None:
    asked = {"dataset": dataset, "target": "y", "exclude": ["day", "customer", "weight"]}
    key = {"Idempotency-Key": f"small {limit}".replace(" ", "-")}
    answer = site.post("/v1/jobs", json={**asked, "limits": {limit: 1e-9}}, headers=key)
    assert (answer.status_code, answer.json["code"]) == (422, "limit_too_small"), answer.text
    details = answer.json["details"]
    assert details["field"] == f"limits.{limit}"
    assert 1e-9 < details["least"] < details["safe"]
    # Only a clock minds that the machine is far busier in a moment.
    times = 50 if limit == "wall_seconds" else 1
    limits = {limit: times * details["safe"]}
    job = searched(site, dataset, exclude=asked["exclude"], limits=limits)
    assert job["state"] == "DONE", job["problem"]


def test_the_least_gain_of_a_gram_reaches_the_search(site: Site, dataset: str) -> None:
    limits = {"least_gain_per_gram": 1e9}
    job = searched(
        site, dataset, exclude=["day", "customer", "weight"], limits=limits, mode="balanced"
    )
    stop = job["result"]["stop"]
    assert stop["reason"] == "rate"
    assert stop["rate_per_gram"] < stop["least_rate_per_gram"]
    assert stop["least_rate_per_gram"] == pytest.approx(1e9)
    asked = {"dataset": dataset, "target": "y", "limits": {"least_gain_per_gram": -1}}
    answer = site.post("/v1/jobs", json=asked)
    assert answer.json["errors"][0]["field"] == "limits.least_gain_per_gram"
