"""The pages of schedules: made from a model, refused with what was typed, paused, deleted."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FinishedJob, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_a_schedule_from_beginning_to_end(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open(f"/ui/schedules/new?model={finished_job.model}")
    page.fill('[name="time_zone"]', "Europe/Nowhere")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator('[name="time_zone"]')).to_have_value("Europe/Nowhere")
    expect(page.get_by_role("alert")).to_be_visible()
    visitor.troubles.clear()  # the browser notes the refusal itself
    visitor.check()
    page.fill('[name="time_zone"]', "Europe/Paris")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator(".state.active")).to_be_visible()
    assert page.locator("table.calendar thead th").all_inner_texts()[0] == "Mon"
    visitor.check()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".state.paused")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".state.active")).to_be_visible()
    address = page.url
    page.get_by_role("link", name="Delete").click()
    visitor.check()
    page.get_by_role("link", name="Keep it").click()
    expect(page.locator(".state.active")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Schedules")
    assert page.locator(f'a[href="{address.removeprefix(visitor.service.url)}"]').count() == 0


def test_a_version_is_asked_about_before_it_answers(
    finished_job: FinishedJob, visitor: Visitor
) -> None:
    """A second version comes, the first is let answer, and that is taken back."""
    name = finished_job.model
    with visitor.service.client() as client:
        asked = client.job(finished_job.id)["request"]
        fields = ("dataset", "target", "positive", "exclude", "model")
        again = {**{field: asked[field] for field in fields}, "limits": {"trials": 2}}
        if len(client.promotions(name)["versions"]) == 1:
            client.wait(client.submit(again)["id"])
        newest = client.promotions(name)["serving"]
    page = visitor.open(f"/ui/models/{name}/versions")
    visitor.check()
    page.get_by_role("link", name="let version 1 answer", exact=True).click()
    expect(page.get_by_role("region", name="Both versions")).to_be_visible()
    visitor.check()
    page.get_by_label("Because").fill("it is calmer")
    page.get_by_role("button", name="Let version 1 answer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("version 1, which answers")
    page.get_by_role("link", name=f"Roll back to version {newest}").click()
    visitor.check()
    page.get_by_role("button", name=f"Roll back to version {newest}").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"version {newest}, which")
