"""Signing in and out, and who is kept out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from api.local_service import LocalService
from tests.browser.conftest import PATIENCE, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.server]


def test_the_first_page_says_what_to_do(visitor: Visitor) -> None:
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Overview")
    visitor.check()


def test_a_wrong_token_is_refused_and_a_page_is_found_again(
    browser: Browser, service: LocalService
) -> None:
    page = browser.new_context(base_url=service.url).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto("/ui/jobs?state=DONE")
    assert "/ui/sign-in" in page.url
    page.fill("#token", "wrong")
    page.press("#token", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("unknown")
    page.fill("#token", service.token)
    page.press("#token", "Enter")
    expect(page).to_have_url(service.url + "/ui/jobs?state=DONE")
    page.click("text=Sign out")
    expect(page).to_have_url(re.compile("/ui/sign-in"))
    page.goto("/ui/")
    assert "/ui/sign-in" in page.url
    page.context.close()


def test_scripts_of_a_page_may_ask_the_api_and_those_of_others_may_not(visitor: Visitor) -> None:
    status = "async () => (await fetch('/v1/token')).status"
    assert visitor.page.evaluate(status) == 200
    stranger = visitor.page.context.new_page()
    stranger.goto("data:text/html,<h1>another site</h1>")
    asked = "async (url) => { try { return (await fetch(url)).status } catch { return 0 } }"
    assert stranger.evaluate(asked, visitor.service.url + "/v1/token") == 0
    assert visitor.page.evaluate("document.cookie") == ""
