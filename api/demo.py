"""`frugal demo`: the whole way from a table to a model and its bill, on a made-up bank."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.client import FrugalClient, JobEvent
from api.client_calls import Json
from api.local_service import LocalService
from automl.errors import FrugalError

if TYPE_CHECKING:
    from rich.console import Console

TARGET = "became_fragile"
KEY = "customer_id"
WIDTH = 80


class DemoFailed(FrugalError):
    """The service took the data or the job, but did not bring it to an end."""

    code = "demo_failed"


def run(*, n_customers: int, seed: int, data_dir: Path | None, as_json: bool) -> None:
    """Run the demo and print it; see `frugal demo --help`.

    Raises
    ------
    FrugalError
        The service did not start, or refused something.
    """
    from rich.console import Console

    began = time.monotonic()
    # Progress goes to stderr when stdout is for a program.
    console = Console(stderr=as_json, highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    with _folder(data_dir) as folder:
        console.print(
            "[bold]frugal demo[/]: which customers of a bank are about to become fragile?"
        )
        table = write_customers(folder / "bank", n_customers=n_customers, seed=seed)
        console.print(
            f"[dim]made-up bank, seed {seed}, {_megabytes(table.stat().st_size)} of CSV[/]"
        )
        with LocalService(folder / "service") as service, service.client() as client:
            console.print(f"[dim]service at {service.url}, data in {_shown(data_dir)}[/]")
            found = search(client, table, seed=seed, console=console)
    seconds = time.monotonic() - began
    if as_json:
        sys.stdout.write(json.dumps({**found, "seconds": round(seconds, 1)}) + "\n")
        return
    print_result(console, found)
    console.print(f"\n[dim]{seconds:.0f} s in all, the service's start included[/]")


def write_customers(folder: Path, *, n_customers: int, seed: int) -> Path:
    """Write the made-up bank's tables and return the path of the customers' one."""
    from automl.data.bank import generate

    return generate(n_customers, seed=seed).write(folder)["customers"]


def search(client: FrugalClient, table: Path, *, seed: int, console: Console) -> Json:
    """Upload, search, follow the search, and read what came of it."""
    dataset = client.upload(table, name="bank customers")
    if dataset["state"] != "READY":
        raise DemoFailed(f"the table was not read: {(dataset['problem'] or {}).get('detail')}")
    stored = (
        f"{_megabytes(dataset['bytes_in'])} read in, {_megabytes(dataset['bytes_stored'])} kept"
    )
    console.print(f"[dim]{dataset['n_rows']:,} rows: {stored}[/]\n")
    request = {"dataset": dataset["id"], "target": TARGET, "exclude": [KEY], "seed": seed}
    job = client.submit(request)
    for warning in job["warnings"]:
        console.print(f"[yellow]{warning['detail']}[/]")
    job = client.wait(job["id"], on_event=lambda event: show(console, event))
    if job["state"] != "DONE":
        problem = job["problem"] or {}
        raise DemoFailed(
            f"the job ended {job['state']}: {problem.get('detail', job['stop_reason'])}"
        )
    return {
        "dataset": dataset,
        "job": job,
        "leaderboard": client.leaderboard(job["id"]),
        "receipt": client.receipt(job["id"]),
    }


def show(console: Console, event: JobEvent) -> None:
    """One line for one event, as it comes."""
    from api.report import number

    data: dict[str, Any] = event.data
    if event.kind == "trial":
        model = data["candidate"]["model"]
        score = "failed" if data["score"] is None else f"AP {data['score']:.3f}"
        console.print(
            f"  trial {data['number']:>2}  {data['rung']:<10}  {model:<11} "
            f"{data['n_rows']:>7,} rows  {score}  {number(data['cost']['cpu_seconds']):>6} CPU-s"
        )
    elif event.kind == "end":
        console.print(f"  [dim]stopped: {data.get('stop_reason')}[/]\n")


def print_result(console: Console, found: Json) -> None:
    """The leaderboard, the picks and the receipt."""
    from api.report import leaderboard_table, picks_table, receipt_notes, receipt_table

    console.print(leaderboard_table(found["leaderboard"]))
    console.print()
    console.print(picks_table(found["leaderboard"]))
    admission = found["job"]["request"]["admission"]
    rate = admission["n_positive"] / admission["n_labelled"]
    best = max(row["score"] or 0 for row in found["leaderboard"] if "recommended" in row["picks"])
    console.print(
        f"[dim]{admission['n_positive']} of {admission['n_labelled']:,} customers became fragile: "
        f"chance scores {rate:.3f}, R {best / rate:.1f} times that[/]"
    )
    console.print()
    console.print(receipt_table(found["receipt"]))
    for line in receipt_notes(found["receipt"]):
        console.print(f"[dim]{line}[/]")


@contextlib.contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="frugal-demo-") as name:
        yield Path(name)


def _shown(data_dir: Path | None) -> str:
    return "a temporary folder" if data_dir is None else str(data_dir)


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
