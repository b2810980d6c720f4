"""A real browser on a real service: Debian's Chromium through Playwright, no other network."""

from __future__ import annotations

import asyncio
import math
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from api.client import FrugalClient
from api.local_service import LocalService

DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)
# Milliseconds: what a page does at once takes seconds where other tests run beside it.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Visitor:
    """A page of the browser, signed in, and what went wrong on it."""

    page: Page
    service: LocalService
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a page of the service and wait until it has loaded."""
        self.page.goto(self.service.url + path)
        return self.page

    def check(self) -> None:
        """Nothing is wider than the screen, nobody is shut out, and no script complained."""
        self.page.wait_for_load_state("load")
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px wider than the screen"
        found = Axe().run(self.page).response["violations"]
        grave = [
            f"{item['id']} at {node['target']}: {node.get('failureSummary', '')}"
            for item in found
            if item["impact"] in ("serious", "critical")
            for node in item["nodes"]
        ]
        assert not grave, f"{self.page.url}: {grave}"
        assert not self.troubles, self.troubles


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium is installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """One service for all browser tests of a worker."""
    folder: Path = tmp_path_factory.mktemp("pages")
    settings = {"FRUGAL_ZONE": "FR", "FRUGAL_REQUESTS_PER_MINUTE": "1000000"}
    with LocalService(folder, settings=settings) as running:
        yield running


@pytest.fixture
def client(service: LocalService) -> Iterator[FrugalClient]:
    with FrugalClient(service.url, service.token) as made:
        yield made


@dataclass(frozen=True, kw_only=True)
class FinishedJob:
    """A job that is DONE, what it learnt from, and the model it made."""

    id: str
    dataset: str
    model: str


SCRIPT = "<script>alert(1)</script>"  # a column, as some customer's export may call it
LONG = "a_long_name_" * 16 + "of_2xx_c"  # 200 characters
N_ROWS = 600


def customers(*, n_rows: int = N_ROWS, seed: int = 7) -> str:
    """A made-up table as CSV: `fragile` is "yes" for about one row in seven, by debt above all."""
    chance = random.Random(seed)
    lines = [f"customer;age;debt;region;{SCRIPT};{LONG};fragile"]
    for number in range(n_rows):
        age, debt = chance.randint(18, 80), round(chance.uniform(0, 10), 2)
        region = chance.choice(("north", "south", "east"))
        odds = -11.5 + 1.2 * debt + (1.2 if region == "south" else 0.0)
        fragile = "yes" if chance.random() < 1 / (1 + math.exp(-odds)) else "no"
        odd, long = chance.choice("abc"), chance.randint(0, 5)
        lines.append(f"c{number:04};{age};{debt};{region};{odd};{long};{fragile}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def finished_job(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> FinishedJob:
    """One small search for all browser tests of a worker: data set, job and model to look at."""
    table = tmp_path_factory.mktemp("tables") / "customers.csv"
    table.write_text(customers())
    with service.client() as client:
        dataset = client.upload(table)
        request = {
            "dataset": dataset["id"],
            "target": "fragile",
            "positive": "yes",
            "exclude": ["customer"],
            "objective": {"alert_rate": 0.1},
            "limits": {"trials": 8},
            "model": "fragility",
        }
        job = client.wait(client.submit(request)["id"])
    assert job["state"] == "DONE", job["problem"]
    return FinishedJob(id=job["id"], dataset=dataset["id"], model=job["model"])


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def visitor(
    request: pytest.FixtureRequest, browser: Browser, service: LocalService
) -> Iterator[Visitor]:
    """Signed in, once on a wide screen and once on a phone; whatever leaves the service fails."""
    context = browser.new_context(viewport=request.param, base_url=service.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    seen = Visitor(page, service)
    page.on("pageerror", lambda error: seen.troubles.append(str(error)))
    page.on(
        "console",
        lambda said: seen.troubles.append(said.text) if said.type == "error" else None,
    )
    page.on(
        "request",
        lambda sent: (
            None
            if sent.url.startswith((service.url, "data:", "blob:"))
            else seen.troubles.append(f"asked {sent.url}")
        ),
    )
    page.goto("/ui/sign-in")
    page.fill("#token", service.token)
    page.click("main button")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    yield seen
    context.close()
