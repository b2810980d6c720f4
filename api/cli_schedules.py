"""`frugal schedules`: what a service trains again every day, and what came of each day."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_service import Answer, asks
from api.cli_shared import minute, read_object, read_text, table

if TYPE_CHECKING:
    from api.client import FrugalClient

schedules_app = typer.Typer(
    help="Models that a running service trains again every day that is worth it.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(help="Id of the schedule, as `frugal schedules list` shows.")]


@schedules_app.command("list", epilog="Example:  frugal schedules list --json")
@asks()
def list_all(client: FrugalClient) -> Answer:
    """List schedules, newest first."""
    items = client.schedules()
    rows = [
        (
            one["id"],
            one["name"],
            one["request"].get("model"),
            one["state"],
            minute(one["next_at"]),
            one["request"].get("promote"),
        )
        for one in items
    ]
    columns = ("id", "name", "model", "state", "next", "promote")
    return items, table(columns, rows, empty="there is no schedule")


@schedules_app.command("add", epilog="Example:  frugal schedules add nightly.json")
@asks()
def add(
    client: FrugalClient,
    request: Annotated[
        typer.FileText, typer.Argument(help="JSON as POST /v1/schedules takes it; - for stdin.")
    ],
) -> Answer:
    """Make a schedule, and say when it is due next."""
    made = client.add_schedule(read_object(read_text(request, what="the file"), what="the file"))
    lines = [f"{made['id']} is due {minute(made['next_at'])}", made["dst_note"]]
    return made, "\n".join(line for line in lines if line)


@schedules_app.command(
    "show", epilog="Example:  frugal schedules show 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
@asks()
def show(client: FrugalClient, schedule: Id) -> Answer:
    """Show one schedule: what was asked for, and when it is due next."""
    found = client.schedule(schedule)
    times = ", ".join(map(minute, found["next_times"])) or "not while it is paused"
    rows = [("state", found["state"]), ("next", times), ("clocks", found["dst_note"])]
    rows += [("unread", f"{one['file']}: {one['detail']}") for one in found["unread"]]
    rows += [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in found["request"].items()
        if value is not None
    ]
    return found, table(("", found["name"]), [row for row in rows if row[1]])


@schedules_app.command(
    "runs", epilog="Example:  frugal schedules runs 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90 --limit 7"
)
@asks()
def runs(
    client: FrugalClient,
    schedule: Id,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 30,
) -> Answer:
    """List what became of each local date, newest first, and why."""
    items = client.runs(schedule, limit=limit)
    promoted = {True: "yes", False: "no", None: ""}
    rows = [
        (
            one["local_date"],
            one["state"],
            promoted[one["promoted"]],
            one["missed"] or None,
            len(one["unread"]) or None,
            one["because"],
        )
        for one in items
    ]
    columns = ("date", "state", "promoted", "missed", "unread", "because")
    return items, table(columns, rows, empty="it has had no run yet")


@schedules_app.command(
    "pause", epilog="Example:  frugal schedules pause 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
@asks()
def pause(client: FrugalClient, schedule: Id) -> Answer:
    """Pause a schedule: days that go by have no run."""
    return client.pause_schedule(schedule), f"paused {schedule}"


@schedules_app.command(
    "resume", epilog="Example:  frugal schedules resume 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
@asks()
def resume(client: FrugalClient, schedule: Id) -> Answer:
    """Let a paused schedule go on."""
    found = client.resume_schedule(schedule)
    return found, f"{schedule} is due {minute(found['next_at'])}"


@schedules_app.command(
    "delete", epilog="Example:  frugal schedules delete 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
@asks()
def delete(client: FrugalClient, schedule: Id) -> Answer:
    """Delete a schedule; a job that it has submitted goes on."""
    client.delete_schedule(schedule)
    return {"deleted": schedule}, f"deleted {schedule}"
