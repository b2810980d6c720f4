"""Files that a command is given or writes: how a table is read, the tables of a spec, answers."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import typer

from api.cli_shared import read_object, read_text
from api.whole_file import whole_file

FormT = TypeVar("FormT", bound=StrEnum)

Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="How to read the file, e.g. delimiter=';' or decimal=,  (again for another).",
        show_default=False,
    ),
]


def reading_options(given: Sequence[str] | None) -> dict[str, str]:
    """Options of the form name=value.

    Raises BadParameter for what has no name, or one that no reader knows.

    >>> reading_options(["delimiter=;", "decimal=,"])
    {'delimiter': ';', 'decimal': ','}
    """
    if not given:
        return {}
    from automl.data.options import ReadingOptions

    known = [field.name for field in fields(ReadingOptions)]
    options = {}
    for one in given:
        name, equals, value = one.partition("=")
        name = name.replace("-", "_")
        if not name or not equals:
            raise typer.BadParameter(f"{one!r} is not NAME=VALUE", param_hint="--option")
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} is none of {', '.join(known)}", param_hint="--option"
            )
        options[name] = value
    return options


def check_there(
    data: Path | str, spec: typer.FileText | None, *, hint: str, other: str = ""
) -> None:
    """Say that a file is not there before a service is asked for it. Raises BadParameter.

    Parameters
    ----------
    hint : the name of the argument
    other : what else it may be than a file, in words
    """
    path = Path(data)
    if spec is None and path.is_dir():
        what = "is a folder: say --spec"
    elif not path.exists():
        what = f"is no file{other}"
    else:
        return
    raise typer.BadParameter(f"{str(data)!r} {what}", param_hint=hint)


def form_of(out: Path | None, default: FormT) -> FormT:
    """How a file is written, by its name; without one, or one without an ending, the default.

    Raises BadParameter for another ending.
    """
    if out is None or not out.suffix:
        return default
    forms = list(type(default))
    for form in forms:
        if out.suffix.lower() == f".{form.value}":
            return form
    known = ", ".join(f".{form.value}" for form in forms)
    raise typer.BadParameter(
        f"{out.name!r} ends in none of {known}: say --format", param_hint="--out"
    )


@contextlib.contextmanager
def destination(out: Path | None) -> Iterator[IO[bytes]]:
    """Where an answer goes, stdout by default; a file is there only once it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    with whole_file(out) as file:
        yield file


def spec_with_files(spec: typer.FileText, folder: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """A spec, and the path of each table that names a file: relative to the folder.

    Raises
    ------
    DataError
        ``malformed_json``, ``bad_spec``.
    FileNotFoundError
        A table's file is not there.
    BadParameter
        It is a folder, which is read in place and not sent.
    """
    from automl.errors import DataError

    given = read_object(read_text(spec, what=spec.name), what=spec.name)
    tables = given.get("tables")
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        raise DataError(f"{spec.name}: tables must be an object of objects", code="bad_spec")
    base = folder if folder.is_dir() else folder.parent
    files: dict[str, Path] = {}
    declared: dict[str, Any] = {}
    for name, table in tables.items():
        source = table.get("source") or {}
        declared[name] = {key: value for key, value in table.items() if key != "source"}
        if "file" in source:
            files[name] = base / str(source["file"])
        elif source:
            declared[name]["source"] = source
        else:
            files[name] = _named(base, name)
    for name, path in files.items():
        path.stat()
        if path.is_dir():
            uri = path.resolve().as_uri()
            raise typer.BadParameter(
                f"table '{name}' is the folder {str(path)!r}: give it the source "
                f'{{"uri": "{uri}"}}, and a service whose FRUGAL_FEED_ROOTS has it reads it there',
                param_hint="--spec",
            )
    return {**given, "tables": declared}, files


def _named(base: Path, table: str) -> Path:
    """The file of a table that names none: called like it."""
    found = sorted(one for one in base.glob(f"{table}.*") if one.is_file())
    return found[0] if len(found) == 1 else base / table
