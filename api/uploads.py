"""Files in pieces: begin, send each piece until it is there, complete."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ValidationError

from api.context import now, parts, project_id
from api.datasets import CHUNK_BYTES, called, reading_options
from api.errors import LengthRequired, invalid
from api.pagination import cursor
from api.schemas import PageQuery, UploadQuery
from api.schemas_answers import DatasetAnswer
from api.schemas_uploads import (
    ChunkAnswer,
    ChunkQuery,
    UploadAnswer,
    UploadRequest,
    UploadsAnswer,
)
from automl.errors import DataError
from scheduler.errors import TooLarge
from scheduler.records_uploads import Upload
from scheduler.uploads import Uploads

uploads = APIBlueprint("uploads", __name__, url_prefix="/v1", tag="Datasets")

NUMBER = re.compile(r"[0-9]{1,9}")
DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/]{43}=):[ \t]*(?=,|$)")
HEX = re.compile(r"[0-9A-Fa-f]{64}")


@uploads.post("/uploads")
@uploads.input(UploadRequest, location="json")
@uploads.output(UploadAnswer, 201, description="Send its pieces now")
@uploads.doc(operation_id="createUpload", responses={409: "Too many are unfinished"})
def create(json_data: UploadRequest) -> Any:
    """Begin to upload a file in pieces.

    Pieces are numbered from 0; each but the last has `chunk_bytes` bytes. Send them in any order,
    again after a break, then complete the upload.
    """
    try:
        reading = UploadQuery.model_validate(json_data.reading())
    except ValidationError as error:
        return invalid(error, location="json")
    upload = _uploads().begin(
        project_id(),
        name=called(json_data.name),
        size=json_data.size,
        sha256=None if json_data.sha256 is None else json_data.sha256.lower(),
        chunk_bytes=json_data.chunk_bytes,
        options=reading_options(reading),
        now=now(),
    )
    return UploadAnswer.of(upload, ()), 201, {"Location": f"/v1/uploads/{upload.id}"}


@uploads.get("/uploads")
@uploads.input(PageQuery, location="query")
@uploads.output(UploadsAnswer)
@uploads.doc(operation_id="listUploads")
def index(query_data: PageQuery) -> Any:
    """List unfinished uploads, newest first."""
    store = parts().store
    items, following = store.list_uploads(
        project_id(), limit=query_data.limit, after=cursor(query_data.cursor), now=now()
    )
    found = [UploadAnswer.of(item, store.chunks(item.id)) for item in items]
    return UploadsAnswer(items=found, next_cursor=following)


@uploads.get("/uploads/<upload_id>")
@uploads.output(UploadAnswer)
@uploads.doc(operation_id="getUpload", responses={410: "Not completed in time"})
def get(upload_id: str) -> Any:
    """Which pieces of an upload are there, or what became of it."""
    upload = _upload(upload_id)
    return UploadAnswer.of(upload, parts().store.chunks(upload.id))


@uploads.put("/uploads/<upload_id>/chunks/<number>")
@uploads.input(ChunkQuery, location="query")
@uploads.output(ChunkAnswer, description="It is there")
@uploads.doc(
    operation_id="putChunk",
    responses={409: "The upload is complete", 410: "Not completed in time"},
)
def put(upload_id: str, number: str, query_data: ChunkQuery) -> Any:
    """Send a piece; again is no mistake, and other bytes replace those that came before.

    Its SHA-256 comes with it, as `Content-Digest: sha-256=:<base64>:` or as a parameter.
    """
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        raise LengthRequired("say how long the piece is with Content-Length")
    upload = _upload(upload_id)
    digest = _digest(query_data.sha256)
    if (request.content_length or 0) > upload.chunk_bytes:
        raise TooLarge(
            f"the piece has {request.content_length} bytes; {upload.chunk_bytes} are allowed",
            code="chunk_too_large",
        )
    # One more than allowed: the server ends the stream itself, and Werkzeug takes having read as
    # much as the limit for having too much.
    request.max_content_length = upload.chunk_bytes + 1
    if not NUMBER.fullmatch(number):
        raise DataError(
            f"pieces of this upload are numbered 0 to {upload.n_chunks - 1}",
            code="chunk_out_of_range",
            details={"field": "number"},
        )
    chunk = _uploads().put(upload, int(number), _body(), sha256=digest, now=now())
    return ChunkAnswer.of(chunk)


@uploads.post("/uploads/<upload_id>/complete")
@uploads.output(DatasetAnswer, 201, description="Being read; poll the Location")
@uploads.doc(
    operation_id="completeUpload",
    responses={
        200: "It was completed before, or the same file was here already: its data set",
        409: "Pieces are missing; the details name them",
        410: "Not completed in time",
    },
)
def complete(upload_id: str) -> Any:
    """Read the file in once all its pieces are there, as an upload in one request is.

    Where it is refused its pieces stay until it is deleted or expires.
    """
    accept = parts().ingestor.accept
    dataset, created = _uploads().complete(_upload(upload_id), accept=accept, now=now())
    location = f"/v1/datasets/{dataset.id}"
    return DatasetAnswer.of(dataset), 201 if created else 200, {"Location": location}


@uploads.delete("/uploads/<upload_id>")
@uploads.doc(operation_id="deleteUpload", responses={204: "Forgotten"})
def delete(upload_id: str) -> Any:
    """Give an upload up; its pieces are deleted. A data set that was made of it stays."""
    _uploads().abandon(project_id(), upload_id)
    return Response(status=204)


def _uploads() -> Uploads:
    return Uploads(store=parts().store, artifacts=parts().artifacts, settings=parts().settings)


def _upload(upload_id: str) -> Upload:
    return parts().store.get_upload(project_id(), upload_id, now=now())


def _body() -> Iterator[bytes]:
    while chunk := request.stream.read(CHUNK_BYTES):
        yield chunk


def _digest(declared: str | None) -> str:
    """The SHA-256 that a piece comes with, in hexadecimal.

    Raises DataError ``digest_required``, ``invalid_digest``.
    """
    header = request.headers.get("Content-Digest")
    if declared is not None:
        if not HEX.fullmatch(declared):
            raise _invalid("sha256", "64 hexadecimal digits are needed")
        found = declared.lower()
        if header is not None and _of_header(header) != found:
            raise _invalid("sha256", "Content-Digest says another one")
        return found
    if header is None:
        raise DataError(
            "send the SHA-256 of the piece, as Content-Digest: sha-256=:<base64>: or ?sha256=<hex>",
            code="digest_required",
        )
    return _of_header(header)


def _of_header(header: str) -> str:
    found = DIGEST.findall(header[:4096])
    try:
        # Of two under one name the last counts: RFC 8941, 3.2.
        return base64.b64decode(found[-1], validate=True).hex()
    except (IndexError, binascii.Error):
        raise _invalid("Content-Digest", "sha-256=:<base64>: is needed") from None


def _invalid(field: str, why: str) -> DataError:
    return DataError(f"{field}: {why}", code="invalid_digest", details={"field": field})
