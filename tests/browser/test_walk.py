"""The way of a data scientist: from a file to a model that predicts and is trained again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FinishedJob, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.slow]


@pytest.mark.data
@pytest.mark.timeout(1500)
def test_from_sign_in_to_schedule(visitor: Visitor, shared_data: Path, tmp_path: Path) -> None:
    """Bank Marketing as it comes, with what a person would click."""
    wide = visitor.page.viewport_size == {"width": 1280, "height": 900}
    packed = shared_data / "bank_marketing" / "bank-additional-full.csv.gz"
    rows = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
    table = tmp_path / f"bank-{'wide' if wide else 'phone'}.csv"
    table.write_bytes(b"".join(rows))

    page = visitor.open("/ui/datasets/new")
    visitor.check()
    page.set_input_files('input[type="file"]', table)
    page.click("#start")
    expect(page.locator(".state.ready").first).to_be_visible(timeout=240_000)
    visitor.check()

    page.get_by_role("link", name="Plan a job").first.click()
    page.select_option("#target", "y")
    expect(page.locator('input[name="positive"][value="yes"]')).to_be_checked()
    page.get_by_text("Columns not to learn from").click()
    page.check('input[name="exclude"][value="duration"]')
    page.fill("#model", "bank-walk")
    page.fill('[id="objective.alert_rate"]', "0.02")
    page.get_by_text("Limits: where the search must stop").click()
    page.fill('[id="limits.cpu_seconds"]', "40")
    expect(page.locator("#plan")).to_contain_text("of CPU")
    visitor.check()
    page.get_by_role("button", name="Start the job").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("bank-walk")
    expect(page.locator("#rungs")).to_be_visible(timeout=240_000)  # without a reload
    expect(page.get_by_role("link", name="Leaderboard")).to_be_visible(timeout=600_000)
    expect(page.locator("#bill")).to_be_visible()
    visitor.check()

    page.get_by_role("link", name="Leaderboard").click()
    expect(page.locator("#front")).to_contain_text("Recommended")
    before = page.locator("[data-of=predictions]").inner_text()
    page.locator("#place").fill("140")
    expect(page.locator("[data-of=predictions]")).not_to_have_text(before)
    visitor.check()
    page.get_by_role("button", name="Compare what is ticked").click()
    visitor.check()

    page.goto("/ui/models/bank-walk")
    visitor.check()
    page.get_by_role("link", name="One customer").click()
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("main")).to_contain_text("robability")
    visitor.check()

    page.goto("/ui/schedules/new?model=bank-walk")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator(".state.active")).to_be_visible()
    visitor.check()
    page.goto("/ui/carbon")
    expect(page.locator("main")).to_contain_text("By phase")
    visitor.check()


def test_every_page_of_a_finished_job(visitor: Visitor, finished_job: FinishedJob) -> None:
    """Columns that are called like markup show as text, on a wide screen and on a phone."""
    job, model = finished_job.id, finished_job.model
    for path in (
        "/ui/",
        "/ui/datasets",
        "/ui/datasets/new",
        f"/ui/datasets/{finished_job.dataset}",
        "/ui/jobs",
        f"/ui/jobs/new?dataset={finished_job.dataset}",
        f"/ui/jobs/{job}",
        f"/ui/jobs/{job}/leaderboard",
        f"/ui/jobs/{job}/compare?trial=0&trial=1",
        "/ui/models",
        f"/ui/models/{model}",
        f"/ui/models/{model}/curves",
        f"/ui/models/{model}/row",
        f"/ui/models/{model}/versions",
        f"/ui/models/{model}/predictions",
        "/ui/schedules",
        f"/ui/schedules/new?model={model}",
        "/ui/carbon",
    ):
        page = visitor.open(path)
        assert page.get_by_role("heading", level=1).count() == 1, path
        assert "HTTP 500" not in page.inner_text("main"), path
        for figure in page.locator("figure.chart").all():
            if figure.is_visible():
                expect(figure.locator("svg").first).to_be_attached(timeout=120_000)
        visitor.check()
    page = visitor.open(f"/ui/datasets/{finished_job.dataset}")
    assert "<script>alert(1)</script>" in page.inner_text("main")


def test_tables_are_put_together(visitor: Visitor, tmp_path: Path) -> None:
    """The spec is proposed, mended in a field, and makes a data set."""
    customers = ["customer,cut_off,fragile"]
    customers += [f"c{n},2026-06-30,{int(n % 7 == 0)}" for n in range(140)]
    balances = ["customer,month,balance"]
    balances += [
        f"c{n},2026-0{m}-28,{100 * (7 - n % 7) - 10 * m}" for n in range(140) for m in range(1, 6)
    ]
    ids = []
    with visitor.service.client() as client:
        for name, lines in (("customers", customers), ("balances", balances)):
            file = tmp_path / f"{name}.csv"
            file.write_text("\n".join(lines) + "\n")
            dataset = client.upload(file)
            client.wait_dataset(dataset["id"])
            ids.append(dataset["id"])
    page = visitor.open(f"/ui/datasets/together?id={ids[0]}&id={ids[1]}&target=fragile")
    visitor.check()
    page.fill("#name", "together")
    page.get_by_role("button", name="into step").click()
    page.get_by_text("As JSON").click()
    spec = json.loads(page.input_value("#json"))
    assert set(spec["tables"]) == {"customers", "balances"}
    assert spec["target"] == "fragile"
    page.get_by_role("button", name="Make the data set").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("together")
    expect(page.locator(".state.ready").first).to_be_visible(timeout=240_000)
    visitor.check()
    page.goto(f"/ui/datasets/together?from={page.url.rsplit('/', 1)[1]}")
    assert page.input_value("#name") == "together"
    assert page.input_value("#target") == "fragile"
