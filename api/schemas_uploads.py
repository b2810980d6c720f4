"""What clients send and get of files that come in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field

from api.schemas import Body, Query
from api.schemas_answers import Answer
from api.schemas_jobs import NO_NUL
from scheduler.records_uploads import MOST_CHUNK_BYTES, Chunk, Upload

EXAMPLE: dict[str, Any] = {
    "name": "transactions.csv",
    "size": 734003200,
    "options": {"delimiter": ";", "decimal": ","},
}


class ReadingBody(Body):
    """A file and how it is read."""

    options: Annotated[dict[str, Any], Field(max_length=32)] = Field(
        {},
        description="how it is read: the query parameters of an upload in one request, by name; "
        "lists and objects may be given as such",
    )

    def reading(self) -> dict[str, str]:
        """The options as a query has them."""
        return {
            name: one if isinstance(one, str) else json.dumps(one)
            for name, one in self.options.items()
        }


class RegisterRequest(ReadingBody):
    """A file under a folder that the operator allows."""

    name: Annotated[str, Field(min_length=1, max_length=8192, pattern=NO_NUL)] = Field(
        description="name of the data set"
    )
    uri: Annotated[str, Field(max_length=1000, pattern=NO_NUL)] = Field(
        description="file:///path of one file"
    )


class UploadRequest(ReadingBody):
    """A file that is to come in pieces."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    name: Annotated[str, Field(min_length=1, max_length=8192, pattern=NO_NUL)] = Field(
        description="name of the data set"
    )
    size: int = Field(ge=1, description="bytes of the whole file")
    sha256: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$")] | None = Field(
        None, description="of the whole file, in hexadecimal: compared when it is complete"
    )
    chunk_bytes: int | None = Field(
        None,
        ge=1,
        le=MOST_CHUNK_BYTES,
        description="bytes of each piece but the last; the answer says how many they are",
    )


class ChunkQuery(Query):
    """The SHA-256 of a piece, where no header says it."""

    sha256: str | None = Field(
        None, max_length=64, description="in hexadecimal; or else send Content-Digest (RFC 9530)"
    )


class ChunkAnswer(Answer):
    """A piece that is there."""

    number: int = Field(description="from 0")
    bytes: int
    sha256: str

    @classmethod
    def of(cls, chunk: Chunk) -> ChunkAnswer:
        return cls(number=chunk.number, bytes=chunk.n_bytes, sha256=chunk.sha256)


class UploadAnswer(Answer):
    """A file that comes in pieces."""

    id: str
    name: str
    state: Literal["OPEN", "COMPLETE"]
    size: int
    sha256: str | None
    chunk_bytes: int = Field(description="of each piece but the last")
    n_chunks: int
    received: list[int] = Field(description="numbers of the pieces that are there, from 0")
    created_at: datetime
    expires_at: datetime = Field(description="when it is forgotten, unless another piece comes")
    dataset: str | None = Field(description="id of the data set, once it is COMPLETE")

    @classmethod
    def of(cls, upload: Upload, received: Iterable[Chunk]) -> UploadAnswer:
        return cls(
            id=upload.id,
            name=upload.name,
            state=cast(Any, upload.state),
            size=upload.size,
            sha256=upload.sha256,
            chunk_bytes=upload.chunk_bytes,
            n_chunks=upload.n_chunks,
            received=[one.number for one in received],
            created_at=upload.created_at,
            expires_at=upload.expires_at,
            dataset=upload.dataset_id,
        )


class UploadsAnswer(Answer):
    """One page of unfinished uploads."""

    items: list[UploadAnswer]
    next_cursor: str | None
