"""What all nouns of the command line share: options, errors in one sentence, JSON or a table."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from scheduler.config import Settings
    from scheduler.store import Store

# What scripts can tell apart; `frugal --help` lists them.
FAILED, WRONG_USAGE, NO_SERVICE, UNKNOWN, JOB_FAILED = 1, 2, 3, 4, 5
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_CODES = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no service, or not with this token; "
    "4 no such record; 5 the job ended without a model; 130 interrupted."
)
# What to do about it, by the code of a problem.
HINTS = {
    "positive_label_required": "name it with --positive; `frugal datasets show` has the values",
    "not_binary": "name the positive values with --positive, once for each",
    "no_positives": "`frugal datasets show` has the values of the target",
    "target_not_found": "`frugal datasets show` has the columns",
    "upload_broken": "frugal datasets add FILE --resume UPLOAD",
    "no_champion": "`frugal jobs list` says how its job ended",
}
# Where to look for what there is, by the noun of a path.
NOUNS = {
    "jobs": ("job", "`frugal jobs list` has the ids of jobs"),
    "models": (
        "model",
        "`frugal models list` has the names, `frugal models show NAME` the versions",
    ),
    "datasets": ("data set", "`frugal datasets list` has the ids of data sets"),
    "schedules": ("schedule", "`frugal schedules list` has the ids of schedules"),
    "uploads": ("upload", "add the file without --resume"),
}
WIDE = 1000  # for a pipe: a row is a line
TEXT = 40  # characters: what is longer may go over several lines

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the service's data (default $FRUGAL_DATA_DIR)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """One sentence to stderr and an exit code for what is no fault of ours; no traceback."""
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted")
        code = INTERRUPTED
    except Exception as error:
        said = exit_code(error)
        if said is None:
            raise
        code = said
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            _forget_stdout()
        else:
            complain(sentence(error))
            hint = hint_of(error)
            if hint is not None:
                complain(f"hint: {hint}")
    else:
        return
    raise typer.Exit(code)


def exit_code(error: Exception) -> int | None:
    """With what the command ends; None for what is a fault of ours, and gets its traceback.

    >>> exit_code(FileNotFoundError()), exit_code(PermissionError()), exit_code(KeyError())
    (2, 1, None)
    """
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
        return WRONG_USAGE
    if isinstance(error, OSError):
        return FAILED
    if "automl.errors" in sys.modules:
        from automl.errors import FrugalError

        if isinstance(error, FrugalError):
            return _of_frugal(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    return FAILED if names & {"ValidationError", "SQLAlchemyError"} else None


def _of_frugal(error: Any) -> int:
    status = getattr(error, "status", None)
    if error.code in ("unreachable", "service_failed", "no_service") or status == 401:
        return NO_SERVICE
    if status in (404, 410):
        return UNKNOWN
    if error.code == "not_found":  # of our own store, without a service
        return UNKNOWN
    return JOB_FAILED if error.code == "job_failed" else FAILED


def hint_of(error: Exception) -> str | None:
    """What to do about it, where that is known."""
    noun = _unknown(error)
    return HINTS.get(str(getattr(error, "code", ""))) if noun is None else NOUNS[noun[0]][1]


def _unknown(error: Exception) -> tuple[str, str] | None:
    """Noun and name of what a service does not know; None where it is not that.

    >>> class Missing(Exception):
    ...     code, path = "not_found", "/v1/jobs/a%2Fb/receipt"
    >>> _unknown(Missing())
    ('jobs', 'a/b')
    """
    if getattr(error, "code", "") != "not_found":
        return None
    noun, _, rest = str(getattr(error, "path", "")).removeprefix("/v1/").partition("/")
    name = rest.partition("/")[0]
    return (noun, unquote(name)) if noun in NOUNS and name else None


def sentence(error: Exception) -> str:
    """What went wrong, without a value of a setting or a cell."""
    unknown = _unknown(error)
    if unknown is not None:
        version = ", or no such version of it" if unknown[0] == "models" else ""
        return f"there is no {NOUNS[unknown[0]][0]} {unknown[1]!r}{version} (not_found)"
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}"
    if "SQLAlchemyError" in names:
        return f"the database does not answer: {type(error).__name__}"
    if "ValidationError" in names:
        found = error.errors(include_input=False, include_url=False)  # type: ignore[attr-defined]
        return "\n".join(
            f"FRUGAL_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in found
        )
    return f"{error} ({getattr(error, 'code', 'failed')})"


def complain(text: str) -> None:
    """Say on stderr what went wrong."""
    typer.secho(text, fg="red", err=True)


def warn(warnings: Iterable[Mapping[str, Any]]) -> None:
    """Say on stderr what is odd, but no error."""
    for one in warnings:
        complain(f"warning: {one.get('detail', one.get('code'))}")


def stop(text: str, code: int = FAILED) -> typer.Exit:
    """Say what went wrong, and return what ends the command: ``raise stop(...)``."""
    complain(text)
    return typer.Exit(code)


def _forget_stdout() -> None:
    """Who read our output has gone: what is still buffered must not fail at the very end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())


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
        raise stop(
            f"no service has run in {settings.data_dir.absolute()}; "
            "give --data-dir or FRUGAL_DATA_DIR"
        )
    store = Store(settings.resolved_database_url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


def read_object(text: str, *, what: str) -> dict[str, Any]:
    """A JSON object. Raises DataError ``malformed_json``."""
    from automl.errors import DataError

    where = ""

    def refuse(constant: str) -> None:
        raise DataError(f"{what}: {constant} is no JSON", code="malformed_json")

    try:
        found = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        found, where = None, f" (line {error.lineno}, column {error.colno})"
    except RecursionError:
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{what} is not a JSON object{where}", code="malformed_json")
    return found


def read_text(file: typer.FileText, *, what: str) -> str:
    """The text of a file or of stdin. Raises DataError ``not_text``."""
    from automl.errors import DataError

    try:
        return file.read()
    except UnicodeDecodeError:
        raise DataError(f"{what} is not a text in UTF-8", code="not_text") from None


def tell(values: Any, as_json: bool, sentence: str) -> None:
    """Print JSON or a sentence."""
    typer.echo(json.dumps(values, default=str) if as_json else sentence)


def show(*renderables: Any) -> None:
    """Print for people what rich can render; a narrow terminal cuts no id and no number."""
    from rich.console import Console, Group
    from rich.table import Table

    console = Console(highlight=False)
    width = console.width if console.is_terminal else WIDE
    parts = [
        part
        for one in renderables
        for part in (one.renderables if isinstance(one, Group) else [one])
    ]
    with console.capture() as shown:
        for part in parts:
            least = _least_width(console, part) if isinstance(part, Table) else 0
            console.width = max(width, least)
            console.print(part)
    lines = (line.rstrip() for line in shown.get().splitlines())
    typer.echo("\n".join(lines), color=console.is_terminal)


def _least_width(console: Console, table: Table) -> int:
    """How wide a table is whose texts alone are wrapped; the terminal wraps what is wider."""
    from rich.measure import Measurement

    options = console.options.update(width=WIDE)
    for column in table.columns:
        cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
        longest = max(cell.maximum for cell in cells)
        column.no_wrap = longest <= TEXT
        column.min_width = longest if column.no_wrap else max(cell.minimum for cell in cells)
    return Measurement.get(console, options, table).minimum


def show_markdown(text: str) -> None:
    """Print Markdown: as it is in a pipe, laid out on a terminal."""
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.markdown import Markdown

    show(Markdown(text))


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = ""
) -> Callable[[], None]:
    """What prints rows for people, once it is called."""
    return functools.partial(show_table, columns, rows, empty=empty)


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = ""
) -> None:
    """Print rows for people."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo(empty)
        return
    table = Table(*columns, box=None, header_style="dim", pad_edge=False)
    for row in rows:
        # As text: a name of somebody's may look like markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    show(table)


def megabytes(n_bytes: float | None) -> str:
    """A size for people.

    >>> megabytes(322078), megabytes(5.2e9), megabytes(12), megabytes(None)
    ('0.3 MB', '5.2 GB', '12 B', '')
    """
    if n_bytes is None:
        return ""
    if n_bytes < 50_000:
        return f"{n_bytes:,.0f} B"
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


def minute(text: str | None) -> str:
    """A moment of an answer, to the minute.

    >>> minute("2026-11-23T02:30:00Z"), minute(None)
    ('2026-11-23 02:30 UTC', '')
    """
    if text is None:
        return ""
    from datetime import UTC, datetime

    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@contextlib.contextmanager
def for_this_user_only() -> Iterator[None]:
    """What is written has personal data in it: no other user of the machine may read it."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
