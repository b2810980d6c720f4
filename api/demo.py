"""`frugal demo`: the whole way from a table to a model and its bill, on a made-up bank."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.client import FrugalClient, JobEvent
from api.client_calls import Json
from api.local_service import LocalService
from automl.errors import FrugalError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TARGET = "became_fragile"
KEY = "customer_id"
TABLES: dict[str, Json] = {
    "customers": {"role": "entities"},
    "balances": {"role": "series", "key": KEY, "to": "customers", "time": "month_end"},
    "contacts": {
        "role": "log",
        "key": "key",
        "to": f"customers.{KEY}",
        "time": "time",
        "message": "message",
    },
}
STEPS = (("customers",), ("customers", "balances"), ("customers", "balances", "contacts"))
MODE = "eco"  # three searches in a minute
SETTINGS = {"FRUGAL_JOB_PROCESSES": "2"}
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
        files = write_bank(folder / "bank", n_customers=n_customers, seed=seed)
        n_bytes = sum(path.stat().st_size for path in files.values())
        console.print(
            f"[dim]made-up bank, seed {seed}, {_megabytes(n_bytes)} of CSV, Parquet and log[/]"
        )
        with (
            LocalService(folder / "service", settings=SETTINGS) as service,
            service.client() as client,
        ):
            console.print(f"[dim]service at {service.url}, data in {_shown(data_dir)}[/]")
            found = search(client, files, seed=seed, console=console)
    seconds = time.monotonic() - began
    if as_json:
        sys.stdout.write(json.dumps({**found, "seconds": round(seconds, 1)}) + "\n")
        return
    print_result(console, found)
    console.print(f"\n[dim]{seconds:.0f} s in all, the service's start included[/]")


def write_bank(folder: Path, *, n_customers: int, seed: int) -> dict[str, Path]:
    """Write the made-up bank's three tables and return their paths by name."""
    from automl.data.bank import generate

    return generate(n_customers, seed=seed).write(folder)


def search(client: FrugalClient, files: dict[str, Path], *, seed: int, console: Console) -> Json:
    """Upload the tables, search on one, two and all three of them, and read what came of it."""
    sources = {}
    for name, path in files.items():
        options = {"log_format": "iso_message"} if path.suffix == ".log" else {}
        table = client.upload(path, name=f"bank {name}", options=options)
        sources[name] = _ready(table)["id"]
    jobs = []
    for names in STEPS:
        dataset = _ready(client.assemble(spec(names, sources), name=f"bank {names[-1]}"))
        jobs.append((names, dataset, _submitted(client, dataset, seed=seed, console=console)))
    stored = f"{_megabytes(dataset['bytes_stored'])} kept"
    console.print(f"[dim]{dataset['n_rows']:,} customers: {stored}[/]\n")
    steps = []
    for names, dataset, job in jobs:
        whole = len(names) == len(files)
        on_event = (lambda event: show(console, event)) if whole else None
        job = client.wait(job["id"], on_event=on_event)
        if job["state"] != "DONE":
            problem = job["problem"] or {}
            raise DemoFailed(
                f"the job ended {job['state']}: {problem.get('detail', job['stop_reason'])}"
            )
        found = {
            "dataset": dataset,
            "job": job,
            "leaderboard": client.leaderboard(job["id"]),
            "receipt": client.receipt(job["id"]),
        }
        steps.append(step_of(names, found))
    return {**found, "steps": steps}


def spec(names: Sequence[str], sources: dict[str, str]) -> Json:
    """Some of the bank's tables as the service takes them."""
    tables = {
        name: {**about, "source": {"dataset": sources[name]}}
        for name, about in TABLES.items()
        if name in names
    }
    return {"tables": tables, "key": KEY, "target": TARGET, "cut_off": {"column": "cut_off"}}


def step_of(names: Sequence[str], found: Json) -> Json:
    """What was reached with these tables, and what that took."""
    admission = found["job"]["request"]["admission"]
    best = max(row["score"] or 0 for row in found["leaderboard"] if "recommended" in row["picks"])
    about = found["job"]["result"].get("tables") or {}
    return {
        "tables": list(names),
        "score": best,
        "prevalence": admission["n_positive"] / admission["n_labelled"],
        "cpu_seconds": found["receipt"]["total"]["cpu_seconds"],
        "groups": [one["name"] for one in about.get("feature_groups", ()) if one["kept"]],
    }


def _ready(dataset: Json) -> Json:
    if dataset["state"] != "READY":
        raise DemoFailed(f"a table was not read: {(dataset['problem'] or {}).get('detail')}")
    return dataset


def _submitted(client: FrugalClient, dataset: Json, *, seed: int, console: Console) -> Json:
    job = client.submit({"dataset": dataset["id"], "seed": seed, "mode": MODE})
    for warning in job["warnings"]:
        console.print(f"[yellow]{warning['detail']}[/]")
    return job


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
    console.print()
    console.print(receipt_table(found["receipt"]))
    for line in receipt_notes(found["receipt"]):
        console.print(f"[dim]{line}[/]")
    console.print()
    console.print(steps_table(found["steps"]))
    admission = found["job"]["request"]["admission"]
    console.print(
        f"[dim]{admission['n_positive']} of {admission['n_labelled']:,} customers became fragile: "
        f"chance scores {found['steps'][-1]['prevalence']:.3f}[/]"
    )


def steps_table(steps: Sequence[Json]) -> Table:
    """What each further table adds, and what it takes."""
    from rich.table import Table

    from api.report import number

    table = Table(title="What each table adds", title_justify="left", box=None, pad_edge=False)
    table.add_column("tables")
    for name in ("AP", "x chance", "CPU-s", "groups kept"):
        table.add_column(name, justify="right")
    for step in steps:
        table.add_row(
            " + ".join(step["tables"]),
            f"{step['score']:.3f}",
            f"{step['score'] / step['prevalence']:.1f}",
            number(step["cpu_seconds"]),
            str(len(step["groups"])),
        )
    return table


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
