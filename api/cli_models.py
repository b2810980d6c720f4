"""`frugal models`: what answers, what it is, and which version of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_options import spread
from api.cli_service import Answer, At, asks, service
from api.cli_shared import AsJson, minute, show_markdown, show_table, table

if TYPE_CHECKING:
    from api.client import FrugalClient

models_app = typer.Typer(help="Models that were found.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the model, as `frugal models list` shows.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="Another than the one that answers.")
]


@models_app.command("list", epilog="Example:  frugal models list --json")
@asks()
def list_all(client: FrugalClient) -> Answer:
    """List models, newest first, each with the version that answers."""
    items = client.models()
    rows = [(one["name"], one["version"], minute(one["created_at"]), one["job"]) for one in items]
    return items, table(
        ("name", "version", "made", "job"),
        rows,
        empty="there is no model; `frugal run FILE --target COLUMN` finds one",
    )


@models_app.command("show", epilog="Example:  frugal models show bank")
@asks()
def show_one(client: FrugalClient, name: Name) -> Answer:
    """Show which version of a model answers, which there are, and since when."""
    found, promotions = client.model(name), client.promotions(name)
    about = [
        ("answers", f"version {promotions['serving']}"),
        ("versions", ", ".join(map(str, promotions["versions"]))),
        ("made", minute(found["created_at"])),
        ("job", found["job"]),
        ("data set", found["dataset"]),
        ("sha256", found["sha256"]),
    ]
    since = [
        (one["version"], minute(one["at"]), one["actor"], (one["reason"] or {}).get("because", ""))
        for one in promotions["items"]
    ]

    def people() -> None:
        show_table(("model", name), about)
        if since:
            typer.echo()
            show_table(("version", "since", "by", "because"), since)

    return {**found, **promotions}, people


@models_app.command("card", epilog="Example:  frugal models card bank > bank.md")
@spread
def card(name: Name, version: Version = None, *, at: At, as_json: AsJson = False) -> None:
    """Print the card of a model: what it is, how good, its limits; as Markdown in a pipe."""
    with service(at) as client:
        if as_json:
            typer.echo(json.dumps(client.card(name, version=version)))
        else:
            show_markdown(client.card_text(name, version=version))


@models_app.command("export", epilog="Example:  frugal models export bank bank.zip")
@asks()
def export(
    client: FrugalClient,
    name: Name,
    destination: Annotated[
        Path | None, typer.Argument(help="File to write (default NAME.zip).")
    ] = None,
    version: Version = None,
) -> Answer:
    """Save a model as a zip: weights, checksums, and a loader that needs no service."""
    path = client.export(name, destination or Path(f"{name}.zip"), version=version)
    n_bytes = path.stat().st_size
    return {"file": str(path), "bytes": n_bytes}, f"{path}, {n_bytes:,} bytes"


@models_app.command("promote", epilog="Example:  frugal models promote bank 3 --because 'audited'")
@asks()
def promote(
    client: FrugalClient,
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to answer.")],
    because: Annotated[str, typer.Option(help="For the record.")] = "",
) -> Answer:
    """Let a version answer from now on, also when newer ones come."""
    return _answers(client.promote(name, version, because=because))


@models_app.command("rollback", epilog="Example:  frugal models rollback bank")
@asks()
def rollback(client: FrugalClient, name: Name) -> Answer:
    """Let the version answer again that did before; once more goes one step further back."""
    return _answers(client.rollback(name))


def _answers(found: dict[str, Any]) -> Answer:
    return found, f"version {found['version']} of {found['name']} answers"


@models_app.command("rm", epilog="Example:  frugal models rm bank")
@asks()
def remove(client: FrugalClient, name: Name) -> Answer:
    """Delete every version of a model; its jobs keep their leaderboards."""
    client.delete_model(name)
    return {"deleted": name}, f"deleted {name}"
