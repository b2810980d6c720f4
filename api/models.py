"""Models: what a job found, ready to predict, to read about and to take away."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request, send_file

from api.archive import archive
from api.auth import negotiated, produces
from api.card import ANOMALY_RANKING, markdown
from api.card_page import page
from api.context import actor, now, parts, project_id
from api.curve_file import curves_of
from api.errors import UnsupportedMediaType
from api.pagination import cursor
from api.printable import HTML, JSON, MARKDOWN, as_html, as_markdown, wanted
from api.schemas import ModelQuery, PageQuery, PredictQuery
from api.schemas_frugality import CardQuery
from api.schemas_models import ModelAnswer, ModelsAnswer, PredictionsAnswer
from automl.errors import DataError
from scheduler.errors import Corrupt, UnknownRecord
from scheduler.records import Model

log = logging.getLogger(__name__)

models = APIBlueprint("models", __name__, url_prefix="/v1", tag="Models")

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
ROW_TYPES = (
    "application/json",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/x-parquet",
    "application/x-ndjson",
    "application/jsonl",
)
ANSWER_TYPES = ("application/json", "text/csv", "application/vnd.apache.parquet")
ZIP = "application/zip"


def model_of(name: str, query: ModelQuery) -> Model:
    """The version asked for, or the one that answers. Raises UnknownRecord or Gone."""
    return parts().store.get_model(project_id(), known_name(name), version=query.version)


@contextmanager
def unless_deleted(name: str, query: ModelQuery) -> Iterator[None]:
    """Files that are gone because the model was deleted meanwhile are a 410, not damage."""
    try:
        yield
    except (DataError, Corrupt) as error:
        if error.code == "corrupt_model":
            model_of(name, query)
        raise


def known_name(name: str) -> str:
    """The name itself; what cannot be a name of ours is unknown, and never asked for."""
    if NAME.fullmatch(name) is None:
        raise UnknownRecord("there is no such model")
    return name


@models.get("/models")
@models.input(PageQuery, location="query")
@models.output(ModelsAnswer)
@models.doc(operation_id="listModels")
def index(query_data: PageQuery) -> Any:
    """List models."""
    items, following = parts().store.list_models(
        project_id(), limit=query_data.limit, after=cursor(query_data.cursor)
    )
    return ModelsAnswer(items=[ModelAnswer.of(item) for item in items], next_cursor=following)


@models.get("/models/<name>")
@models.input(ModelQuery, location="query")
@models.output(ModelAnswer)
@models.doc(operation_id="getModel", responses={410: "Deleted"})
def get(name: str, query_data: ModelQuery) -> Any:
    """One model: the version that answers (promoted last, else newest), or the one asked for."""
    return ModelAnswer.of(model_of(name, query_data))


@models.delete("/models/<name>")
@models.doc(operation_id="deleteModel", responses={204: "Deleted, or was so already"})
def delete(name: str) -> Any:
    """Delete every version of a model and its files; its jobs keep their leaderboards."""
    for key in parts().store.delete_model(project_id(), known_name(name), now=now(), actor=actor()):
        parts().artifacts.delete(key)
    return Response(status=204)


@models.post("/models/<name>/predict")
@models.input(PredictQuery, location="query")
@models.output(PredictionsAnswer)
@models.doc(
    operation_id="predict",
    responses={409: "Not ready", 410: "Deleted", 413: "Too many rows"},
)
@produces(*ANSWER_TYPES)
def predict(name: str, query_data: PredictQuery) -> Any:
    """Calibrated probabilities of the rare event, in the order of the rows sent.

    By a model that was trained without labels: no probability, but how odd each row is.

    The body is JSON `{"rows": [{column: value}]}`, CSV, Parquet or JSON Lines. Columns go by
    name; unknown ones are ignored and listed, missing ones are a 422. With `reasons=3` each row
    also has the three columns that moved its score furthest from a typical row's.
    """
    model = model_of(name, query_data)
    if request.mimetype not in ROW_TYPES:
        raise UnsupportedMediaType(f"send rows as {', '.join(ROW_TYPES)}")
    with unless_deleted(name, query_data):
        body, content_type, headers = parts().predictor.predict(
            model,
            request.get_data(cache=False),
            content_type=request.mimetype,
            accept=negotiated(*ANSWER_TYPES),
            n_reasons=query_data.reasons,
        )
    response = Response(body, content_type=content_type, headers=dict(headers))
    response.headers["Model-Version"] = str(model.version)
    return response


@models.get("/models/<name>/card")
@models.input(CardQuery, location="query")
@models.doc(operation_id="getCard", responses={200: "The card", 410: "Deleted"})
@produces(JSON, HTML, MARKDOWN)
def card(name: str, query_data: CardQuery) -> Any:
    """What the model is, what it was trained on, how good it is, what it took and its limits.

    By subgroup too, where the job named some. HTML is one file that can be printed and sent.
    """
    model = model_of(name, query_data)
    form = wanted(query_data.format)
    if form == MARKDOWN:
        return as_markdown(markdown(model))
    store = parts().store
    versions = {
        "serving": store.get_model(project_id(), model.name).version,
        "all": [one.version for one in store.model_versions(project_id(), model.name)],
    }
    if form == HTML:
        return as_html("card.html", **page(model, versions, curves=_curves(model, query_data)))
    about = {"name": model.name, "version": model.version, "created_at": model.created_at}
    about |= {"job": model.job_id, "dataset": model.dataset_id, "sha256": model.sha256}
    return {**about, "versions": versions, **model.card}


def _curves(model: Model, query: ModelQuery) -> Mapping[str, Any] | None:
    """The curves of a card; a card without them is better than none."""
    if model.card.get("kind") == ANOMALY_RANKING:
        return None
    try:
        with unless_deleted(model.name, query):
            return curves_of(model)
    except (DataError, Corrupt) as error:
        log.error("card of model %s without curves: %s", model.id, error.code)
        return None


@models.get("/models/<name>/export")
@models.input(ModelQuery, location="query")
@models.doc(operation_id="exportModel", responses={200: "An archive", 410: "Deleted"})
@produces(ZIP)
def export(name: str, query_data: ModelQuery) -> Any:
    """The model as a zip: weights (LightGBM text or skops), manifest with checksums, loader."""
    model = model_of(name, query_data)
    with unless_deleted(name, query_data):
        body = archive(
            parts().artifacts.path(model.artifact),
            name=model.name,
            version=model.version,
            sha256=model.sha256,
        )
    digest = hashlib.sha256(body).digest()
    response = send_file(
        io.BytesIO(body),
        mimetype=ZIP,
        as_attachment=True,
        download_name=f"{model.name}-{model.version}.zip",
        etag=digest.hex(),
        conditional=True,
    )
    # RFC 9530: of the whole, also where a range of it is sent.
    response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    return response
