"""How a file is to be read, said in a browser: fields, faults beside them, and another attempt."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Visitor


def test_where_the_parts_of_a_log_line_stand(visitor: Visitor, tmp_path: Path) -> None:
    log = tmp_path / "calls.log"
    lines = [f"2026-01-{1 + n % 28:02} 10:00:00 C{n % 40} asks to postpone {n}" for n in range(400)]
    log.write_text("\n".join(lines) + "\n")
    page = visitor.open("/ui/datasets/new")
    page.set_input_files("#file", log)
    page.locator(".queue summary").click()
    expect(page.locator(".queue [name='log_columns.time']")).to_be_hidden()
    page.select_option(".queue [name=log_format]", "columns")
    page.fill(".queue [name='log_columns.time']", "0, 1")
    page.fill(".queue [name='log_columns.key']", "2")
    page.fill(".queue [name='log_columns.message']", "last")
    page.fill(".queue [name=null_values]", 'NA, "n, a"')
    visitor.check()
    page.click("#start")
    message = page.locator(".queue [name='log_columns.message']")
    expect(message).to_have_attribute("aria-invalid", "true")
    expect(message).to_have_value("last")  # as it was typed
    visitor.troubles[:] = [one for one in visitor.troubles if "422" not in one]  # as it should be
    visitor.check()
    message.fill("3")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/ui/datasets/*")
    expect(page.locator(".state.ready").first).to_be_visible(timeout=240_000)
    with visitor.service.client() as client:
        options = client.dataset(page.url.rsplit("/", 1)[1])["options"]
    assert options["log_columns"] == {"time": [0, 1], "key": 2, "message": 3}
    assert options["null_values"] == ["NA", "n, a"]
    visitor.check()
