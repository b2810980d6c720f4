"""`frugal jobs`: what was asked for, how far it is, and stopping it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_options import spread
from api.cli_service import Answer, At, asks, service
from api.cli_shared import AsJson, minute, show_table, table, warn

if TYPE_CHECKING:
    from api.client import FrugalClient

jobs_app = typer.Typer(help="Searches that were asked for.", no_args_is_help=True)

Id = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="Id of the job, as `frugal jobs list` shows; `last` is the newest."
    ),
]


class State(StrEnum):
    """As `scheduler.records.JobState` has them, without importing it."""

    SUBMITTED = "SUBMITTED"
    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    QUARANTINED = "QUARANTINED"


@jobs_app.command("list", epilog="Example:  frugal jobs list --state RUNNING")
@asks()
def list_all(
    client: FrugalClient,
    state: Annotated[State | None, typer.Option(help="Only these.", case_sensitive=False)] = None,
) -> Answer:
    """List jobs, newest first."""
    items = client.jobs(state=None if state is None else state.value)
    rows = [(one["id"], one["model"], one["state"], minute(one["submitted_at"])) for one in items]
    return items, table(
        ("id", "model", "state", "submitted"),
        rows,
        empty="there is no job; `frugal run FILE --target COLUMN` asks for one",
    )


@jobs_app.command("show", epilog="Example:  frugal jobs show last")
@asks()
def show_one(client: FrugalClient, job: Id) -> Answer:
    """Show one job: when it runs and why, how it ended, and what was asked for."""
    found = client.job(job_id(client, job))

    def people() -> None:
        show_table(("job", found["id"]), _lines(found))
        warn(found["warnings"])

    return found, people


def _lines(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is known of a job, by name."""
    problem, plan = job["problem"] or {}, job["plan"] or {}
    request = {
        name: value
        for name, value in job["request"].items()
        if value not in (None, [], {}, False) and name != "admission"
    }
    rows = [
        ("state", job["state"]),
        ("model", job["model"]),
        ("submitted", minute(job["submitted_at"])),
        ("plan", plan.get("reason", "")),
        ("starts", minute(job["start_at"]) if job["started_at"] is None else ""),
        ("started", minute(job["started_at"])),
        ("finished", minute(job["finished_at"])),
        ("finish by", minute(job["finish_by"])),
        ("stopped", job["stop_reason"] or ""),
        ("problem", problem.get("detail", "")),
    ]
    rows += [
        (name, value if isinstance(value, str) else json.dumps(_said(value)))
        for name, value in request.items()
        if name not in ("model", "webhook")
    ]
    return [row for row in rows if row[1] not in ("", "{}")]


def _said(value: Any) -> Any:
    """A part of a request without what was not said."""
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if one is not None}
    return value


def job_id(client: FrugalClient, given: str) -> str:
    """The id itself, or that of the newest job. Raises UnknownRecord where there is none."""
    if given != "last":
        return given
    page = client._json("GET", "/v1/jobs", params={"limit": 1})
    if not page["items"]:
        from api.client import ServiceError

        raise ServiceError(404, {"detail": "there is no job", "code": "not_found"})
    return str(page["items"][0]["id"])


@jobs_app.command(
    "watch",
    epilog="Example:  frugal jobs watch last   |   exit code 5: it ended without a model",
)
@spread
def watch(job: Id, at: At, as_json: AsJson = False) -> None:
    """Follow a job until it ends; Ctrl-C leaves it alone."""
    from api.cli_run import print_found, waited

    with service(at, works=True) as client:
        found = waited(client, client.job(job_id(client, job)), own=False)
        print_found(client, found, as_json=as_json)


@jobs_app.command("cancel", epilog="Example:  frugal jobs cancel last")
@asks()
def cancel(client: FrugalClient, job: Id) -> Answer:
    """Stop a job after its current trial; it keeps the best model so far."""
    found = client.cancel(job_id(client, job))
    return found, f"{found['id']} stops after its current trial"


@jobs_app.command("pause", epilog="Example:  frugal jobs pause last")
@asks()
def pause(client: FrugalClient, job: Id) -> Answer:
    """Pause a job after its current trial, until it is resumed."""
    found = client.pause(job_id(client, job))
    return found, f"{found['id']} pauses after its current trial"


@jobs_app.command("resume", epilog="Example:  frugal jobs resume last")
@asks()
def resume(client: FrugalClient, job: Id) -> Answer:
    """Let a paused job go on as soon as a worker is free."""
    found = client.resume(job_id(client, job))
    return found, f"{found['id']} goes on"
