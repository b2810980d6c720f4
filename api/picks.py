"""The picks of a finished job, had the model another use than its job said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiflask import APIBlueprint

from api.context import parts, project_id
from api.schemas_jobs import SCORE_NAMES
from api.schemas_picks import FrontPoint, PicksAnswer, PicksQuery
from automl.cost import JOULES_PER_KWH
from automl.search.pareto import Point, pareto_front
from automl.search.pareto import picks as picked
from scheduler.declared_use import predictions, use_text
from scheduler.errors import Conflict
from scheduler.job_intensity import job_intensity
from scheduler.records import Job, StoredTrial

picks = APIBlueprint("picks", __name__, url_prefix="/v1", tag="Jobs")


@picks.get("/jobs/<job_id>/picks")
@picks.input(PicksQuery, location="query")
@picks.output(PicksAnswer)
@picks.doc(operation_id="getPicks", responses={409: "Not DONE, or without scores"})
def show(job_id: str, query_data: PicksQuery) -> Any:
    """Return the front and its picks for so many predictions a day; nothing is trained or kept.

    The energy of use is in proportion to the predictions, that of retrains to their number. The
    recommended one has the highest score once its life is paid at the search's own price, among
    those that are not told apart from the best as worse.
    """
    job = parts().store.get_job(project_id(), job_id)
    result = job.result or {}
    lives = result.get("lifetimes") or {}
    if not lives:
        raise Conflict("picks are made when a job is done, of trials that have scores")
    objective = job.request.get("objective") or {}
    told = {
        name: objective.get(name) if value is None else value
        for name, value in query_data.model_dump().items()
    }
    known, wanted = predictions(job.request), predictions(job.request, told)
    retrains = float(told.get("retrains") or 0.0)
    trials = _trials(job, {int(number) for number in lives})
    intensity = job_intensity(job, parts().settings.zone)
    points = [
        Point(
            number=one.number,
            score=one.trial.score,
            joules=joules_of(lives[str(one.number)], times=wanted / known, retrains=retrains),
            name=one.trial.candidate.id,
        )
        for one in trials
        if one.trial is not None and one.trial.score is not None
    ]
    asked = objective.get("metric") or "average_precision"
    choice = result.get("choice") or {}
    return PicksAnswer(
        predictions=wanted,
        predictions_per_day=told.get("predictions_per_day"),
        horizon_days=told.get("horizon_days"),
        retrains=retrains,
        metric=SCORE_NAMES.get(asked, asked),
        price=choice.get("price"),
        grams_per_kwh=intensity.grams_per_kwh,
        intensity_source=intensity.text,
        zone=intensity.zone,
        use=use_text(job.request, told),
        items=_front(
            points,
            models={one.number: one.trial.candidate.model for one in trials if one.trial},
            choice=choice,
            kept=result.get("picks") or {},
            grams_per_joule=intensity.grams_per_kwh / JOULES_PER_KWH,
        ),
    )


def joules_of(life: Mapping[str, float], *, times: float, retrains: float) -> float:
    """Expected joules of a life with `times` its predictions and so many retrains.

    >>> life = {"search": 5.0, "refit": 2.0, "use": 30.0, "retrains": 0.0, "total": 37.0}
    >>> joules_of(life, times=0.5, retrains=3)
    28.0
    """
    return life["search"] + life["refit"] * (1 + retrains) + life["use"] * times


def _trials(job: Job, numbers: set[int]) -> list[StoredTrial]:
    found, _ = parts().store.leaderboard(
        job.id, sort="number", descending=False, limit=1000, offset=0, front=sorted(numbers)
    )
    return found


def _front(
    points: Sequence[Point],
    *,
    models: Mapping[int, str],
    choice: Mapping[str, Any],
    kept: Mapping[str, int],
    grams_per_joule: float,
) -> list[FrontPoint]:
    front = pareto_front(points)
    errors = choice.get("standard_errors") or {}
    if choice.get("price") is None:  # of a job from before these were kept
        chosen: Mapping[str, int] = kept
    else:
        chosen = picked(
            front,
            price=float(choice["price"]),
            standard_error=lambda one, _best: float(errors.get(str(one), 0.0)),
        )
    found = []
    for place, point in enumerate(front):
        step = None
        if place:
            before = front[place - 1]
            step = 0.01 * (point.joules - before.joules) / (point.score - before.score)
        found.append(
            FrontPoint(
                number=point.number,
                model=models[point.number],
                score=point.score,
                joules=point.joules,
                gco2e=point.joules * grams_per_joule,
                picks=sorted(name for name, number in chosen.items() if number == point.number),
                per_hundredth_joules=step,
                per_hundredth_gco2e=None if step is None else step * grams_per_joule,
            )
        )
    return found
