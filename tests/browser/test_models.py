"""The pages of a model: its threshold, one customer with reasons, who answers, its end."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SCRIPT, FinishedJob, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_the_slider_and_the_form_say_the_same(finished_job: FinishedJob, visitor: Visitor) -> None:
    """What the script computes for a place is what the server says of it without the script."""
    address = f"/ui/models/{finished_job.model}/curves"
    costs = "rows_per_day=500&missed_cost=40&alert_cost=3"
    page = visitor.open(f"{address}?{costs}&by=alerts&alerts_per_day=60")
    names = ("threshold", "alerts", "precision", "recall", "missed", "cost", "low", "high")

    def shown() -> dict[str, str]:
        return {name: page.locator(f'[data-of="{name}"]').inner_text() for name in names}

    served = shown()
    place = int(page.locator("#place").input_value())
    page.locator("#place").fill(str(place + 5))
    assert shown()["alerts"] != served["alerts"]
    page.locator("#place").fill(str(place))
    assert shown() == served
    known = json.loads(page.locator("#known").inner_text())
    _, alerted, recall, _ = known["gain"][place - 1]
    assert served["alerts"] == f"{500 * alerted:.1f}"
    assert 500 * alerted <= 60 * (1 + 1e-6) < 500 * known["gain"][place][1]
    assert served["recall"] == f"{100 * recall:.1f} %"
    page.get_by_role("button", name="By costs").click()
    expect(page).to_have_url(re.compile("by=costs"))
    cheapest = float(shown()["cost"].replace(",", ""))
    assert cheapest <= float(served["cost"].replace(",", ""))
    visitor.check()


def test_one_customer_with_reasons(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open(f"/ui/models/{finished_job.model}/row")
    page.get_by_label("debt", exact=True).fill("a lot")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_label("debt", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_be_visible()
    visitor.troubles.clear()  # the browser notes the refusal itself
    page.get_by_label("debt", exact=True).fill("9.5")
    page.get_by_role("button", name="Predict").click()
    reasons = page.locator("#answer ~ .wide tbody th")
    expect(reasons.first).to_have_text("debt")
    assert SCRIPT in page.inner_text("main")
    visitor.check()


def test_a_model_is_deleted_by_its_name_only(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open(f"/ui/models/{finished_job.model}")
    page.get_by_text("Delete every version").click()
    page.fill("#confirm", "another")
    page.get_by_role("button", name="Delete the model").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was deleted")
    with visitor.service.client() as client:
        assert client.card(finished_job.model)["target"] == "fragile"
    visitor.troubles.clear()  # the browser notes the refusal itself
