"""The command `frugal`. What it needs is imported inside each verb: `frugal --help` is quick."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from scheduler.config import Settings
    from scheduler.store import Store

app = typer.Typer(
    name="frugal",
    help="Models for rare events, with an honest bill in kWh and gCO2e.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings are environment variables, e.g. FRUGAL_PORT=9000 frugal serve. "
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.",
)
token_app = typer.Typer(help="Tokens of the service's users.", no_args_is_help=True)
app.add_typer(token_app, name="token")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the service's data (default $FRUGAL_DATA_DIR)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


# Who works on the machine itself is no token: the audit says so.
OPERATOR = "operator"


class Role(StrEnum):
    """As `api.roles` has them, without importing it."""

    viewer = "viewer"
    analyst = "analyst"
    approver = "approver"
    admin = "admin"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the interpreter with the exit code."""
    app(args=arguments)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """One sentence to stderr and exit code 1 for what is no fault of ours; no traceback."""
    import pydantic
    from sqlalchemy.exc import SQLAlchemyError

    from automl.errors import FrugalError

    try:
        yield
    except FrugalError as error:
        typer.secho(f"{error} ({error.code})", fg="red", err=True)
    except pydantic.ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = "FRUGAL_" + "_".join(str(part) for part in item["loc"]).upper()
            typer.secho(f"{name}: {item['msg']}", fg="red", err=True)
    except SQLAlchemyError as error:
        typer.secho(f"the database does not answer: {type(error).__name__}", fg="red", err=True)
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        typer.secho(f"{error.strerror or error}{place}", fg="red", err=True)
    else:
        return
    raise typer.Exit(1)


def read_settings(data_dir: Path | None = None, **given: Any) -> Settings:
    """Settings of the environment; options given on the command line win."""
    from scheduler.config import Settings

    options = {"data_dir": data_dir, **given}
    return Settings(**{name: value for name, value in options.items() if value is not None})


@contextlib.contextmanager
def opened_store(data_dir: Path | None) -> Iterator[Store]:
    """The store of the settings, which must exist already; closed at the end."""
    from scheduler.store import Store

    settings = read_settings(data_dir)
    if not settings.database_url and not (settings.data_dir / "frugal.db").is_file():
        typer.secho(
            f"no service has run in {settings.data_dir.absolute()}; "
            "give --data-dir or FRUGAL_DATA_DIR",
            fg="red",
            err=True,
        )
        raise typer.Exit(1)
    store = Store(settings.resolved_database_url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@app.command(epilog="Examples:  frugal serve   |   frugal serve --port 9000 --data-dir /srv/frugal")
def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address (default 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port, 0 for any (default 8080).")
    ] = None,
    without_scheduler: Annotated[
        bool, typer.Option("--without-scheduler", help="`python -m scheduler` runs the jobs.")
    ] = False,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    On the first start it prints a token; every request needs one.
    """
    with plain_errors():
        settings = read_settings(data_dir, host=host, port=port)
        from api.server import serve as run

        code = run(
            settings,
            with_scheduler=not without_scheduler,
            until_stdin_closes=until_stdin_closes,
        )
    raise typer.Exit(code)


@app.command(epilog="Examples:  frugal demo   |   frugal demo --json > demo.json")
def demo(
    customers: Annotated[
        int, typer.Option(min=2000, help="Customers of the made-up bank.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same customers and search.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep everything here (default a temporary folder).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the fragile customers of a made-up bank, and see what it took.

    Starts a service of its own, uploads one table, searches, and prints the leaderboard, the
    three picks and the receipt. Needs no network and about a minute.
    """
    with plain_errors():
        from api.demo import run

        run(n_customers=customers, seed=seed, data_dir=data_dir, as_json=as_json)


@app.command(epilog="Example:  frugal backup /backups/2026-11-22")
def backup(
    destination: Annotated[Path, typer.Argument(help="New folder to write.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy the database and all stored data and models, with their checksums.

    May run while the service does.
    """
    with plain_errors():
        from scheduler.backup import backup as copy

        report = copy(read_settings(data_dir), destination, now=datetime.now(UTC))
        tell(report, as_json, f"backup in {destination}")


@app.command(epilog="Example:  frugal restore /backups/2026-11-22 --data-dir /srv/frugal")
def restore(
    source: Annotated[Path, typer.Argument(help="Folder that `frugal backup` wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty data folder; every checksum is verified.

    The service must not run.
    """
    with plain_errors():
        from scheduler.backup import restore as bring_back

        report = bring_back(read_settings(data_dir), source)
        tell(report, as_json, f"restored {source}")


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    number = installed("frugal-automl")
    tell({"version": number}, as_json, f"frugal {number}")


@token_app.command("add", epilog="Example:  frugal token add analyst --days 90")
def token_add(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    project: Annotated[
        str | None,
        typer.Option(help="Project it belongs to; made if new (default: the first)."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Valid so long (default always).")] = None,
    role: Annotated[
        Role,
        typer.Option(
            help="What it may do: viewer reads and predicts, analyst also uploads and searches, "
            "approver also promotes, deletes and reads the audit, admin everything."
        ),
    ] = Role.analyst,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    with plain_errors(), opened_store(data_dir) as store:
        now = datetime.now(UTC)
        expires = None if days is None else now + timedelta(days=days)
        wanted = [item for item in store.list_projects() if project in (None, item.name)]
        owner = wanted[0] if wanted else store.add_project(project or "default", now=now)
        secret, token = store.add_token(
            owner.id, name=name, now=now, expires_at=expires, role=role.value, actor=OPERATOR
        )
        values = {"id": token.id, "project": owner.name, "name": name, "role": token.role}
        values["token"] = secret
        tell(values, as_json, secret)


@token_app.command("list", epilog="Example:  frugal token list --json")
def token_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List tokens, without their secrets."""
    with plain_errors(), opened_store(data_dir) as store:
        tokens = store.list_tokens()
        names = {project.id: project.name for project in store.list_projects()}
        if as_json:
            values = [
                {
                    "id": token.id,
                    "project": names[token.project_id],
                    "name": token.name,
                    "role": token.role,
                    "created_at": token.created_at.isoformat(),
                    "expires_at": token.expires_at and token.expires_at.isoformat(),
                    "revoked_at": token.revoked_at and token.revoked_at.isoformat(),
                }
                for token in tokens
            ]
            typer.echo(json.dumps(values))
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(
            "id", "name", "role", "project", "made", "state", box=None, header_style="dim"
        )
        now = datetime.now(UTC)
        for token in tokens:
            expired = token.expires_at is not None and token.expires_at <= now
            state = "revoked" if token.revoked_at else "expired" if expired else "valid"
            made = f"{token.created_at:%Y-%m-%d}"
            table.add_row(token.id, token.name, token.role, names[token.project_id], made, state)
        Console().print(table)


@token_app.command(
    "revoke", epilog="Example:  frugal token revoke 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="Id of the token, as `frugal token list` shows.")],
    data_dir: DataDir = None,
) -> None:
    """Make a token invalid, at once."""
    with plain_errors(), opened_store(data_dir) as store:
        store.revoke_token(token_id, now=datetime.now(UTC), actor=OPERATOR)
        typer.echo(f"revoked {token_id}")


def tell(values: Any, as_json: bool, sentence: str) -> None:
    """Print JSON or a sentence."""
    typer.echo(json.dumps(values, default=str) if as_json else sentence)
