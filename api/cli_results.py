"""`frugal leaderboard` and `frugal receipt`: what came of a job, and what it took."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_jobs import Id, job_id
from api.cli_service import Answer, asks
from api.cli_shared import show

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
