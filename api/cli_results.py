"""`frugal leaderboard` and `frugal receipt`: what came of a job, and what it took."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from api.cli_jobs import Id, job_id
from api.cli_service import Own, Token, Url, service
from api.cli_shared import AsJson, show


class Sort(StrEnum):
    """As `api.schemas.LeaderboardQuery` has them."""

    score = "score"
    joules = "joules"
    predict_joules = "predict_joules"
    number = "number"


def leaderboard(
    job: Id = "last",
    front: Annotated[
        bool, typer.Option("--front", help="Only the front of quality against energy.")
    ] = False,
    sort: Annotated[Sort, typer.Option(help="Order of --json; people get rungs.")] = Sort.score,
    limit: Annotated[int, typer.Option(min=1, help="Lines of the table.")] = 12,
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Show the models that were tried, their quality and their energy, and the three picks."""
    with service(url, token, own) as client:
        rows = client.leaderboard(job_id(client, job), sort=sort.value, front=front)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo("no trial has ended yet")
        return
    from api.report import leaderboard_table, picks_table

    show(leaderboard_table(rows, limit=limit), "", picks_table(rows))


def receipt(
    job: Id = "last",
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Show the bill of a job: kWh and gCO2e of every phase, how measured, and how sure."""
    with service(url, token, own) as client:
        found = client.receipt(job_id(client, job))
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.text import Text

    from api.report import receipt_notes, receipt_table, saved_lines

    if not found["final"]:
        typer.echo("so far: the job has not ended")
    notes = [*saved_lines(found), *receipt_notes(found)]
    show(receipt_table(found), *(Text(line, style="dim") for line in notes))
