"""A job that waits, starts in its window, pauses, goes on, and its bill: in real time, over HTTP.

    python -m benchmarks.window_demo

A service reads a made-up grid from a file, as it would read a meter's: dirty, with a clean stretch
half a minute ahead. The job is paused after its third trial and sent on ten seconds later. Pauses
between windows are planned in steps of half an hour, so they are shown by tests and not here. It
takes two minutes. Exits with 1 when the job did anything else.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.client import FrugalClient, JobEvent
from api.demo import KEY, TARGET, write_bank
from api.local_service import LocalService

STEP = timedelta(seconds=5)
DIRTY, CLEAN = 400.0, 80.0
BEFORE = timedelta(seconds=30)  # the clean stretch begins
STRETCH = timedelta(seconds=120)
PAUSE_SECONDS = 10.0
SETTLED_SECONDS = 120.0
N_TRIALS = 3  # before the pause
ZONE = "DE"


def write_grid(path: Path, *, now: datetime) -> None:
    """Ten minutes of history, twenty of what will have been, and the forecast that says so."""
    begins = now + BEFORE
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "gco2eq_per_kwh", "issued_at"])
        for index in range(-120, 240):
            at = now + index * STEP
            grams = CLEAN if begins <= at < begins + STRETCH else DIRTY
            if at >= now:
                rows.writerow([at.isoformat(), grams, now.isoformat()])
            rows.writerow([at.isoformat(), grams + 5, ""])  # what was, a little off


def main() -> int:
    """Run the job and print what happens when it happens."""
    with tempfile.TemporaryDirectory() as name:
        folder, meter = Path(name), Path(name) / "meter"
        meter.mkdir()
        table = write_bank(folder / "bank", n_customers=20_000, seed=0)["customers"]
        settings = {
            "FRUGAL_ZONE": ZONE,
            "FRUGAL_INTENSITY": f"replay:{meter}?zone={ZONE}",
            "FRUGAL_TICK_SECONDS": "1",
        }
        with (
            LocalService(folder / "service", settings=settings) as service,
            service.client() as client,
        ):
            dataset = client.upload(table, name="bank customers")
            return _run(client, dataset["id"], meter / "grid.csv")


def _settled(client: FrugalClient, job_id: str) -> dict[str, Any]:
    """The bill when the meter has written all its intervals: before, what was saved is not told."""
    end = time.monotonic() + SETTLED_SECONDS
    while True:
        receipt: dict[str, Any] = client.receipt(job_id)
        if receipt["levers"]["later"]["saved_gco2e"] is not None or time.monotonic() > end:
            return receipt
        time.sleep(1)


def _run(client: FrugalClient, dataset: str, grid: Path) -> int:
    now = datetime.now(UTC).replace(microsecond=0)
    now -= timedelta(seconds=now.second % STEP.seconds)
    write_grid(grid, now=now)
    request: dict[str, Any] = {
        "dataset": dataset,
        "target": TARGET,
        "exclude": [KEY],
        "mode": "best",
        "when": {
            "policy": "low_carbon",
            "zone": ZONE,
            "finish_by": (now + timedelta(minutes=15)).isoformat(),
        },
    }
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    expected = client.plan(request)["expected"]
    say(f"a job of about {expected['seconds']:.0f} s and {expected['kwh'] * 1e3:.2g} Wh")
    job = client.submit(request)
    say(f"{job['state']}: {job['plan']['reason']}")
    states: list[str] = []
    resume: list[threading.Timer] = []

    def told(event: JobEvent) -> None:
        data = event.data
        if event.kind == "trial":
            say(f"trial {data['number']}: {data['candidate']['model']}")
            if data["number"] == N_TRIALS - 1:
                client.pause(job["id"])
        elif event.kind in ("state", "end") and data.get("state"):
            states.append(data["state"])
            asked = "asked to pause" if data.get("pause_requested") else data.get("reason")
            say(f"{data['state']}: {asked or 'under way'}" if event.kind == "state" else "DONE")
            if data["state"] == "PAUSED":
                resume.append(threading.Timer(PAUSE_SECONDS, client.resume, [job["id"]]))
                resume[-1].start()

    done = client.wait(job["id"], on_event=told)
    say(f"{done['stop_reason']}")
    receipt = _settled(client, job["id"])
    total, later = receipt["total"], receipt["levers"]["later"]
    if later["saved_gco2e"] is None:
        print("ITS BILL WAS NOT SETTLED")
        return 1
    say(
        f"{total['joules']:.0f} J, {total['gco2e'] * 1e3:.3g} mg CO2e; at its submission"
        f" {later['gco2e_at_submission'] * 1e3:.3g} mg: {later['saved_gco2e'] * 1e3:.3g} mg saved"
        f" by waiting {later['waited_seconds']:.0f} s, {later['planned_saving_gco2e'] * 1e3:.3g} mg"
        " planned"
    )
    kept = done["state"] == "DONE" and "PAUSED" in states and later["saved_gco2e"] > 0
    print("it waited, paused and went on" if kept else "IT DID NOT WAIT, PAUSE AND GO ON")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
