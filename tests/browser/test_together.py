"""The form of a spec in a browser: its parts that show, its JSON in step, its faults."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LONG, SCRIPT, Visitor

BOTH = re.compile(re.escape(SCRIPT) + r"[\s\S]*2026-07-01")
STEP = "Bring form and JSON into step"


@pytest.fixture
def address(visitor: Visitor, tmp_path: Path) -> str:
    """A page of three tables; the proposal is made from their rows."""
    loans = [f"loan_id,granted,bad,{SCRIPT},{LONG}"]
    loans += [f"L{n},2026-06-30,{int(n % 7 == 0)},1,2" for n in range(140)]
    cards = ["card_no,loan_id,issued"]
    cards += [f"K{n},L{n % 140},2026-01-{1 + n % 28:02}" for n in range(280)]
    uses = ["card_no,at,amount"]
    uses += [f"K{n % 280},2026-05-{1 + n % 28:02},{n % 50}" for n in range(900)]
    ids = []
    with visitor.service.client() as client:
        for name, lines in (("loans", loans), ("cards", cards), ("uses", uses)):
            file = tmp_path / f"{name}.csv"
            file.write_text("\n".join(lines) + "\n")
            ids.append(client.upload(file)["id"])
        for one in ids:
            client.wait_dataset(one)
    return "/ui/datasets/together?target=bad&" + "&".join(f"id={one}" for one in ids)


def spec_on(page: Page) -> dict[str, object]:
    found: dict[str, object] = json.loads(page.input_value("#json"))
    return found


def test_fields_and_json_are_kept_in_step(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    visitor.check()
    expect(page.locator("#table-uses .path")).to_contain_text("cards.loan_id → loans.loan_id")
    expect(page.locator("[id='tables.cards.message']")).to_be_hidden()
    page.select_option("[id='tables.cards.role']", "log")
    expect(page.locator("[id='tables.cards.message']")).to_be_visible()
    page.select_option("[id='tables.cards.role']", "static")
    expect(page.locator("[id='tables.cards.time']")).to_be_hidden()
    page.select_option("[id='tables.uses.to_table']", "loans")
    page.locator("#table-loans .picker > summary").click()
    page.get_by_role("checkbox", name=SCRIPT).check()
    page.get_by_text("one moment for all").click()
    page.fill("[id='cut_off.now']", "2026-07-01")
    page.get_by_text("As JSON").click()
    expect(page.locator("#json")).to_have_value(BOTH, timeout=120_000)
    expect(page.locator("#table-uses .path")).to_contain_text("uses.card_no → loans.card_no")
    spec = spec_on(page)
    assert spec["cut_off"] == {"now": "2026-07-01"}
    tables = spec["tables"]
    assert isinstance(tables, dict)
    assert tables["loans"]["exclude"] == [SCRIPT]
    assert "time" not in tables["cards"]
    visitor.check()
    # The JSON is edited: it counts, and the page says so.
    spec["cut_off"] = {"column": "granted", "gap": 3}
    page.fill("#json", json.dumps(spec))
    expect(page.locator("#edited")).to_be_visible()
    visitor.check()
    page.get_by_role("button", name=STEP).click()
    expect(page.locator("[id='cut_off.gap']")).to_have_value("3")
    expect(page.locator("#edited")).to_be_hidden()
    assert page.locator("#table-cards .reason").count() > 0  # of the proposal, still there
    visitor.check()


def test_a_fault_is_linked_to_its_field(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    page.locator("#table-uses > summary").click()  # closed, as of a wide spec
    page.fill("[id='cut_off.gap']", "soon")
    page.get_by_role("button", name="Make the data set").click()
    expect(page.locator("#problem")).to_contain_text("cut_off.gap")
    gap = page.locator("[id='cut_off.gap']")
    expect(gap).to_have_attribute("aria-invalid", "true")
    expect(gap).to_have_accessible_description(re.compile("kept free.* it must be a number"))
    page.locator("#problem a").first.click()
    expect(gap).to_be_focused()
    visitor.troubles[:] = [one for one in visitor.troubles if "422" not in one]  # as it should be
    visitor.check()


def test_windows_of_a_series_are_declared(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    page.get_by_text("a window of a series or a log").click()
    expect(page.locator("#target")).to_be_hidden()
    visitor.check()
    page.select_option("[id='windows.table']", "uses")
    page.fill("[id='windows.length']", "2")
    page.fill("[id='windows.label']", "amount")
    page.fill("#positive", "49")
    for name in ("loans", "cards"):
        page.locator(f"#table-{name} .more > summary").click()
        page.locator(f"[name='tables.{name}.out']").check()
    expect(page.locator("[id='tables.uses.to_table']")).to_be_hidden()  # its rows are the windows'
    page.fill("#name", "windows")
    page.get_by_role("button", name="Make the data set").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("windows")
    expect(page.locator(".state.ready").first).to_be_visible(timeout=240_000)
    visitor.check()
