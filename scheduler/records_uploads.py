"""What the store keeps of files that come in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from scheduler.records import Json

MOST_CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that comes in pieces of `chunk_bytes`, the last one shorter."""

    id: str
    project_id: str
    name: str
    size: int
    chunk_bytes: int
    state: str  # OPEN | COMPLETE | EXPIRED
    created_at: datetime
    expires_at: datetime  # moved on by every piece that comes
    sha256: str | None = None  # of the whole file, where the client said it
    options: Json = field(default_factory=dict)  # reading options; forgotten with the pieces
    dataset_id: str | None = None  # what became of it

    @property
    def n_chunks(self) -> int:
        """How many pieces there are.

        >>> from datetime import UTC, datetime
        >>> at = datetime(2026, 11, 23, tzinfo=UTC)
        >>> Upload(id="", project_id="", name="x", size=17, chunk_bytes=8, state="OPEN",
        ...        created_at=at, expires_at=at).n_chunks
        3
        """
        return -(-self.size // self.chunk_bytes)

    def bytes_of(self, number: int) -> int:
        """How long a piece is."""
        return min(self.chunk_bytes, self.size - number * self.chunk_bytes)

    def missing(self, received: Iterable[int]) -> list[int]:
        """The numbers of the pieces that are not there, in order."""
        return sorted(set(range(self.n_chunks)) - set(received))


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece that is there."""

    number: int  # from 0
    n_bytes: int
    sha256: str


def chunk_key(upload_id: str, number: int) -> str:
    """The artifact key of a piece."""
    return f"{pieces_key(upload_id)}/{number}"


def pieces_key(upload_id: str) -> str:
    """The artifact key of all pieces of a file."""
    return f"pieces/{upload_id}"
