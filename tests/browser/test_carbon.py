"""The carbon page: the ledger's own sums, and the levers apart."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from api.pages.formats import scaled
from tests.browser.conftest import FinishedJob, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_the_figures_are_those_of_the_ledger(finished_job: FinishedJob, visitor: Visitor) -> None:
    before = _total(visitor)
    page = visitor.open("/ui/carbon")
    total = _total(visitor)  # more than before where a bill has come meanwhile
    facts = page.locator(".facts dd").all_inner_texts()
    assert facts[0] in (scaled(before["gco2e"], "g"), scaled(total["gco2e"], "g"))
    levers = page.locator("section[aria-labelledby=levers] tbody tr")
    assert [row.split("\t")[0] for row in levers.all_inner_texts()] == [
        "Less",
        "Later",
        "Lighter in use",
    ]
    later = levers.nth(1).inner_text()
    assert any(scaled(one["saved_by_later_gco2e"], "g") in later for one in (before, total))
    visitor.check()


def test_a_zone_is_chosen(visitor: Visitor) -> None:
    page = visitor.open("/ui/carbon")
    page.select_option("#zone", "DE")
    page.locator("section[aria-labelledby=grid] button").click()
    expect(page.locator("#zone")).to_have_value("DE")
    expect(page.locator("#forecast svg").first).to_be_attached(timeout=120_000)
    visitor.check()


def _total(visitor: Visitor) -> dict[str, float]:
    headers = {"Authorization": f"Bearer {visitor.service.token}"}
    answer = visitor.page.request.get("/v1/ledger?group_by=day", headers=headers)
    found: dict[str, float] = answer.json()["total"]
    return found
