"""Data sets: hand over a table, see what was understood, delete it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ValidationError
from werkzeug.http import parse_options_header

from api.context import actor, now, parts, project_id
from api.errors import LengthRequired, UnsupportedMediaType, invalid
from api.json_body import strict_json
from api.pagination import cursor
from api.schemas import DeleteQuery, PageQuery, UploadQuery
from api.schemas_answers import (
    CostAnswer,
    DatasetAnswer,
    DatasetsAnswer,
    DeletedAnswer,
    ProfileAnswer,
    VersionsAnswer,
)
from api.schemas_relations import AssembleRequest, VersionRequest
from api.schemas_uploads import RegisterRequest
from automl.errors import DataError, FrugalError
from scheduler.errors import Conflict, Gone, TooLarge
from scheduler.records import DatasetState, StoredDataset
from scheduler.sources import bytes_at

datasets = APIBlueprint("datasets", __name__, url_prefix="/v1", tag="Datasets")

JSON = "application/json"
CHUNK_BYTES = 2**18
MAX_NAME = 255  # characters that are kept of a name
# What the body is, is read from its first bytes; the header must only not claim another thing.
UPLOAD_TYPES = (
    "text/csv",
    "application/octet-stream",
    "application/vnd.apache.parquet",
    "application/x-ndjson",
    "application/gzip",
    "text/tab-separated-values",
    "text/plain",
    "application/jsonl",
    "application/x-gzip",
    "application/x-parquet",
    "application/csv",
)


@datasets.post("/datasets")
@datasets.input(UploadQuery, location="query")
@datasets.output(DatasetAnswer, 201, description="Being read; poll the Location")
@datasets.doc(
    operation_id="createDataset",
    responses={200: "The same file with the same options was here already: its data set"},
)
def create(query_data: UploadQuery) -> Any:
    """Upload a table.

    The body is the file itself: CSV in any dialect, Parquet or JSON Lines, each also as gzip. It
    is refused at once when its beginning cannot be read, and becomes INVALID with the reason when
    a later row cannot. Nothing is trained on before it is READY.

    A JSON body `{"name", "spec"}` makes a data set of several tables out of data sets that are
    READY: entities with the events, series, logs and lookups around them. It keeps what it was made
    from: rows that are appended to a table later are in its next version.

    A JSON body `{"name", "uri"}` reads in a file that lies under a folder or in object storage
    of the operator.
    """
    if request.mimetype == JSON:
        return _assembled(query_data)
    _check_upload()
    dataset, created = parts().ingestor.accept(
        project_id(),
        stream_chunks=_chunks(),
        name=called(query_data.name),
        options=reading_options(query_data),
        now=now(),
    )
    location = f"/v1/datasets/{dataset.id}"
    return DatasetAnswer.of(dataset), 201 if created else 200, {"Location": location}


def _assembled(query: UploadQuery) -> Any:
    """A data set of several tables, from the spec in the body."""
    _check_nothing_said(query)
    body = request.get_json()
    try:
        if isinstance(body, dict) and "uri" in body:
            return _registered(RegisterRequest.model_validate(body))
        asked = AssembleRequest.model_validate(body)
    except ValidationError as error:
        return invalid(error, location="json")
    dataset, created = parts().ingestor.assemble(
        project_id(),
        spec=asked.declared(),
        name=called(query.name or asked.name),
        now=now(),
    )
    location = f"/v1/datasets/{dataset.id}"
    return DatasetAnswer.of(dataset), 201 if created else 200, {"Location": location}


def _check_nothing_said(query: UploadQuery) -> None:
    """Raises DataError where a query says how to read what was read in before."""
    said = sorted(query.model_dump(exclude_none=True, exclude={"name"}))
    if said:
        raise DataError(
            f"{said[0]}: how a file is read was said at its upload",
            code="invalid_request",
            details={"field": said[0]},
        )


def _registered(asked: RegisterRequest) -> Any:
    """A data set of one file under the operator's folders, read in as an upload is."""
    options = reading_options(UploadQuery.model_validate(asked.reading()))
    site = parts()
    dataset, created = site.ingestor.accept(
        project_id(),
        stream_chunks=bytes_at(asked.uri, site.settings, site.artifacts, field="uri"),
        name=called(asked.name),
        options=options,
        now=now(),
    )
    location = f"/v1/datasets/{dataset.id}"
    return DatasetAnswer.of(dataset), 201 if created else 200, {"Location": location}


@datasets.post("/datasets/<dataset_id>/versions")
@datasets.input(UploadQuery, location="query")
@datasets.output(DatasetAnswer, 201, description="Being read; poll the Location")
@datasets.doc(
    operation_id="appendRows",
    responses={
        200: "The same rows were appended before: the version that has them",
        409: "Not READY, or not the newest version",
        410: "Deleted",
    },
)
def append(dataset_id: str, query_data: UploadQuery) -> Any:
    """Append rows as a new version; the old one stays as it is.

    The body is as for a new data set. Its cells are read as those before them, a missing column is
    refused, and a new one is told; nothing is replaced, and rows whose key is there already are
    counted. Only the newest version can be appended to.

    Of several tables the body is JSON, `{}` or `{"name", "sources"}`: the same spec is put together
    again from the newest version of each table's data set and the files that are in its folders
    now. A table that lacks a column, or has it as another type, is refused and named.
    """
    if request.mimetype == JSON:
        return _renewed(dataset_id, query_data)
    _check_upload()
    base = parts().store.get_dataset(project_id(), dataset_id)
    dataset, created = parts().ingestor.accept(
        project_id(),
        stream_chunks=_chunks(),
        name=called(query_data.name, otherwise=base.name),
        options=reading_options(query_data),
        now=now(),
        base_id=dataset_id,
    )
    location = f"/v1/datasets/{dataset.id}"
    return DatasetAnswer.of(dataset), 201 if created else 200, {"Location": location}


def _renewed(dataset_id: str, query: UploadQuery) -> Any:
    """The next version of a data set of several tables."""
    _check_nothing_said(query)
    try:
        asked = VersionRequest.model_validate(request.get_json())
    except ValidationError as error:
        return invalid(error, location="json")
    name = query.name or asked.name
    dataset, created = parts().ingestor.renew(
        project_id(),
        base_id=dataset_id,
        sources=asked.sources,
        name=None if name is None else called(name),
        now=now(),
    )
    location = f"/v1/datasets/{dataset.id}"
    return DatasetAnswer.of(dataset), 201 if created else 200, {"Location": location}


@datasets.get("/datasets/<dataset_id>/versions")
@datasets.output(VersionsAnswer)
@datasets.doc(operation_id="listVersions")
def versions(dataset_id: str) -> Any:
    """List all versions of a data set, the first one first."""
    found = parts().store.series(project_id(), dataset_id)
    kept = [one for one in found if one.state is not DatasetState.DELETED]
    return VersionsAnswer(items=[DatasetAnswer.of(one) for one in kept])


def _check_upload() -> None:
    """Raises unless the body can be a file of a known length."""
    if request.mimetype and request.mimetype not in UPLOAD_TYPES:
        raise UnsupportedMediaType(
            "send the file itself, e.g. with Content-Type: text/csv, application/x-ndjson, "
            "application/vnd.apache.parquet, application/gzip or application/octet-stream"
        )
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        raise LengthRequired("say how long the file is with Content-Length")
    most = parts().settings.max_upload_bytes
    if (request.content_length or 0) > most:
        raise TooLarge(
            f"the file has {request.content_length} bytes; {most} are allowed",
            code="body_too_large",
        )
    # One more than allowed: Werkzeug takes having read as much as the limit for too much, where
    # the server ends the stream itself.
    request.max_content_length = most + 1


def _chunks() -> Iterator[bytes]:
    """The body, read as it comes."""
    while chunk := request.stream.read(CHUNK_BYTES):
        yield chunk


def called(declared: str | None, *, otherwise: str = "data") -> str:
    """What the data set is called: for people only, it never becomes a path."""
    name = declared
    if not name:
        _, fields = parse_options_header(request.headers.get("Content-Disposition"))
        name = fields.get("filename", "")
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+", " ", name).strip()
    return name[:MAX_NAME] or otherwise


def reading_options(query: UploadQuery) -> dict[str, Any]:
    """Reading options as the ingestion takes them: only what was declared."""
    options: dict[str, Any] = query.model_dump(exclude_none=True, exclude={"name"})
    for field, value in options.items():
        if isinstance(value, str) and "\0" in value:  # no database column holds it
            raise DataError(
                f"{field} contains a NUL character",
                code="invalid_option",
                details={"field": field},
            )
    if "header" in options:
        options["header"] = options["header"] == "true"
    for field, kind in (("null_values", list), ("types", dict)):
        if field in options:
            options[field] = _embedded(options[field], field, kind)
    if "log_columns" in options:
        options["log_columns"] = _positions(options["log_columns"])
    return options


def _positions(text: str) -> dict[str, Any]:
    """Where the columns of a log are; what is meant by them, who reads it says."""
    try:
        value = strict_json(text)
    except FrugalError:
        value = None
    if not isinstance(value, dict):
        raise DataError(
            "log_columns must be a JSON object",
            code="invalid_option",
            details={"field": "log_columns"},
        )
    return value


def _embedded(text: str, field: str, kind: type) -> Any:
    try:
        value = strict_json(text)
    except FrugalError:
        value = None
    texts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, kind) or not all(isinstance(item, str) for item in texts or ()):
        name = "list" if kind is list else "object"
        raise DataError(
            f"{field} must be a JSON {name} of texts",
            code="invalid_option",
            details={"field": field},
        )
    return value


@datasets.get("/datasets")
@datasets.input(PageQuery, location="query")
@datasets.output(DatasetsAnswer)
@datasets.doc(operation_id="listDatasets")
def index(query_data: PageQuery) -> Any:
    """List data sets, newest first."""
    items, following = parts().store.list_datasets(
        project_id(), limit=query_data.limit, after=cursor(query_data.cursor)
    )
    return DatasetsAnswer(items=[DatasetAnswer.of(item) for item in items], next_cursor=following)


@datasets.get("/datasets/<dataset_id>")
@datasets.output(DatasetAnswer)
@datasets.doc(operation_id="getDataset")
def get(dataset_id: str) -> Any:
    """One data set and its state: INGESTING, READY, INVALID (then with a problem) or DELETED."""
    return DatasetAnswer.of(parts().store.get_dataset(project_id(), dataset_id))


@datasets.get("/datasets/<dataset_id>/profile")
@datasets.output(ProfileAnswer)
@datasets.doc(operation_id="getProfile", responses={409: "Not READY", 410: "Deleted"})
def profile(dataset_id: str) -> Any:
    """What is in the data set: dialect, columns, roles and every guess with its reason."""
    dataset = ready(parts().store.get_dataset(project_id(), dataset_id))
    body = dict(dataset.profile or {})
    if dataset.cost is not None:
        body["cost"] = CostAnswer.of(dataset.cost).model_dump()
    return body


def ready(dataset: StoredDataset) -> StoredDataset:
    """The data set, if it can be used.

    Raises
    ------
    Gone
        It was deleted.
    Conflict
        It is still being read, or it is invalid.
    """
    if dataset.state is DatasetState.DELETED:
        raise Gone("the data set was deleted")
    if dataset.state is DatasetState.INGESTING:
        raise Conflict("the data set is still being read", code="dataset_not_ready")
    if dataset.state is DatasetState.INVALID:
        reason = (dataset.problem or {}).get("code", "unknown")
        raise Conflict(f"the data set is invalid: {reason}", code="dataset_invalid")
    return dataset


@datasets.delete("/datasets/<dataset_id>")
@datasets.input(DeleteQuery, location="query")
@datasets.doc(
    operation_id="deleteDataset",
    responses={
        200: "Deleted, and the versions built on it",
        204: "Deleted, or was so already",
        409: "A job uses it",
    },
)
def delete(dataset_id: str, query_data: DeleteQuery) -> Any:
    """Delete a data set and its rows; with force=true also while a job uses it.

    The versions that were appended to it need its rows: they are deleted, too, and named.
    """
    deleted = parts().ingestor.delete(
        project_id(), dataset_id, force=query_data.force == "true", now=now(), actor=actor()
    )
    if len(deleted) > 1:
        return DeletedAnswer(deleted=deleted).model_dump()
    return Response(status=204)
