"""`frugal predict`: a file of rows in, a file of probabilities out."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from api.cli_options import spread
from api.cli_service import At, service
from api.cli_shared import complain

if TYPE_CHECKING:
    from api.client import FrugalClient


class Form(StrEnum):
    """How predictions are written."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


@spread
def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name of the model.", show_default=False)
    ],
    rows: Annotated[
        str,
        typer.Argument(
            metavar="ROWS",
            help="File of rows: CSV, Parquet or JSON Lines, each also gzipped; - for CSV on stdin. "
            "Or the id of a data set, whose rows are predicted with their tables.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File to write, .csv or .parquet (default: CSV to stdout)."
        ),
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="Else by the name of --out.")
    ] = None,
    reasons: Annotated[
        int, typer.Option(min=0, max=20, help="So many columns that moved each row furthest.")
    ] = 0,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Another than the one that answers.")
    ] = None,
    *,
    at: At,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
) -> None:
    """Write the probability of the event, and whether to alert, for each row of a file.

    In the order of the rows, any number of them. What is odd about the rows is said on stderr.
    """
    form = Form.json if as_json else form or _form_of(out)
    if form is Form.parquet and out is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not for a terminal: say --out", param_hint="--format")
    from api.client_jobs import is_id

    if rows != "-" and not is_id(rows) and not Path(rows).is_file():
        raise typer.BadParameter(f"{rows!r} is no file, and no id of a data set", param_hint="ROWS")
    with service(at) as client:
        if rows != "-" and is_id(rows):
            _predict_dataset(client, model, rows, out=out, form=form, version=version)
            return
        from api.client_rows import pieces_of

        with _destination(out, form) as file:
            n_rows, odd = 0, set[str]()
            writer = _Writer(file, form)
            for piece in pieces_of(rows):
                content, report = client.predict_file(
                    model,
                    piece.content,
                    content_type=piece.content_type,
                    accept=_ACCEPT[form],
                    version=version,
                    reasons=reasons,
                )
                writer.add(content)
                n_rows += report.get("n_rows", 0)
                odd |= set(_odd(report))
            writer.end()
    for line in sorted(odd):
        complain(f"warning: {line}")
    if out is not None:
        typer.secho(f"{out}: {n_rows:,} rows", dim=True, err=True)


_ACCEPT = {
    Form.csv: "text/csv",
    Form.parquet: "application/vnd.apache.parquet",
    Form.json: "application/json",
}


def _form_of(out: Path | None) -> Form:
    if out is not None and out.suffix == ".parquet":
        return Form.parquet
    return Form.json if out is not None and out.suffix == ".json" else Form.csv


class _Writer:
    """Puts the answers to pieces of a file together as one file."""

    def __init__(self, file: IO[bytes], form: Form) -> None:
        self.file, self.form = file, form
        self.contents: list[bytes] = []
        self.begun = False

    def add(self, content: bytes) -> None:
        """The next answer; CSV is written as it comes."""
        if self.form is not Form.csv:
            self.contents.append(content)
            return
        self.file.write(content if not self.begun else content.partition(b"\n")[2])
        self.begun = True

    def end(self) -> None:
        """Write what had to wait for the others."""
        if self.form is Form.json:
            found: dict[str, Any] = json.loads(self.contents[0])
            for content in self.contents[1:]:
                found["predictions"] += json.loads(content)["predictions"]
            found["report"]["n_rows"] = len(found["predictions"])
            self.file.write(json.dumps(found).encode() + b"\n")
        elif self.form is Form.parquet:
            from api.client_rows import joined_parquet

            self.file.write(joined_parquet(self.contents))
        self.file.flush()


def _predict_dataset(
    client: FrugalClient, model: str, dataset: str, *, out: Path | None, form: Form, version: Any
) -> None:
    """Every row of a data set, by the service itself."""
    from automl.errors import DataError

    if form is Form.json or out is None:
        raise typer.BadParameter(
            "the rows of a data set are written to a file: say --out with .csv or .parquet",
            param_hint="--out",
        )
    batch = client.predict_dataset(model, dataset, format=form.value, version=version)
    if batch["state"] != "DONE":
        problem = batch["problem"] or {}
        raise DataError(
            problem.get("detail", "the predictions failed"),
            code=problem.get("code", "predictions_failed"),
        )
    client.download_predictions(batch["id"], out)
    typer.secho(f"{out}: {batch['n_rows']:,} rows", dim=True, err=True)


@contextlib.contextmanager
def _destination(out: Path | None, form: Form) -> Iterator[IO[bytes]]:
    """Where predictions go; a file is there only once it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    partial = out.with_name(f"{out.name}.part")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


def _odd(report: dict[str, Any]) -> Iterator[str]:
    for name, said in (
        ("extra_columns", "columns that the model does not read"),
        ("unseen_categories", "texts that the model has not seen, in"),
        ("out_of_range", "numbers beyond those it was trained on, in"),
    ):
        columns = list(report.get(name) or ())
        if columns and (name != "extra_columns"):
            more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
            yield f"{said} {', '.join(map(repr, columns[:5]))}{more}"
    if report.get("drift"):
        yield "the rows look different from those the model was trained on"
