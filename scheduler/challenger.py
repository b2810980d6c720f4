"""The job of a run: its request, its place in the window, and what comes of it for the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from automl.errors import DataError
from scheduler.carbon.series import IntensitySource
from scheduler.config import Settings
from scheduler.plan import NOW, Plan
from scheduler.planning import planned
from scheduler.records import Job, JobState, Model, StoredDataset
from scheduler.records_schedules import Run, RunState, Schedule
from scheduler.store import Store

log = logging.getLogger(__name__)

# What a job's request has of an earlier run, and not of the model that is wanted.
_OF_A_RUN = ("admission", "retraining", "warm_start_from", "when", "webhook", "dataset")


def request_of(
    schedule: Schedule,
    run: Run,
    champion: Model | None,
    dataset: StoredDataset,
    late: Mapping[str, Any],
    *,
    store: Store,
) -> dict[str, Any]:
    """The job's request: that of the champion's job, or of the template, on the new data."""
    template = schedule.request.get("job")
    if template is None and champion is not None:
        template = store.job(champion.job_id).request
    known = {name: one for name, one in (template or {}).items() if name not in _OF_A_RUN}
    about = {"schedule": schedule.id, "local_date": run.local_date, "champion": None, **late}
    reference = None
    if champion is not None:
        reference = f"{champion.name}/{champion.version}"
        about["champion"] = {
            "id": champion.id,
            "name": champion.name,
            "version": champion.version,
        }
    return {
        **known,
        "dataset": dataset.id,
        "model": schedule.request["model"],
        "warm_start_from": reference,
        "accept_missing_target": True,  # labels come later, that is the point
        "when": schedule.request["when"],
        "webhook": schedule.request.get("webhook"),
        "retraining": about,
    }


def plan_of(
    asked: Mapping[str, Any],
    admission: Mapping[str, Any],
    *,
    deadline: datetime,
    now: datetime,
    settings: Settings,
    intensity: IntensitySource | None,
) -> Plan | None:
    """When the job runs within its window; None: at once."""
    if asked["when"]["policy"] == NOW or "expected" not in admission:
        return None
    try:
        return planned(
            asked["when"],
            admission["expected"],
            source=intensity,
            zone=settings.zone,
            now=now,
            finish_by=deadline,
        )
    except DataError as error:  # the rest of the window is too short: it runs late, but it runs
        if error.code != "deadline_infeasible":
            raise
        log.info("schedule: the window is too short, the job starts at once: %s", error)
        return None


def outcome_of(
    schedule: Schedule, job: Job, model: Model | None
) -> tuple[RunState, dict[str, Any], tuple[str, int, int] | None]:
    """What became of a run, and (name, version, champion's version) of what is to answer."""
    if job.state is not JobState.DONE or model is None:
        why = (job.problem or {}).get("detail") or job.stop_reason or f"the job is {job.state}"
        said = {"promoted": False, "because": f"the champion is kept: {why}"}
        if job.problem is not None:
            said["problem"] = dict(job.problem)
        return RunState.FAILED, said, None
    challenge = (job.result or {}).get("challenge")
    said = {"promoted": False, "version": model.version}
    if challenge is None:
        if (job.request.get("retraining") or {}).get("champion") is None:
            said["because"] = "it is the first model of its name"
        else:
            said["because"] = "the champion is kept: the challenger was not compared with it"
        return RunState.DONE, said, None
    said["challenge"] = dict(challenge)
    if not challenge["wins"]:
        said["because"] = f"the champion is kept: {challenge['because']}"
        return RunState.DONE, said, None
    if schedule.request["promote"] != "auto":
        said |= {"proposed": True, "because": f"proposed: {challenge['because']}"}
        return RunState.DONE, said, None
    said |= {"promoted": True, "because": f"promoted: {challenge['because']}"}
    return RunState.DONE, said, (model.name, model.version, int(challenge["champion"]))
