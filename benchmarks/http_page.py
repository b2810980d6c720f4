"""A page in a headless browser: when it is first painted, and what came over the wire for it."""

from __future__ import annotations

import shutil
from typing import Any

from playwright.sync_api import Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CHARTS = "/ui/charts.js"
PAINT = "first-contentful-paint"


def first_paint(url: str, token: str, path: str) -> dict[str, Any]:
    """First contentful paint in milliseconds (W3C Paint Timing) and bytes over the wire.

    The second visit counts, as of somebody who has seen the service before; the charts' script,
    whose address names its version, is counted apart.

    Raises
    ------
    RuntimeError
        No Chromium is installed.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise RuntimeError("no Chromium is installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, base_url=url)
        page.goto("/ui/sign-in")
        page.fill("#token", token)
        page.click("main button")
        first = _visited(page, path)
        found = _visited(page, path)
        browser.close()
    return {
        "paint_ms": round(found["paint"], 1),
        "bytes": found["bytes"],
        "first_visit_paint_ms": round(first["paint"], 1),
        "first_visit_bytes": first["bytes"],
        "charts_bytes": first["charts"],
    }


def _visited(page: Page, path: str) -> dict[str, Any]:
    page.goto(path, wait_until="networkidle")
    entries = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .concat(performance.getEntriesByType("navigation"))
            .map((one) => [one.name, one.transferSize])"""
    )
    paint = page.evaluate(
        "(name) => performance.getEntriesByName(name)[0]?.startTime ?? Infinity", PAINT
    )
    charts = sum(size for name, size in entries if CHARTS in name)
    return {
        "paint": paint,
        "bytes": sum(size for _, size in entries) - charts,
        "charts": charts,
    }
