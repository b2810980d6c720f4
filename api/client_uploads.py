"""How `FrugalClient` sends files in pieces, and what it can ask about tables not yet together."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from api.client_calls import Calls, Json, path_of
from automl.errors import FrugalError

# Larger files go in pieces of this.
PIECE_BYTES = 16 * 2**20
PIECE_ATTEMPTS = 6
PAUSE_SECONDS = 0.25  # doubles with each attempt
AGAIN = ("unreachable", "rate_limited", "unavailable", "store_unavailable")

Progress = Callable[[int, int], None]


class UploadBroken(FrugalError):
    """The service could not be reached any more; `upload_id` says what to go on with."""

    code = "upload_broken"

    def __init__(self, message: str, *, upload_id: str) -> None:
        super().__init__(message)
        self.upload_id = upload_id


class UploadCalls(Calls):
    """Files in pieces, and proposals."""

    def infer(self, tables: Mapping[str, str], *, target: str | None = None) -> Json:
        """Propose the spec of data sets or files, given by the name that each table is to have.

        Each is the id of a data set, or a URI such as ``s3://bucket/prefix/`` or
        ``file:///folder/`` that the operator allows. The answer's `spec` can be changed and passed
        to `assemble`.
        """
        named = {name: {"uri" if "://" in one else "dataset": one} for name, one in tables.items()}
        body: Json = {"tables": named}
        if target is not None:
            body["target"] = target
        return self._json("POST", "/v1/datasets/infer", json=body)

    def uploads(self) -> list[Json]:
        """Unfinished uploads, the newest 100 first."""
        found: list[Json] = self._json("GET", "/v1/uploads", params={"limit": 100})["items"]
        return found

    def delete_upload(self, upload_id: str) -> None:
        """Give an upload up."""
        self._json("DELETE", path_of("uploads", upload_id))

    def upload_in_pieces(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        upload_id: str | None = None,
        progress: Progress | None = None,
    ) -> Json:
        """Send a file in pieces; those that are there already are not sent again.

        Parameters
        ----------
        upload_id : str, optional
            Of an upload of this file that broke off.
        progress : callable, optional
            Is told the bytes that are there, and how many there will be.

        Returns
        -------
        dict
            The data set, which is being read in.

        Raises
        ------
        UploadBroken
            Nothing answers any more; its `upload_id` resumes it.
        ValueError
            The upload to go on with is of a file of another length.
        """
        path = Path(path)
        size = path.stat().st_size
        if upload_id is None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            body = {"name": name or path.name, "size": size, "sha256": digest}
            upload = self._json("POST", "/v1/uploads", json=body | {"options": options or {}})
        else:
            upload = self._json("GET", path_of("uploads", upload_id))
            if upload["size"] != size:
                raise ValueError(f"upload {upload_id} is of {upload['size']} bytes, not {size}")
            if upload["dataset"] is not None:
                return self._json("GET", f"/v1/datasets/{upload['dataset']}")
        there = set(upload["received"])
        each = upload["chunk_bytes"]
        n_bytes = sum(min(each, size - number * each) for number in there)
        with path.open("rb") as file:
            for number in range(upload["n_chunks"]):
                if number in there:
                    continue
                file.seek(number * each)
                piece = file.read(each)
                self._put(upload["id"], number, piece)
                n_bytes += len(piece)
                if progress is not None:
                    progress(n_bytes, size)
        try:
            complete = path_of("uploads", upload["id"], "complete")
            return self._piece(upload["id"], "POST", complete)
        except FrugalError as error:
            if getattr(error, "status", None) == 422:  # it will not become better by waiting
                with contextlib.suppress(FrugalError):
                    self.delete_upload(upload["id"])
            raise

    def _put(self, upload_id: str, number: int, piece: bytes) -> None:
        digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {
            "Content-Digest": f"sha-256=:{digest}:",
            "Content-Type": "application/octet-stream",
        }
        path = path_of("uploads", upload_id, "chunks", str(number))
        self._piece(upload_id, "PUT", path, data=piece, headers=headers)

    def _piece(self, upload_id: str, method: str, path: str, **request: Any) -> Json:
        """A request that may be repeated, until it is answered."""
        for attempt in range(PIECE_ATTEMPTS):
            try:
                return self._json(method, path, **request)
            except FrugalError as error:
                if error.code not in AGAIN and getattr(error, "status", 0) < 502:
                    raise
                if attempt == PIECE_ATTEMPTS - 1:
                    raise UploadBroken(
                        f"the upload broke off: {error}; go on with upload {upload_id}",
                        upload_id=upload_id,
                    ) from error
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last attempt returns or raises")
