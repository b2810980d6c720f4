"""Every page answers, whoever is signed in, whatever is in the address."""

from __future__ import annotations

from typing import Any

import pytest

from api.cookie import COOKIE
from tests.api.parts import Site

OWN = {"Sec-Fetch-Site": "same-origin"}


def ask(site: Site, path: str, *, method: str = "GET", **kwargs: Any) -> Any:
    headers = {"Cookie": f"{COOKIE}={site.secret}", **OWN}
    client = site.app.test_client(use_cookies=False)
    return client.open(path, method=method, headers=headers, **kwargs)


@pytest.fixture
def done(site: Site) -> str:
    """A finished job with three trials, one of which failed with a text like markup."""
    made = site.job()
    job = site.claim()
    site.trial(job, 0, score=0.2, joules=1.0)
    site.trial(job, 1, score=0.5, joules=4.0)
    site.trial(job, 2, score=None, interval=None, error="<b>boom</b>", joules=8.0)
    site.finish(job)
    return made


PAGES = (
    "/ui/",
    "/ui/datasets",
    "/ui/datasets/new",
    "/ui/jobs",
    "/ui/jobs/new",
    "/ui/models",
    "/ui/schedules",
    "/ui/schedules/new",
    "/ui/carbon",
)


@pytest.mark.parametrize("path", PAGES)
def test_empty_pages_say_what_to_do(site: Site, path: str) -> None:
    answer = ask(site, path)
    assert answer.status_code == 200
    if path not in ("/ui/datasets/new",):
        assert 'class="empty"' in answer.text
    assert 'class="button"' in answer.text or "<button" in answer.text


def test_a_job_from_list_to_comparison(site: Site, done: str) -> None:
    assert f"/ui/jobs/{done}" in ask(site, "/ui/jobs").text
    page = ask(site, f"/ui/jobs/{done}").text
    assert "no refinement is worth its energy" in page
    assert "<b>boom</b>" not in page
    board = ask(site, f"/ui/jobs/{done}/leaderboard").text
    assert "&lt;b&gt;boom&lt;/b&gt;" in board
    assert "0.500" in board
    both = ask(site, f"/ui/jobs/{done}/compare?trial=0&trial=1").text
    assert "0.200" in both
    assert "none of these has any" in both
    table = ask(site, f"/ui/jobs/{done}/leaderboard.csv")
    assert table.mimetype == "text/csv"
    assert len(table.text.splitlines()) == 4


@pytest.mark.parametrize(
    "query",
    [
        "sort=nonsense",
        "rung=<script>",
        "page=-1",
        "page=99999999999999999999",
        "page=2",
        "predictions_per_day=x",
        "predictions_per_day=-1",
        "model=%00",
        "front=maybe",
    ],
)
def test_odd_queries_are_no_fault_of_ours(site: Site, done: str, query: str) -> None:
    answer = ask(site, f"/ui/jobs/{done}/leaderboard?{query}")
    assert answer.status_code in (200, 422)
    assert "<script>" not in answer.text.replace("<script defer", "").replace(
        '<script type="application/json">', ""
    )


@pytest.mark.parametrize(
    "path",
    [
        "/ui/jobs/none",
        "/ui/jobs/none/leaderboard",
        "/ui/jobs/none/leaderboard.csv",
        "/ui/jobs/none/compare",
        "/ui/datasets/none",
        "/ui/models/none",
        "/ui/models/none/versions",
        "/ui/models/none/row",
        "/ui/schedules/none",
        "/ui/nothing",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(site: Site, path: str) -> None:
    answer = ask(site, path)
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text


def test_actions_on_a_waiting_job(site: Site) -> None:
    job = site.job()
    assert ask(site, f"/ui/jobs/{job}/pause", method="POST").status_code == 303
    assert "paused" in ask(site, f"/ui/jobs/{job}").text
    assert ask(site, f"/ui/jobs/{job}/resume", method="POST").status_code == 303
    assert ask(site, f"/ui/jobs/{job}/cancel", method="POST").status_code == 303
    assert ask(site, f"/ui/jobs/{job}/explode", method="POST").status_code == 404


@pytest.mark.parametrize("form", [{}, {"c0": ""}, {"another": "41"}])
def test_nothing_is_predicted_of_nothing(site: Site, form: dict[str, str]) -> None:
    name = site.model("customers-y").name
    answer = ask(site, f"/ui/models/{name}/row", method="POST", data=form)
    assert answer.status_code == 422
    assert "fill in one field" in answer.text
    assert site.predictor.calls == []
