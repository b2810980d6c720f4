"""Predictions for every row of a data set: made in blocks, then a file to take away."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, send_file

from api.auth import produces
from api.context import now, parts, project_id
from api.datasets import ready
from api.errors import about
from api.models import model_of
from api.pagination import cursor
from api.schemas import ModelQuery, PageQuery
from api.schemas_relations import BatchAnswer, BatchesAnswer, PredictionsRequest
from scheduler.batch import FILES
from scheduler.errors import Conflict, Gone

predictions = APIBlueprint("predictions", __name__, url_prefix="/v1", tag="Models")

TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


@predictions.post("/models/<name>/predictions")
@predictions.input(PredictionsRequest, location="json")
@predictions.input(ModelQuery, location="query")
@predictions.output(BatchAnswer, 202, description="Begun; poll the Location")
@predictions.doc(
    operation_id="createPredictions",
    responses={409: "The data set is not READY", 410: "Deleted"},
)
def create(name: str, json_data: PredictionsRequest, query_data: ModelQuery) -> Any:
    """Predict every row of a data set, in the order in which its rows are kept.

    Of several tables it takes what was known before each row's cut-off, by the same features as a
    single prediction. The file goes when the data set is deleted.
    """
    model = model_of(name, query_data)
    with about("dataset"):
        dataset = ready(parts().store.get_dataset(project_id(), json_data.dataset))
    batch = parts().batches.begin(model, dataset, form=json_data.format, now=now())
    return BatchAnswer.of(batch, model), 202, {"Location": f"/v1/predictions/{batch.id}"}


@predictions.get("/predictions")
@predictions.input(PageQuery, location="query")
@predictions.output(BatchesAnswer)
@predictions.doc(operation_id="listPredictions")
def index(query_data: PageQuery) -> Any:
    """List predictions of whole data sets, newest first."""
    store = parts().store
    items, following = store.list_batches(
        project_id(), limit=query_data.limit, after=cursor(query_data.cursor)
    )
    answers = [BatchAnswer.of(one, store.known_model(project_id(), one.model_id)) for one in items]
    return BatchesAnswer(items=answers, next_cursor=following)


@predictions.get("/predictions/<batch_id>")
@predictions.output(BatchAnswer)
@predictions.doc(operation_id="getPredictions")
def get(batch_id: str) -> Any:
    """One: RUNNING, then DONE or FAILED (then with a problem); DELETED with its data set."""
    batch = parts().store.get_batch(project_id(), batch_id)
    return BatchAnswer.of(batch, parts().store.known_model(project_id(), batch.model_id))


@predictions.get("/predictions/<batch_id>/content")
@predictions.doc(
    operation_id="downloadPredictions",
    responses={200: "The file", 409: "Not DONE", 410: "Deleted"},
)
@produces(*TYPES.values())
def content(batch_id: str) -> Any:
    """The file: the keys of the rows, their probabilities, and which of them are alerted."""
    batch = parts().store.get_batch(project_id(), batch_id)
    if batch.state == "DELETED":
        raise Gone("the predictions were deleted")
    if batch.artifact is None:
        raise Conflict(f"the predictions are {batch.state}, not DONE", code="not_done")
    path = parts().artifacts.path(batch.artifact) / FILES[batch.format]
    return send_file(
        path,
        mimetype=TYPES[batch.format],
        as_attachment=True,
        download_name=f"{batch.id}-{FILES[batch.format]}",
        conditional=True,
    )


@predictions.delete("/predictions/<batch_id>")
@predictions.doc(operation_id="deletePredictions", responses={204: "Deleted, or was so already"})
def delete(batch_id: str) -> Any:
    """Delete predictions and their file; those under way are ended."""
    parts().batches.delete(project_id(), batch_id)
    return Response(status=204)
