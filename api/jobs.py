"""Jobs: ask for a search, follow it, stop it, read what came of it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Collection
from typing import Any

from apiflask import APIBlueprint
from flask import request

from api.context import actor, now, parts, project_id
from api.datasets import ready
from api.declared import completed
from api.errors import BadRequest, about
from api.pagination import cursor
from api.plans import check_zone, planned
from api.schemas import JobsQuery, SubmitHeaders
from api.schemas_answers import JobAnswer, JobsAnswer, JsonObject
from api.schemas_jobs import JobRequest
from api.starting import started, started_from
from scheduler.plan import NOW, Plan
from scheduler.planning import placed
from scheduler.records import Job, JobState, StoredDataset
from scheduler.settlement import bill_so_far
from scheduler.webhooks import checked_url

jobs = APIBlueprint("jobs", __name__, url_prefix="/v1", tag="Jobs")

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@jobs.post("/jobs")
@jobs.input(JobRequest, location="json")
@jobs.input(SubmitHeaders, location="headers")
@jobs.output(JobAnswer, 202, description="Accepted; poll the Location or read its events")
@jobs.doc(operation_id="createJob", responses={409: "The data set is not READY"})
def submit(json_data: JobRequest, headers_data: SubmitHeaders) -> Any:
    """Ask for a search.

    The request is checked against the data before it is accepted: whatever makes training
    meaningless is a 422, whatever is only odd is among the warnings of the answer.
    """
    key = _idempotency_key()
    asked = json_data.model_dump(mode="json")
    said = json_data.model_fields_set
    store = parts().store
    if key is not None:
        fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        earlier = store.reserve_key(project_id(), key, fingerprint=fingerprint, now=now())
        if earlier is not None:
            job = store.get_job(project_id(), earlier)
            return _accepted(job, replayed=True)
    accepted = False
    try:
        job = _admit(asked, key, said=said)
        accepted = True
    finally:
        if key is not None and not accepted:
            store.release_key(project_id(), key)
    service = parts().service
    if service is not None:
        service.wake()
    return _accepted(job, replayed=False)


def _admit(asked: JsonObject, key: str | None, *, said: Collection[str]) -> Job:
    """Check the request against the data and store the job; `said` are the fields that came."""
    store = parts().store
    if asked["webhook"] is not None:
        checked_url(asked["webhook"], parts().settings.webhook_hosts)
    check_zone(asked["when"])
    with about("dataset"):
        dataset = ready(store.get_dataset(project_id(), asked["dataset"]))
    asked = completed(asked, dataset, said=said)
    model = started_from(asked)
    admission = parts().ingestor.admit(asked, dataset)
    if model is not None:
        admission = started(admission, asked, dataset=dataset, model=model)
    plan = None
    if asked["when"]["policy"] != NOW:
        plan = planned(asked["when"], admission["expected"])
    name = asked["model"] or model_name(dataset, asked["target"])
    job = Job(
        id=uuid.uuid4().hex,
        project_id=project_id(),
        dataset_id=dataset.id,
        request={**asked, "model": name, "admission": admission},
        state=JobState.SUBMITTED,
        submitted_at=now(),
        warnings=tuple(admission.get("warnings", ())),
        model_name=name,
    )
    return store.add_job(
        placed(job, plan),
        idempotency_key=key,
        max_queued=parts().settings.max_queued_jobs,
        actor=actor(),
    )


def _accepted(job: Job, *, replayed: bool) -> Any:
    headers = {"Location": f"/v1/jobs/{job.id}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return _answer(job), 202, headers


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise BadRequest(
            "an Idempotency-Key has 1 to 255 visible ASCII characters",
            code="invalid_idempotency_key",
        )
    return key


def model_name(dataset: StoredDataset, target: str | None) -> str:
    """The name of a model that was not given one: of the data set and the target.

    Jobs on files of the same name with the same target give versions of one model; without a
    target it ends in ``-anomalies``.
    """
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|jsonl|ndjson|gz))+$", "", dataset.name.lower())
    end = "anomalies" if target is None else _slug(target) or "target"
    return f"{_slug(stem) or 'data'}-{end}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:45].strip("-")


@jobs.get("/jobs")
@jobs.input(JobsQuery, location="query")
@jobs.output(JobsAnswer)
@jobs.doc(operation_id="listJobs")
def index(query_data: JobsQuery) -> Any:
    """List jobs, newest first."""
    state = None if query_data.state is None else JobState(query_data.state)
    items, following = parts().store.list_jobs(
        project_id(), state=state, limit=query_data.limit, after=cursor(query_data.cursor)
    )
    versions = parts().store.versions_of_jobs(project_id(), [job.id for job in items])
    return JobsAnswer(
        items=[JobAnswer.of(job, model_version=versions.get(job.id)) for job in items],
        next_cursor=following,
    )


def _answer(job: Job) -> JobAnswer:
    versions = parts().store.versions_of_jobs(project_id(), [job.id])
    return JobAnswer.of(job, model_version=versions.get(job.id))


@jobs.get("/jobs/<job_id>")
@jobs.output(JobAnswer)
@jobs.doc(operation_id="getJob")
def get(job_id: str) -> Any:
    """One job, its state and, at its end, why it stopped and what it found."""
    return _answer(parts().store.get_job(project_id(), job_id))


@jobs.post("/jobs/<job_id>/cancel")
@jobs.output(JobAnswer, 200)
@jobs.doc(operation_id="cancelJob", responses={409: "The job has ended"})
def cancel(job_id: str) -> Any:
    """Stop a job after its current trial and keep the best model so far; twice is once."""
    job = parts().store.request_cancel(project_id(), job_id, now=now())
    service = parts().service
    if service is not None:
        service.wake()
    return _answer(job)


@jobs.post("/jobs/<job_id>/pause")
@jobs.output(JobAnswer, 200)
@jobs.doc(operation_id="pauseJob", responses={409: "The job has ended"})
def pause(job_id: str) -> Any:
    """Pause a waiting job at once, a running one after its current trial; twice is once.

    It then waits until it is resumed, whatever its deadline. What it has done is kept. A job
    without a target has one trial: it stops before that, or ends.
    """
    return _answer(parts().store.request_pause(project_id(), job_id, now=now()))


@jobs.post("/jobs/<job_id>/resume")
@jobs.output(JobAnswer, 200)
@jobs.doc(operation_id="resumeJob", responses={409: "The job has ended, or is not paused"})
def resume(job_id: str) -> Any:
    """Let a paused job go on as soon as a worker is free, outside its windows if need be."""
    store = parts().store
    plan = store.get_job(project_id(), job_id).plan
    kept = None if plan is None else Plan.from_json(plan).running_on(now()).to_json()
    job = store.resume(project_id(), job_id, now=now(), plan=kept)
    service = parts().service
    if service is not None:
        service.wake()
    return _answer(job)


@jobs.get("/jobs/<job_id>/receipt")
@jobs.doc(operation_id="getReceipt")
def receipt(job_id: str) -> Any:
    """The bill: CPU-seconds, joules, kWh and gCO2e of every phase, how measured and how sure.

    Each phase at the carbon intensity that was; `levers` say what was saved by doing less and,
    apart from it, by waiting. Before the job has ended it has the phases so far.
    """
    job = parts().store.get_job(project_id(), job_id)
    if job.receipt is not None:
        return {"job": job.id, "final": True, **job.receipt}
    found = bill_so_far(job, parts().store, zone=parts().settings.zone, now=now())
    return {"job": job.id, "final": False, **found}
