"""The finished trials of a job: quality against energy, as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from api.auth import negotiated, produces
from api.context import parts, project_id
from api.schemas import LeaderboardQuery
from api.schemas_jobs import SCORE_NAMES
from api.schemas_leaderboard import LeaderboardAnswer, LeaderboardRow
from automl.search.pareto import Point, pareto_front
from automl.trial import RUNGS
from scheduler.declared_use import use_text
from scheduler.job_intensity import job_intensity
from scheduler.records import Job, StoredTrial

leaderboard = APIBlueprint("leaderboard", __name__, url_prefix="/v1", tag="Jobs")

CSV = "text/csv"
CSV_PAGE = 1000
MAX_LIVE_TRIALS = 2000  # of a running job, whose front is not stored yet


@leaderboard.get("/jobs/<job_id>/leaderboard")
@leaderboard.input(LeaderboardQuery, location="query")
@leaderboard.output(LeaderboardAnswer)
@leaderboard.doc(operation_id="getLeaderboard")
@produces("application/json", CSV)
def show(job_id: str, query_data: LeaderboardQuery) -> Any:
    """Every finished trial with its score, interval, energy and gCO2e.

    With Accept: text/csv it comes as CSV, whole unless `limit` or `offset` is given.
    """
    job = parts().store.get_job(project_id(), job_id)
    reader = _Reader(job, query_data)
    if negotiated("application/json", CSV) == CSV:
        whole = not {"limit", "offset"} & query_data.model_fields_set
        page = () if whole else reader.page(query_data.limit, query_data.offset)[0]
        body = "".join(_csv(reader.all() if whole else page))
        name = f"leaderboard-{job.id}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(body, mimetype=CSV, headers=headers)
    rows, total = reader.page(query_data.limit, query_data.offset)
    return LeaderboardAnswer(
        items=rows,
        total=total,
        state=job.state.value,
        grams_per_kwh=reader.intensity.grams_per_kwh,
        intensity_source=reader.intensity.text,
        zone=reader.intensity.zone,
        use=reader.use,
        tables=(job.result or {}).get("tables"),
    )


class _Reader:
    """Pages of one job's trials in one order."""

    def __init__(self, job: Job, query: LeaderboardQuery) -> None:
        self.job = job
        self.sort = query.sort
        self.descending = (
            query.order == "descending" if query.order is not None else query.sort == "score"
        )
        asked = (job.request.get("objective") or {}).get("metric") or "average_precision"
        labelled = job.request.get("target") is not None
        self.metric = SCORE_NAMES.get(asked, asked) if labelled else None
        self.intensity = job_intensity(job, parts().settings.zone)
        self.use = use_text(job.request)
        self.front = frozenset(_front(job))
        self.lifetimes = dict((job.result or {}).get("lifetimes") or {})
        self.picks = dict((job.result or {}).get("picks") or {})
        self.only = sorted(self.front) if query.front == "true" else None
        self.rung, self.model = query.rung, query.model

    def page(self, limit: int, offset: int) -> tuple[list[LeaderboardRow], int]:
        """Rows and how many there are in all."""
        trials, total = parts().store.leaderboard(
            self.job.id,
            sort=self.sort,
            descending=self.descending,
            limit=limit,
            offset=offset,
            front=self.only,
            rung=self.rung,
            model=self.model,
        )
        rows = [
            LeaderboardRow.of(
                trial,
                grams_per_kwh=self.intensity.grams_per_kwh,
                metric=self.metric,
                front=self.front,
                picks=self.picks,
                lifetime=self.lifetimes.get(str(trial.number)),
                use=self.use,
            )
            for trial in trials
            if trial.trial is not None
        ]
        return rows, total

    def all(self) -> Iterator[LeaderboardRow]:
        """Every row."""
        offset, total = 0, 1
        while offset < total:
            rows, total = self.page(CSV_PAGE, offset)
            yield from rows
            offset += CSV_PAGE


def _front(job: Job) -> list[int]:
    """Numbers of the trials on the front: as the search said, or so far."""
    if job.result is not None:
        return [int(number) for number in job.result.get("front") or ()]
    trials, _ = parts().store.leaderboard(
        job.id, sort="number", descending=True, limit=MAX_LIVE_TRIALS, offset=0
    )
    return live_front(trials)


def live_front(trials: list[StoredTrial]) -> list[int]:
    """The front of the highest rung that has a score: scores of two rungs do not compare."""
    points: dict[str, list[Point]] = {}
    for stored in trials:
        trial = stored.trial
        if trial is not None and trial.score is not None:
            point = Point(
                number=trial.number,
                score=trial.score,
                joules=trial.expected.joules,
                name=trial.candidate.id,
            )
            points.setdefault(trial.proposal.rung, []).append(point)
    for rung in reversed(RUNGS):
        if rung in points:
            return [point.number for point in pareto_front(points[rung])]
    return []


def _csv(rows: Iterable[LeaderboardRow]) -> Iterator[str]:
    names = list(LeaderboardRow.model_fields)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([cell(getattr(row, name)) for name in names])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def cell(value: Any) -> str | float | int:
    """A value as a spreadsheet may open it: a text that it would run as a formula gets a quote.

    >>> cell("=cmd|' /C calc'!A0")
    "'=cmd|' /C calc'!A0"
    >>> cell(-0.5)
    -0.5
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
