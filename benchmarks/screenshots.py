"""Pictures of every page: a made-up bank, a search, nights of a schedule, then a browser.

    python -m benchmarks.screenshots            # into docs/images
    python -m benchmarks.screenshots --to pictures --customers 20000

Nobody is in the pictures: the rows are those of `automl.data.bank`. The nights are lived through
by a clock that is set, so that nobody has to wait for them; everything else is the service as it
is started by `frugal serve`. Needs Chromium; takes a few minutes.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from playwright.sync_api import Page, ViewportSize, sync_playwright

from api import create_app
from api.client import FrugalClient
from api.local_service import LocalService
from automl.data.bank import generate
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.execution import execute
from scheduler.ingestion import Ingestor
from scheduler.predictor import Predictor
from scheduler.retraining import Retraining
from scheduler.store import Store

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {
    "desktop": ViewportSize(width=1280, height=900),
    "phone": ViewportSize(width=360, height=740),
}
MOST_PIXELS = {"desktop": 1700, "phone": 1500}  # of height: the rest is more of the same
QUALITY = 40
TARGET, MODEL, ZONE = "became_fragile", "fragile-customers", "FR"
NIGHTS = 9
MOST_BALANCES = 60_000
SERVICE = {"FRUGAL_ZONE": ZONE, "FRUGAL_REQUESTS_PER_MINUTE": "1000000"}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the pictures show, by its id."""

    dataset: str
    balances: str
    job: str
    trials: tuple[int, ...]
    schedule: str


class Bank:
    """The service's parts in this process, on the folder that the service is started with later."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder, zone=ZONE, requests_per_minute=1_000_000)
        self.store = Store(self.settings.resolved_database_url)
        self.store.migrate()
        self.artifacts = ArtifactStore(folder / "artifacts")
        self.ingestor = Ingestor(self.store, self.artifacts, self.settings)
        self.predictor = Predictor(self.artifacts, self.settings)
        app = create_app(
            store=self.store,
            artifacts=self.artifacts,
            ingestor=self.ingestor,
            service=None,
            predictor=self.predictor,
            settings=self.settings,
        )
        now = datetime.now(UTC)
        project = self.store.add_project("bank", now=now)
        secret, _ = self.store.add_token(project.id, name="anne", now=now)
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._client = app.test_client()
        self.retraining = Retraining(self.store, self.artifacts, self.settings, self.ingestor)

    def close(self) -> None:
        """End the children and the connections."""
        self.predictor.stop()
        self.store.close()

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        """The answer as JSON. Raises RuntimeError where it is a problem."""
        answer = self._client.open(path, method=method, headers=self._headers, **sent)
        if answer.status_code >= 400:
            raise RuntimeError(answer.text)
        return answer.json

    def rows(self, path: str, table: pa.Table) -> str:
        """Upload rows, wait until they are read, and return the id of the data set."""
        body = io.BytesIO()
        pyarrow.csv.write_csv(table, body)
        made = self.ask("POST", path, data=body.getvalue(), content_type="text/csv")
        while self.ask("GET", f"/v1/datasets/{made['id']}")["state"] == "INGESTING":
            time.sleep(0.1)
        return str(made["id"])

    def work(self, now: datetime) -> None:
        """Run every job that waits, by a clock that goes on from a moment."""
        begun = time.monotonic()

        def clock() -> datetime:
            return now + timedelta(seconds=time.monotonic() - begun)

        while job := self.store.claim_job(owner="pictures", lease_seconds=3600, now=clock()):
            execute(
                job.id,
                job.epoch,
                store=self.store,
                artifacts=self.artifacts,
                settings=self.settings,
                clock=clock,
            )

    def night(self, schedule: str) -> None:
        """Live through the next night of a schedule."""
        due = datetime.fromisoformat(self.ask("GET", f"/v1/schedules/{schedule}")["next_at"])
        self.retraining.due(due)
        self.work(due + timedelta(hours=2))
        self.retraining.due(due + timedelta(hours=3))


def live(bank: Bank, *, n_customers: int) -> Shown:
    """Data, a search, and nights: most without anything new, some with labels."""
    made = generate(n_customers, seed=3)
    table = made.customers
    n_first = int(0.6 * n_customers)
    dataset = bank.rows("/v1/datasets?name=customers.csv&key=customer_id", table.slice(0, n_first))
    balances = bank.rows("/v1/datasets?name=balances.csv", made.balances.slice(0, MOST_BALANCES))
    job = bank.ask(
        "POST",
        "/v1/jobs",
        json={
            "dataset": dataset,
            "target": TARGET,
            "model": MODEL,
            "objective": {"alert_rate": 0.02},
            "subgroups": ["age_band", "region"],
            "seed": 0,
        },
    )["id"]
    bank.work(datetime.now(UTC))
    trials = bank.ask("GET", f"/v1/jobs/{job}/leaderboard?limit=3")["items"]
    schedule = bank.ask(
        "POST",
        "/v1/schedules",
        json={
            "name": "every night",
            "model": MODEL,
            "at": {"finish_by": "06:00", "hours": 8},
            "time_zone": "Europe/Paris",
            "promote": "auto",
        },
    )["id"]
    parts = {2: table.slice(n_first, n_customers // 5), 6: table.slice(n_first + n_customers // 5)}
    newest = dataset
    for night in range(NIGHTS):
        if night in parts:
            newest = bank.rows(f"/v1/datasets/{newest}/versions", parts[night])
        bank.night(schedule)
    return Shown(
        dataset=dataset,
        balances=balances,
        job=job,
        trials=tuple(one["number"] for one in trials),
        schedule=schedule,
    )


def pages(shown: Shown) -> dict[str, str]:
    """The address of each page by the name of its picture."""
    trials = "&".join(f"trial={number}" for number in shown.trials)
    model = f"/ui/models/{MODEL}"
    return {
        "overview": "/ui/",
        "datasets": "/ui/datasets",
        "upload": "/ui/datasets/new",
        "dataset": f"/ui/datasets/{shown.dataset}",
        "together": f"/ui/datasets/together?id={shown.dataset}&id={shown.balances}&target={TARGET}",
        "new-job": f"/ui/jobs/new?dataset={shown.dataset}&target={TARGET}",
        "jobs": "/ui/jobs",
        "job": f"/ui/jobs/{shown.job}",
        "leaderboard": f"/ui/jobs/{shown.job}/leaderboard",
        "compare": f"/ui/jobs/{shown.job}/compare?{trials}",
        "models": "/ui/models",
        "model": model,
        "curves": f"{model}/curves",
        "versions": f"{model}/versions",
        "predictions": f"{model}/predictions",
        "schedules": "/ui/schedules",
        "schedule": f"/ui/schedules/{shown.schedule}?month={datetime.now(UTC):%Y-%m}",
        "new-schedule": f"/ui/schedules/new?model={MODEL}",
        "carbon": "/ui/carbon",
        "frugality": f"/v1/jobs/{shown.job}/frugality?format=html",
    }


def take(page: Page, file: Path, *, most: int) -> None:
    """The page as WebP, as wide as the screen and at most so many pixels high."""
    page.wait_for_load_state("load")
    for figure in page.locator("figure.chart").all():
        if figure.is_visible():
            figure.locator("svg").first.wait_for(state="attached", timeout=20_000)
    page.wait_for_timeout(400)
    size = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    session = page.context.new_cdp_session(page)
    clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], most), "scale": 1}
    options = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True, "clip": clip}
    file.write_bytes(base64.b64decode(session.send("Page.captureScreenshot", options)["data"]))
    session.detach()


@contextmanager
def visit(service: LocalService, size: ViewportSize) -> Iterator[Page]:
    """A browser of one size, signed in."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit("no Chromium is installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=size, base_url=service.url)
        page.goto("/ui/sign-in")
        page.fill("#token", service.token)
        page.click("main button")
        yield page
        browser.close()


def pictures(service: LocalService, shown: Shown, folder: Path) -> None:
    """Every page at every size, and one customer's prediction, which has to be asked for."""
    for name, size in SIZES.items():
        most = MOST_PIXELS[name]
        with visit(service, size) as page:
            for title, path in pages(shown).items():
                page.goto(path)
                take(page, folder / f"{title}-{name}.webp", most=most)
            page.goto(f"/ui/models/{MODEL}/row")
            page.get_by_label("debt_to_income").fill("0.7")
            page.get_by_label("late_payments_12m").fill("3")
            page.get_by_role("button", name="Predict").click()
            take(page, folder / f"customer-{name}.webp", most=most)
            with service.client() as client:
                job = _begin(client, shown)
            page.goto(f"/ui/jobs/{job}")
            page.locator("#rungs").wait_for(timeout=120_000)
            page.wait_for_timeout(1500)
            take(page, folder / f"live-{name}.webp", most=most)
            page.goto("/ui/sign-in")
            take(page, folder / f"sign-in-{name}.webp", most=most)


def _begin(client: FrugalClient, shown: Shown) -> str:
    """A search that takes long enough to be watched."""
    asked = {"dataset": shown.dataset, "target": TARGET, "mode": "best", "seed": 1}
    made: Any = client.submit(asked)
    return str(made["id"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Live through it and take the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", type=Path, default=IMAGES)
    parser.add_argument("--customers", type=int, default=6000)
    asked = parser.parse_args(arguments)
    asked.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        try:
            shown = live(bank, n_customers=asked.customers)
        finally:
            bank.close()
        with LocalService(Path(folder), settings=SERVICE) as service:
            pictures(service, shown, asked.to)
    total = sum(file.stat().st_size for file in asked.to.glob("*.webp"))
    print(f"{len(list(asked.to.glob('*.webp')))} pictures, {total / 1e6:.2f} MB, in {asked.to}")


if __name__ == "__main__":
    main()
