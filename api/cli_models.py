"""`frugal models`: what answers, what it is, and which version of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from api.cli_service import Own, Token, Url, service
from api.cli_shared import AsJson, minute, show, show_table, tell

models_app = typer.Typer(help="Models that were found.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the model, as `frugal models list` shows.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="Another than the one that answers.")
]


@models_app.command("list", epilog="Example:  frugal models list --json")
def list_all(url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False) -> None:
    """List models, newest first, each with the version that answers."""
    with service(url, token, own) as client:
        items = client.models()
    if as_json:
        typer.echo(json.dumps(items))
        return
    show_table(
        ("name", "version", "made", "job"),
        [(one["name"], one["version"], minute(one["created_at"]), one["job"]) for one in items],
        empty="there is no model; `frugal run FILE --target COLUMN` finds one",
    )


@models_app.command("show", epilog="Example:  frugal models show bank")
def show_one(
    name: Name, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Show which version of a model answers, which there are, and since when."""
    with service(url, token, own) as client:
        found, promotions = client.model(name), client.promotions(name)
    if as_json:
        typer.echo(json.dumps({**found, **promotions}))
        return
    versions = ", ".join(map(str, promotions["versions"]))
    show_table(
        ("model", name),
        [
            ("answers", f"version {promotions['serving']}"),
            ("versions", versions),
            ("made", minute(found["created_at"])),
            ("job", found["job"]),
            ("data set", found["dataset"]),
            ("sha256", found["sha256"]),
        ],
        empty="",
    )
    if promotions["items"]:
        typer.echo()
        show_table(
            ("version", "since", "by", "because"),
            [
                (
                    one["version"],
                    minute(one["at"]),
                    one["actor"],
                    (one.get("reason") or {}).get("because", ""),
                )
                for one in promotions["items"]
            ],
            empty="",
        )


@models_app.command("card", epilog="Example:  frugal models card bank > bank.md")
def card(
    name: Name,
    version: Version = None,
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Print the card of a model: what it is, how good, its limits; as Markdown in a pipe."""
    with service(url, token, own) as client:
        if as_json:
            typer.echo(json.dumps(client.card(name, version=version)))
            return
        text = client.card_text(name, version=version)
    _show_markdown(text)


def _show_markdown(text: str) -> None:
    import sys

    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.markdown import Markdown

    show(Markdown(text))


@models_app.command("export", epilog="Example:  frugal models export bank bank.zip")
def export(
    name: Name,
    destination: Annotated[
        Path | None, typer.Argument(help="File to write (default NAME.zip).")
    ] = None,
    version: Version = None,
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Save a model as a zip: weights, checksums, and a loader that needs no service."""
    with service(url, token, own) as client:
        path = client.export(name, destination or Path(f"{name}.zip"), version=version)
        n_bytes = path.stat().st_size
    tell({"file": str(path), "bytes": n_bytes}, as_json, f"{path}, {n_bytes:,} bytes")


@models_app.command("promote", epilog="Example:  frugal models promote bank 3 --because 'audited'")
def promote(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to answer.")],
    because: Annotated[str, typer.Option(help="For the record.")] = "",
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Let a version answer from now on, also when newer ones come."""
    with service(url, token, own) as client:
        found = client.promote(name, version, because=because)
    tell(found, as_json, f"version {found['version']} of {name} answers")


@models_app.command("rollback", epilog="Example:  frugal models rollback bank")
def rollback(
    name: Name, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Let the version answer again that did before; once more goes one step further back."""
    with service(url, token, own) as client:
        found = client.rollback(name)
    tell(found, as_json, f"version {found['version']} of {name} answers")


@models_app.command("rm", epilog="Example:  frugal models rm bank")
def remove(
    name: Name, url: Url = "", token: Token = "", own: Own = None, as_json: AsJson = False
) -> None:
    """Delete every version of a model; its jobs keep their leaderboards."""
    with service(url, token, own) as client:
        client.delete_model(name)
    tell({"deleted": name}, as_json, f"deleted {name}")
