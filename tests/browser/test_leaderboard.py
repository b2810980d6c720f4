"""The leaderboard without scripts, its slider with them, and models side by side."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from api.local_service import LocalService
from tests.browser.conftest import PATIENCE, FinishedJob, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_sorted_and_filtered_without_scripts(
    browser: Browser, service: LocalService, finished_job: FinishedJob
) -> None:
    with service.client() as client:
        rows = client.leaderboard(finished_job.id)
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/ui/sign-in")
    page.fill("#token", service.token)
    page.click("main button")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.goto(f"/ui/jobs/{finished_job.id}/leaderboard")
    numbers = page.locator('input[name="trial"]')
    assert [one.input_value() for one in numbers.all()] == [str(row["number"]) for row in rows]
    page.get_by_role("link", name="Energy", exact=True).click()
    cheapest = sorted(rows, key=lambda row: row["joules"])
    expect(numbers.first).to_have_value(str(cheapest[0]["number"]))
    page.check('input[name="front"]')
    page.get_by_role("button", name="Show", exact=True).click()
    expect(numbers).to_have_count(sum(row["front"] for row in rows))
    page.fill("#predictions_per_day", "1000000")
    page.get_by_role("button", name="Show the picks").click()
    expect(page.locator("[data-of=predictions]")).to_have_text("365,000,000")
    context.close()


def test_the_slider_asks_for_the_picks(visitor: Visitor, finished_job: FinishedJob) -> None:
    with visitor.service.client() as client:
        model = client.leaderboard(finished_job.id)[0]["model"]
    page = visitor.open(f"/ui/jobs/{finished_job.id}/leaderboard?model={model}")
    page.locator("#place").fill("120")
    expect(page.locator("[data-of=predictions]")).to_have_text("365,000,000")
    expect(page.locator("#front")).to_contain_text("Recommended")
    visitor.check()
    page.goto(f"/ui/jobs/{finished_job.id}/compare?trial=0&trial=1")
    expect(page.locator("main")).to_contain_text("At the alert budget of 10.0 %")
    visitor.check()
