"""Frugality reports over HTTP: of a job, and of a model by its job."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from api.auth import produces
from api.context import now, parts, project_id
from api.frugality_facts import Facts
from api.frugality_report import PHASE_HEAD, heading, intensity_line, markdown, report_of
from api.models import known_name
from api.printable import HTML, JSON, MARKDOWN, as_html, as_markdown, wanted
from api.schemas_frugality import FrugalityAnswer, FrugalityQuery, ModelFrugalityQuery, complete
from scheduler.errors import Gone, UnknownRecord
from scheduler.records import Job, Model, StoredDataset
from scheduler.settlement import bill_so_far

frugality = APIBlueprint("frugality", __name__, url_prefix="/v1", tag="Carbon")


@frugality.get("/jobs/<job_id>/frugality")
@frugality.input(FrugalityQuery, location="query")
@frugality.output(FrugalityAnswer)
@frugality.doc(operation_id="getJobFrugality")
@produces(JSON, HTML, MARKDOWN)
def of_job(job_id: str, query_data: FrugalityQuery) -> Any:
    """What a job read and left unread, took, emitted and saved, and how sure that is.

    The figures are those of its receipt. With the software carbon intensity (ISO/IEC 21031), the
    aspects of Green AutoML and the public points of AFNOR SPEC 2314, each with its source, what
    the service has to show and what is missing. HTML is one file that can be printed and sent.
    """
    store = parts().store
    job = store.get_job(project_id(), job_id)
    return _answer(job, store.model_of_job(project_id(), job.id), query_data)


@frugality.get("/models/<name>/frugality")
@frugality.input(ModelFrugalityQuery, location="query")
@frugality.output(FrugalityAnswer)
@frugality.doc(operation_id="getModelFrugality", responses={410: "Deleted"})
@produces(JSON, HTML, MARKDOWN)
def of_model(name: str, query_data: ModelFrugalityQuery) -> Any:
    """The frugality report of the job that made a model, see there."""
    store = parts().store
    model = store.get_model(project_id(), known_name(name), version=query_data.version)
    return _answer(store.get_job(project_id(), model.job_id), model, query_data)


def _answer(job: Job, model: Model | None, query: FrugalityQuery) -> Any:
    report = report_of(facts_of(job, model), machine=complete(query))
    form = wanted(query.format)
    if form == MARKDOWN:
        return as_markdown(markdown(report))
    if form == HTML:
        return as_html(
            "frugality.html",
            report=report,
            title=heading(report),
            intensity=intensity_line(report),
            phase_head=PHASE_HEAD,
        )
    return report


def facts_of(job: Job, model: Model | None) -> Facts:
    """A job with what belongs to it; its bill, or the phases so far."""
    receipt = job.receipt
    if receipt is None or "total" not in receipt:  # not yet, or of a version that had other words
        receipt = bill_so_far(job, parts().store, zone=parts().settings.zone, now=now())
    return Facts(
        job=job,
        receipt=receipt,
        dataset=_dataset(job),
        model=model,
        serving=None if model is None else _serving(model),
    )


def _dataset(job: Job) -> StoredDataset | None:
    try:
        return parts().store.get_dataset(job.project_id, job.dataset_id)
    except (Gone, UnknownRecord):
        return None


def _serving(model: Model) -> int | None:
    try:
        return parts().store.get_model(model.project_id, model.name).version
    except (Gone, UnknownRecord):
        return None
