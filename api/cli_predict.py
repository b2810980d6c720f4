"""`frugal predict`: a file of rows in, a file of probabilities out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from api.cli_files import check_there, destination, form_of
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
            help="File of rows: CSV, Parquet or JSON Lines, each also gzipped; - for CSV on stdin; "
            "or .json as POST /v1/models/MODEL/predict takes it. Or the id of a data set, whose "
            "rows are predicted with their tables; with --spec the folder of its files.",
            show_default=False,
        ),
    ],
    spec: Annotated[
        typer.FileText | None,
        typer.Option(
            help="JSON that says what several tables are to each other: they are put together as a "
            "data set, which is kept.",
            show_default=False,
        ),
    ] = None,
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
    form = Form.json if as_json else form or form_of(out, Form.csv)
    if form is Form.parquet and out is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not for a terminal: say --out", param_hint="--format")
    from api.client_jobs import is_id

    whole = spec is not None or (rows != "-" and is_id(rows))
    if whole and (form is Form.json or out is None):
        raise typer.BadParameter(
            "the rows of a data set are written to a file: say --out with .csv or .parquet",
            param_hint="--out",
        )
    if whole and reasons:
        raise typer.BadParameter(
            "the rows of a data set come without reasons", param_hint="--reasons"
        )
    if rows != "-" and (spec is not None or not whole):
        check_there(rows, spec, hint="ROWS", other=", and no id of a data set")
    with service(at) as client:
        if whole and out is not None:
            if spec is not None:
                rows = _assembled(client, rows, spec)
            n_rows = _predict_dataset(client, model, rows, out=out, form=form, version=version)
        else:
            from api.client_rows import pieces_of

            with destination(out) as file:
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
                    writer.add(content, report)
                writer.report = about_tables(writer.report, model)
                writer.end()
            n_rows = writer.report["n_rows"]
            for line in _odd(writer.report):
                complain(f"warning: {line}")
    if out is not None:
        typer.secho(f"{out}: {n_rows:,} rows", dim=True, err=True)


_ACCEPT = {
    Form.csv: "text/csv",
    Form.parquet: "application/vnd.apache.parquet",
    Form.json: "application/json",
}


class _Writer:
    """Puts the answers to pieces of a file together as one file."""

    def __init__(self, file: IO[bytes], form: Form) -> None:
        self.file, self.form = file, form
        self.contents: list[bytes] = []
        self.answer: dict[str, Any] = {}
        self.report: dict[str, Any] = {}

    def add(self, content: bytes, report: Mapping[str, Any]) -> None:
        """The next answer, and the report on its rows; CSV is written as it comes."""
        if self.form is Form.json:  # whose report is whole, as that of a header need not be
            answer = json.loads(content)
            report = answer["report"]
            predictions = self.answer.get("predictions", []) + answer["predictions"]
            self.answer = {**answer, "predictions": predictions}
        elif self.form is Form.csv:
            self.file.write(content if not self.report else content.partition(b"\n")[2])
        else:
            self.contents.append(content)
        self.report = merged(self.report, report)

    def end(self) -> None:
        """Write what had to wait for the others."""
        if self.form is Form.json:
            text = json.dumps({**self.answer, "report": self.report})
            self.file.write(text.encode() + b"\n")
        elif self.form is Form.parquet:
            from api.client_rows import joined_parquet

            self.file.write(joined_parquet(self.contents))
        self.file.flush()


def merged(so_far: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """The report on the rows of two pieces of a file.

    >>> one = {"n_rows": 2, "drift": False, "out_of_range": {"age": 1}, "warnings": ["a"]}
    >>> merged(one, {"n_rows": 1, "drift": True, "out_of_range": {"age": 1, "n": 1}})
    {'n_rows': 3, 'drift': True, 'out_of_range': {'age': 2, 'n': 1}, 'warnings': ['a']}
    """
    found = dict(so_far)
    for name, value in report.items():
        known = found.get(name)
        if known is None:
            found[name] = value
        elif isinstance(value, bool):
            found[name] = known or value
        elif isinstance(value, int):
            found[name] = known + value
        elif isinstance(value, Mapping):
            found[name] = merged(known, value)
        elif isinstance(value, list):
            found[name] = [*known, *(one for one in value if one not in known)]
    return found


def _assembled(client: FrugalClient, folder: str, spec: typer.FileText) -> str:
    """The id of the data set that a spec and its files make."""
    from api.cli_datasets import added

    dataset = added(client, Path(folder), name=None, spec=spec, options={})
    typer.secho(f"data set {dataset['id']}: {dataset['n_rows']:,} rows", dim=True, err=True)
    return str(dataset["id"])


def _predict_dataset(
    client: FrugalClient, model: str, dataset: str, *, out: Path, form: Form, version: Any
) -> int:
    """Every row of a data set, by the service itself; how many they were."""
    from automl.errors import DataError

    batch = client.predict_dataset(model, dataset, format=form.value, version=version)
    if batch["state"] != "DONE":
        problem = batch["problem"] or {}
        raise DataError(
            problem.get("detail", "the predictions failed"),
            code=problem.get("code", "predictions_failed"),
        )
    client.download_predictions(batch["id"], out)
    return int(batch["n_rows"])


def about_tables(report: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The report, with a warning of tables that the model reads and that did not come."""
    from api.client_models import absent_tables

    absent = absent_tables(report)
    if not absent:
        return dict(report)
    detail = (
        f"{absent}; `frugal predict {model} FOLDER --spec SPEC.json -o FILE` takes rows with "
        "their tables"
    )
    warning = {"code": "tables_missing", "detail": detail}
    return {**report, "warnings": [warning, *(report.get("warnings") or ())]}


def _odd(report: Mapping[str, Any]) -> Iterator[str]:
    """What a user should know of the rows, a line each."""
    from api.client_models import some

    for one in report.get("warnings") or ():
        yield str(one.get("detail", one.get("code")))
    for name, said in (
        ("unseen_categories", "texts that the model has not seen, in"),
        ("out_of_range", "numbers beyond those it was trained on, in"),
    ):
        if report.get(name):
            yield f"{said} {some(report[name])}"
    if report.get("drift"):
        yield "the rows look different from those the model was trained on"
    if report.get("cut"):
        yield "the report was too long to come with the rows: --json has all of it"
