"""The carbon page: the ledger's own sums, and the levers apart."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from api.pages.formats import scaled
from tests.browser.conftest import FinishedJob, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_the_figures_are_those_of_the_ledger(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open("/ui/carbon")
    total = page.request.get("/v1/ledger?group_by=day", headers=_token(visitor)).json()["total"]
    facts = page.locator(".facts dd").all_inner_texts()
    assert facts[0] == scaled(total["gco2e"], "g")
    levers = page.locator("section[aria-labelledby=levers] tbody tr")
    assert [row.split("\t")[0] for row in levers.all_inner_texts()] == [
        "Less",
        "Later",
        "Lighter in use",
    ]
    assert scaled(total["saved_by_later_gco2e"], "g") in levers.nth(1).inner_text()
    visitor.check()


def test_a_zone_is_chosen(visitor: Visitor) -> None:
    page = visitor.open("/ui/carbon")
    page.select_option("#zone", "DE")
    page.locator("section[aria-labelledby=grid] button").click()
    expect(page.locator("#zone")).to_have_value("DE")
    expect(page.locator("#forecast svg").first).to_be_attached(timeout=15_000)
    visitor.check()


def _token(visitor: Visitor) -> dict[str, str]:
    return {"Authorization": f"Bearer {visitor.service.token}"}
