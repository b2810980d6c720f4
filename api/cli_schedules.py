"""`frugal schedules`: what a service trains again every day, and what came of each day."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from api.cli_service import Own, Token, Url, service
from api.cli_shared import (
    AsJson,
    minute,
    plain_errors,
    read_object,
    read_text,
    show_table,
    tell,
)

schedules_app = typer.Typer(
    help="Models that a running service trains again every day that is worth it.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(help="Id of the schedule, as `frugal schedules list` shows.")]


@schedules_app.command("list", epilog="Example:  frugal schedules list --json")
def list_all(url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False) -> None:
    """List schedules, newest first."""
    with service(url, token, own) as client:
        items = client.schedules()
    if as_json:
        typer.echo(json.dumps(items))
        return
    show_table(
        ("id", "name", "model", "state", "next", "promote"),
        [
            (
                one["id"],
                one["name"],
                one["request"].get("model"),
                one["state"],
                minute(one["next_at"]),
                one["request"].get("promote"),
            )
            for one in items
        ],
        empty="there is no schedule",
    )


@schedules_app.command("add", epilog="Example:  frugal schedules add nightly.json")
def add(
    request: Annotated[
        typer.FileText, typer.Argument(help="JSON as POST /v1/schedules takes it; - for stdin.")
    ],
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Make a schedule, and say when it is due next."""
    with plain_errors():
        body = read_object(read_text(request, what="the file"), what="the file")
    with service(url, token, own) as client:
        made = client.add_schedule(body)
    tell(made, as_json, f"{made['id']} is due {minute(made['next_at'])}")
    if made["dst_note"] and not as_json:
        typer.echo(made["dst_note"])


@schedules_app.command(
    "show", epilog="Example:  frugal schedules show 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
def show(
    schedule: Id, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Show one schedule: what was asked for, and when it is due next."""
    with service(url, token, own) as client:
        found = client.schedule(schedule)
    if as_json:
        typer.echo(json.dumps(found))
        return
    times = ", ".join(map(minute, found["next_times"])) or "not while it is paused"
    rows = [("state", found["state"]), ("next", times), ("clocks", found["dst_note"])]
    rows += [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in found["request"].items()
        if value is not None
    ]
    show_table(("", found["name"]), [row for row in rows if row[1]], empty="")


@schedules_app.command(
    "runs", epilog="Example:  frugal schedules runs 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90 --limit 7"
)
def runs(
    schedule: Id,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 30,
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """List what became of each local date, newest first, and why."""
    with service(url, token, own) as client:
        items = client.runs(schedule, limit=limit)
    if as_json:
        typer.echo(json.dumps(items))
        return
    promoted = {True: "yes", False: "no", None: ""}
    show_table(
        ("date", "state", "promoted", "missed", "because"),
        [
            (
                one["local_date"],
                one["state"],
                promoted[one["promoted"]],
                one["missed"] or None,
                one["because"],
            )
            for one in items
        ],
        empty="it has had no run yet",
    )


@schedules_app.command(
    "pause", epilog="Example:  frugal schedules pause 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
def pause(
    schedule: Id, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Pause a schedule: days that go by have no run."""
    with service(url, token, own) as client:
        found = client.pause_schedule(schedule)
    tell(found, as_json, f"paused {schedule}")


@schedules_app.command(
    "resume", epilog="Example:  frugal schedules resume 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
def resume(
    schedule: Id, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Let a paused schedule go on."""
    with service(url, token, own) as client:
        found = client.resume_schedule(schedule)
    tell(found, as_json, f"{schedule} is due {minute(found['next_at'])}")


@schedules_app.command(
    "delete", epilog="Example:  frugal schedules delete 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
def delete(
    schedule: Id, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Delete a schedule; a job that it has submitted goes on."""
    with service(url, token, own) as client:
        client.delete_schedule(schedule)
    tell({"deleted": schedule}, as_json, f"deleted {schedule}")
