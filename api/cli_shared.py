"""What all nouns of the command line share: options, errors in one sentence, JSON or a table."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from api.client import FrugalClient
    from scheduler.config import Settings
    from scheduler.store import Store

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the service's data (default $FRUGAL_DATA_DIR)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Url = Annotated[
    str,
    typer.Option("--url", envvar="FRUGAL_URL", help="Address of the service."),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="FRUGAL_TOKEN",
        help="Token; better in the environment, since command lines are seen by others.",
        show_default=False,
        show_envvar=True,
    ),
]
HERE = "http://127.0.0.1:8080"


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


@contextlib.contextmanager
def service(url: str, token: str) -> Iterator[FrugalClient]:
    """A client of the service; what goes wrong is one sentence and exit code 1."""
    if not token:
        typer.secho(
            "give a token in FRUGAL_TOKEN; `frugal token add` makes one", fg="red", err=True
        )
        raise typer.Exit(1)
    from api.client import FrugalClient

    with plain_errors(), FrugalClient(url, token) as client:
        yield client


def tell(values: Any, as_json: bool, sentence: str) -> None:
    """Print JSON or a sentence."""
    typer.echo(json.dumps(values, default=str) if as_json else sentence)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows for people; a terminal that is too narrow wraps cells and cuts none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # for a pipe: a row is a line
    if not rows:
        console.print(empty, markup=False)
        return
    table = Table(*columns, box=None, header_style="dim")
    for row in rows:
        # As text: a name of somebody's may look like markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)


def minute(text: str | None) -> str:
    """A moment of an answer, to the minute.

    >>> minute("2026-11-23T02:30:00Z"), minute(None)
    ('2026-11-23 02:30 UTC', '')
    """
    if text is None:
        return ""
    from datetime import UTC, datetime

    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
