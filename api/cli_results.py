"""`frugal leaderboard`, `receipt` and `report`: what came of a job, and what it took."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_files import destination, form_of
from api.cli_jobs import Id, job_id
from api.cli_options import spread
from api.cli_service import Answer, At, asks, service
from api.cli_shared import show, show_markdown

if TYPE_CHECKING:
    from api.client import FrugalClient


class Sort(StrEnum):
    """As `api.schemas.LeaderboardQuery` has them."""

    score = "score"
    joules = "joules"
    predict_joules = "predict_joules"
    number = "number"


@asks()
def leaderboard(
    client: FrugalClient,
    job: Id = "last",
    front: Annotated[
        bool, typer.Option("--front", help="Only the front of quality against energy.")
    ] = False,
    sort: Annotated[Sort, typer.Option(help="Order of --json; people get rungs.")] = Sort.score,
    limit: Annotated[int, typer.Option(min=1, help="Lines of the table.")] = 12,
) -> Answer:
    """Show the models that were tried, their quality and their energy, and the three picks."""
    rows = client.leaderboard(job_id(client, job), sort=sort.value, front=front)
    if not rows:
        return rows, "no trial has ended yet"
    from api.report import leaderboard_table, picks_table

    return rows, partial(show, leaderboard_table(rows, limit=limit), "", picks_table(rows))


@asks()
def receipt(client: FrugalClient, job: Id = "last") -> Answer:
    """Show the bill of a job: kWh and gCO2e of every phase, how measured, and how sure."""
    found = client.receipt(job_id(client, job))
    from rich.text import Text

    from api.report import receipt_notes, receipt_table, saved_lines

    notes = [*saved_lines(found), *receipt_notes(found)]
    first = [] if found["final"] else ["so far: the job has not ended"]
    lines = (Text(line, style="dim") for line in notes)
    return found, partial(show, *first, receipt_table(found), *lines)


class Form(StrEnum):
    """How a report is written."""

    html = "html"
    md = "md"
    json = "json"


@spread
def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="JOB_OR_MODEL",
            help="Id of a job, or `last`, the newest; or the name of a model.",
        ),
    ] = "last",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write, .html, .md or .json (default: stdout)."),
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="Else by the name of --out, else md.")
    ] = None,
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="Of the model; else the one that answers."),
    ] = None,
    embodied_kg: Annotated[
        float | None, typer.Option(help="CO2e of the machine's making, in kg; with the next two.")
    ] = None,
    lifespan_years: Annotated[float | None, typer.Option(help="How long it is in use.")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="How many cores it has.")] = None,
    *,
    at: At,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
) -> None:
    """Write the frugality report of a job, or of the job that made a model.

    What was read and what was not, what it took, emitted and saved, how sure that is, and which
    points of the public checklists it answers. HTML is one file that can be printed and sent.
    """
    form = Form.json if as_json else form or form_of(out, Form.md)
    machine = (embodied_kg, lifespan_years, cores)
    if None in machine and machine != (None, None, None):
        raise typer.BadParameter("--embodied-kg, --lifespan-years and --cores go together")
    from api.client_jobs import is_id

    is_job = what == "last" or is_id(what)
    if is_job and version is not None:
        raise typer.BadParameter("a job has no version: name its model", param_hint="--version")
    asked: dict[str, Any] = {"version": version}
    asked["machine"] = None if None in machine else machine
    with service(at) as client:
        asked |= {"job_id": job_id(client, what)} if is_job else {"model": what}
        if form is Form.json:
            text = json.dumps(client.frugality(**asked)) + "\n"
        else:
            text = client.frugality_text(**asked, form="html" if form is Form.html else "markdown")
        if out is None and form is Form.md:
            show_markdown(text.removesuffix("\n"))
            return
        with destination(out) as file:
            file.write(text.encode())
            file.flush()
    if out is not None:
        typer.secho(f"{out}: {len(text.encode()):,} bytes", dim=True, err=True)
