"""The form of a job in a browser: nothing typed is lost, and faults open what they stand in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE, FinishedJob, Visitor, customers

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_another_target_and_data_set_keep_what_was_typed(
    finished_job: FinishedJob, visitor: Visitor
) -> None:
    page = visitor.open(f"/ui/jobs/new?dataset={finished_job.dataset}")
    page.fill('[id="objective.alert_rate"]', "0.2")
    page.get_by_text("Limits: where the search must stop").click()
    page.fill('[id="limits.trials"]', "7")
    page.check('input[name="when.policy"][value="low_carbon"]')
    page.focus("#target")
    page.select_option("#target", "region")
    group = page.get_by_role("group", name="Its values that are the rare event")
    expect(group.get_by_role("checkbox")).to_have_count(3)  # without loading the page anew
    expect(page.locator('[id="objective.alert_rate"]')).to_have_value("0.2")
    expect(page.locator('[id="limits.trials"]')).to_be_visible()
    expect(page.locator('[id="limits.trials"]')).to_have_value("7")
    expect(page.locator('input[name="when.policy"][value="low_carbon"]')).to_be_checked()
    expect(page.locator("#target")).to_be_focused()
    expect(page.locator("#plan")).to_contain_text(
        "region", timeout=120_000
    )  # it says what it lacks
    visitor.check()
    page.check("#no_target")
    expect(page.locator("#target")).to_be_hidden()
    expect(page.get_by_text("nothing is searched")).to_be_visible()
    page.uncheck("#no_target")
    expect(page.locator("#target")).to_have_value("region")
    expect(page.locator('[id="limits.trials"]')).to_have_value("7")


def test_the_plan_shows_the_best_windows(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open(f"/ui/jobs/new?dataset={finished_job.dataset}")
    page.check('input[name="when.policy"][value="low_carbon"]')
    table = page.get_by_role("region", name="Best windows")
    expect(table.locator("tbody tr")).to_have_count(5, timeout=120_000)
    page.get_by_text("Zone of the grid, bounds of a wait, pauses").click()
    page.select_option('[id="when.zone"]', "DE")
    expect(page.locator("#forecast")).to_contain_text("zone DE", timeout=120_000)
    expect(page.locator("#forecast svg").first).to_be_attached(timeout=120_000)
    visitor.check()


def test_a_fault_opens_what_it_stands_in(finished_job: FinishedJob, visitor: Visitor) -> None:
    page = visitor.open(f"/ui/jobs/new?dataset={finished_job.dataset}")
    page.get_by_text("More: a model to start from, webhook, seed").click()
    page.fill("#seed", "x")
    page.get_by_text("More: a model to start from, webhook, seed").click()
    fault = page.locator("#fault-seed")
    expect(fault).to_be_visible(timeout=120_000)
    expect(page.locator("#seed")).to_have_attribute("aria-describedby", "fault-seed")
    visitor.check()
    page.fill("#seed", "5")
    expect(fault).to_have_count(0, timeout=120_000)
    expect(page.locator("#seed")).not_to_have_attribute("aria-invalid", re.compile("."))


def test_a_leak_is_refused_and_can_be_accepted(visitor: Visitor, tmp_path: Path) -> None:
    head, *lines = customers(n_rows=300).splitlines()
    file = tmp_path / "leaky.csv"
    told = [f"{one};{one.rsplit(';', 1)[1]}" for one in lines]
    file.write_text("\n".join([f"{head};fate", *told]) + "\n")
    with visitor.service.client() as client:
        dataset = client.wait_dataset(client.upload(file)["id"])
    page = visitor.open(f"/ui/jobs/new?dataset={dataset['id']}&target=fragile&positive=yes")
    offer = page.get_by_label(re.compile("fate is known before the event"))
    expect(offer).not_to_be_checked()
    expect(page.locator("#plan")).to_contain_text("is the target itself")
    visitor.check()
    offer.check()
    expect(page.locator("#plan")).to_contain_text("of CPU", timeout=120_000)
    expect(offer).to_be_checked()
    expect(offer).to_be_focused()


def test_the_form_works_without_scripts(finished_job: FinishedJob, visitor: Visitor) -> None:
    browser = visitor.page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False, base_url=visitor.service.url)
    context.add_cookies(visitor.page.context.cookies())
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/ui/jobs/new")
    page.select_option("#dataset", finished_job.dataset)
    page.get_by_role("button", name="Use it").click()
    page.get_by_text("Limits: where the search must stop").click()
    page.fill('[id="limits.trials"]', "many")
    page.get_by_role("button", name="Start the job").click()
    expect(page.locator('[id="fault-limits.trials"]')).to_be_visible()
    page.fill('[id="limits.trials"]', "7")
    page.select_option("#target", "region")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator('[id="limits.trials"]')).to_have_value("7")
    assert page.locator('input[name="positive"]').count() == 3
    page.check('input[name="positive"][value="south"]')
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("#plan")).to_contain_text("of CPU")
    context.close()
