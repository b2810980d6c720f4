"""Drift and true labels of a model, and rows that are appended, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FinishedJob, Visitor, customers

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_a_model_that_nobody_looked_at(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open(f"/ui/models/{finished_job.model}")
    page.get_by_role("link", name="Drift", exact=True).click()
    expect(page.locator("main")).to_contain_text("Nobody has looked yet")
    expect(page.get_by_role("link", name="Make a schedule")).to_be_visible()
    visitor.check()
    page.fill("#typed", "c0001,yes")
    page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_role("alert")).to_contain_text("no column that names its rows")
    expect(page.locator("#typed")).to_have_value("c0001,yes")
    visitor.troubles.clear()  # the browser notes the refusal itself
    visitor.check()


def test_rows_are_appended(visitor: Visitor, tmp_path: Path) -> None:
    width = visitor.page.viewport_size["width"] if visitor.page.viewport_size else 0
    first, more = tmp_path / f"grows-{width}.csv", tmp_path / f"more-{width}.csv"
    first.write_text(customers(n_rows=150, seed=width))
    more.write_text(customers(n_rows=40, seed=width + 1))
    with visitor.service.client() as client:
        dataset = client.upload(first)
    page = visitor.open(f"/ui/datasets/{dataset['id']}")
    page.get_by_role("link", name="Append rows").click()
    expect(page.locator("main")).to_contain_text("The rows become version 2")
    visitor.check()
    page.set_input_files("#file", more)
    page.get_by_role("button", name="Append").click()
    expect(page).not_to_have_url(re.compile("/append$"))
    with visitor.service.client() as client:
        found = client.versions(dataset["id"])
        assert [one["version"] for one in found] == [1, 2]
        grown = client.wait_dataset(found[1]["id"])
    assert grown["n_rows"] == 190
    page.goto(f"/ui/datasets/{dataset['id']}/append")
    expect(page.get_by_role("link", name="Append to version 2")).to_be_visible()
    visitor.check()
