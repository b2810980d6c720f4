"""Schedules: train a model again on every day that is worth it, and see what came of each day."""

from __future__ import annotations

import uuid
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from api.context import actor, now, parts, project_id
from api.datasets import ready
from api.declared import completed
from api.pagination import cursor
from api.plans import check_zone
from api.roles import APPROVER, require
from api.schemas import PageQuery
from api.schemas_schedules import (
    RunAnswer,
    RunsAnswer,
    RunsQuery,
    ScheduleAnswer,
    ScheduleChange,
    ScheduleRequest,
    SchedulesAnswer,
)
from automl.errors import DataError
from scheduler.errors import Gone
from scheduler.feed import allowed
from scheduler.feeding import check_folder
from scheduler.local_days import time_zone
from scheduler.records import DatasetState
from scheduler.records_schedules import Schedule, ScheduleState
from scheduler.retraining import window_of
from scheduler.unread import MOST_LOOKED_BACK, unread_of
from scheduler.webhooks import checked_url

schedules = APIBlueprint("schedules", __name__, url_prefix="/v1", tag="Schedules")


@schedules.post("/schedules")
@schedules.input(ScheduleRequest, location="json")
@schedules.output(ScheduleAnswer, 201)
@schedules.doc(operation_id="createSchedule", responses={409: "Not ready", 410: "Deleted"})
def create(json_data: ScheduleRequest) -> Any:
    """Train a model again on every local day that is worth it.

    Each day has one run: it looks at the new labels, at how far rows and scores have moved and at
    how the model does on the new labels, and is skipped with its reason, or trains a challenger
    in the low-carbon hours of the window. Where that wins, it is promoted or proposed.
    """
    _may(json_data.promote)
    asked = json_data.model_dump(mode="json")
    _check(asked)
    if json_data.job is not None:
        dataset = parts().store.get_dataset(project_id(), json_data.job.dataset)
        if dataset.spec is not None:
            said = json_data.job.model_fields_set
            asked["job"] = completed(asked["job"], ready(dataset), said=said)
    window = window_of(asked)
    day, begins = window.after(now())
    schedule = parts().store.add_schedule(
        Schedule(
            id=uuid.uuid4().hex,
            project_id=project_id(),
            name=asked.pop("name"),
            request={**asked, "model": asked["model"] or asked["job"]["model"]},
            state=ScheduleState.ACTIVE,
            created_at=now(),
            next_at=begins,
            next_date=day.isoformat(),
        ),
        actor=actor(),
    )
    return _answer(schedule), 201, {"Location": f"/v1/schedules/{schedule.id}"}


def _check(asked: dict[str, Any]) -> None:
    """Raises what stands against a schedule now: zones, data, models, folders and hosts."""
    store = parts().store
    time_zone(asked["time_zone"])
    check_zone(asked["when"])
    if asked["webhook"] is not None:
        checked_url(asked["webhook"], parts().settings.webhook_hosts)
    feed = asked["feed"]
    if feed["folder"] is not None:
        allowed(feed["folder"], parts().settings.feed_roots)
    if asked["model"] is not None:
        model = store.get_model(project_id(), asked["model"])
        if store.job(model.job_id).request["target"] is None:
            raise DataError(
                f"model '{model.name}' was trained without labels: nothing tells when another "
                "training is worth it",
                code="no_target",
                details={"field": "model"},
            )
        base = model.dataset_id
    else:
        base = asked["job"]["dataset"]
        check_zone(asked["job"]["when"], field="job.when.zone")
    if store.newest_version(project_id(), base).state is DatasetState.DELETED:
        raise Gone(
            "the data that it would train on were deleted, and their rows with them: there is "
            "nothing to append to or to learn from",
            code="dataset_deleted",
        )
    several = store.newest_version(project_id(), base)
    if feed["folder"] is not None and several.spec is not None:
        check_folder(feed["folder"], several, store=store, settings=parts().settings, now=now())
    series = {one.id for one in store.series(project_id(), base)}
    if feed["dataset"] is not None and feed["dataset"] not in series:
        store.get_dataset(project_id(), feed["dataset"])
        raise DataError(
            "the data set of the feed is no version of the one that the model was trained on: "
            "append new rows to that one",
            code="other_series",
            details={"field": "feed.dataset"},
        )


def _may(promote: str) -> None:
    """Raises Forbidden: what promotes by itself, an approver makes, stops and lets go on."""
    if promote == "auto":
        require(g.role, APPROVER, what="a schedule that promotes by itself")


def _answer(schedule: Schedule) -> ScheduleAnswer:
    window = window_of(schedule.request)
    active = schedule.state is ScheduleState.ACTIVE
    unread: list[dict[str, Any]] = []
    if schedule.request["feed"]["folder"] is not None:
        runs, _ = parts().store.list_runs(project_id(), schedule.id, limit=MOST_LOOKED_BACK)
        unread = unread_of(runs)
    return ScheduleAnswer.of(
        schedule,
        unread=unread,
        next_times=window.next_times(now()) if active else [],
        note=window.note(now()),
    )


@schedules.get("/schedules")
@schedules.input(PageQuery, location="query")
@schedules.output(SchedulesAnswer)
@schedules.doc(operation_id="listSchedules")
def index(query_data: PageQuery) -> Any:
    """List schedules, newest first."""
    items, following = parts().store.list_schedules(
        project_id(), limit=query_data.limit, after=cursor(query_data.cursor)
    )
    return SchedulesAnswer(items=[_answer(item) for item in items], next_cursor=following)


@schedules.get("/schedules/<schedule_id>")
@schedules.output(ScheduleAnswer)
@schedules.doc(operation_id="getSchedule")
def get(schedule_id: str) -> Any:
    """One schedule and when it is due next."""
    return _answer(parts().store.get_schedule(project_id(), schedule_id))


@schedules.patch("/schedules/<schedule_id>")
@schedules.input(ScheduleChange, location="json")
@schedules.output(ScheduleAnswer)
@schedules.doc(operation_id="changeSchedule")
def change(schedule_id: str, json_data: ScheduleChange) -> Any:
    """Pause a schedule, or let it go on: days that went by while it was paused have no run."""
    schedule = parts().store.get_schedule(project_id(), schedule_id)
    state = ScheduleState(json_data.state)
    _may(schedule.request["promote"])
    day, begins = window_of(schedule.request).after(now())
    active = state is ScheduleState.ACTIVE
    moved = parts().store.move_schedule(
        project_id(),
        schedule_id,
        state=state,
        next_at=begins if active else None,
        next_date=day.isoformat() if active else None,
        actor=actor(),
        now=now(),
    )
    return _answer(moved)


@schedules.delete("/schedules/<schedule_id>")
@schedules.doc(operation_id="deleteSchedule", responses={204: "Deleted"})
def delete(schedule_id: str) -> Any:
    """Delete a schedule; a job that it has submitted goes on."""
    _may(parts().store.get_schedule(project_id(), schedule_id).request["promote"])
    parts().store.move_schedule(
        project_id(),
        schedule_id,
        state=ScheduleState.DELETED,
        next_at=None,
        next_date=None,
        actor=actor(),
        now=now(),
    )
    return Response(status=204)


@schedules.get("/schedules/<schedule_id>/runs")
@schedules.input(RunsQuery, location="query")
@schedules.output(RunsAnswer)
@schedules.doc(operation_id="listRuns")
def runs(schedule_id: str, query_data: RunsQuery) -> Any:
    """List what became of each local date: run or skipped, promoted or not, and why."""
    before = query_data.before
    items, following = parts().store.list_runs(
        project_id(),
        schedule_id,
        limit=query_data.limit,
        after=None if before is None else before.isoformat(),
    )
    return RunsAnswer(items=[RunAnswer.of(run) for run in items], next_before=following)
