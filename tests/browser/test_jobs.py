"""The pages of jobs: the list, and one job as it runs and when it has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from api.local_service import LocalService
from tests.browser.conftest import LONG, PATIENCE, FinishedJob, Visitor, customers

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_the_shared_job_has_a_model(finished_job: FinishedJob, visitor: Visitor) -> None:
    assert len(LONG) == 200
    labels = [line.rsplit(";", 1)[1] for line in customers().splitlines()[1:]]
    assert 0.05 < labels.count("yes") / len(labels) < 0.2
    with visitor.service.client() as client:
        assert client.job(finished_job.id)["state"] == "DONE"
        assert client.card(finished_job.model)["target"] == "fragile"


@pytest.mark.timeout(1000)
def test_a_job_is_watched_paused_and_resumed(finished_job: FinishedJob, visitor: Visitor) -> None:
    with visitor.service.client() as client:
        request = {"dataset": finished_job.dataset, "target": "fragile", "positive": "yes"}
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        when = {"policy": "low_carbon", "start_after": tomorrow}
        limits = {"limits": {"trials": 6}, "model": "watched"}
        job_id = client.submit({**request, **limits, "when": when})["id"]
    page = visitor.open(f"/ui/jobs/{job_id}")
    expect(page.locator("main")).to_contain_text("Expected saving by later")
    page.get_by_role("button", name="Pause").click()
    resume = page.get_by_role("button", name="Resume")
    expect(resume).to_be_visible()
    expect(page.locator("#sentence")).to_contain_text("resumed")
    visitor.check()
    resume.click()
    expect(page.locator("#rungs")).to_be_visible(timeout=240_000)
    expect(page.locator("#bill")).to_be_visible(timeout=240_000)
    expect(page.locator("h1 .state.done")).to_be_visible(timeout=240_000)
    expect(page.locator("#sentence")).not_to_be_empty()
    visitor.check()


def test_a_job_that_ended_says_why_and_what_it_took(
    browser: Browser, service: LocalService, finished_job: FinishedJob
) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/ui/sign-in")
    page.fill("#token", service.token)
    page.click("main button")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.goto("/ui/jobs?state=DONE")
    row = page.get_by_role("row").filter(has_text=finished_job.model)
    expect(row.first).to_contain_text("Wh")
    page.goto(f"/ui/jobs/{finished_job.id}")
    for text in (
        "Saved by less",
        "Saved by later",
        "Why it stopped, in numbers",
        " of 8 trials",
    ):
        expect(page.locator("main")).to_contain_text(text)
    expect(page.locator("#bill")).to_be_visible()
    context.close()
