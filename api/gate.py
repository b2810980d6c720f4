"""What a request must show in its headers before its body is stored.

Waitress reads whole bodies, to disk if they are large, before the application runs. That is what
makes it hold hundreds of slow uploads without a thread each, and also what would let anybody fill
the disk. So the decision is taken when the headers are complete: a body above `FREE_BODY_BYTES`
needs a valid bearer token, every body a length, and none may be above its limit.
"""

# The published type hints of waitress lag behind it: attributes are missing or of another type.
# mypy: disable-error-code="attr-defined, arg-type, override, union-attr, assignment, return-value"

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from api.cookie import token_of
from api.errors import CODE_OF_STATUS, PROBLEM, RETRY_AFTER_SECONDS
from scheduler.records_uploads import MOST_CHUNK_BYTES

# What a client without a token may make us hold, in memory: x 1,000 connections = 64 MiB.
FREE_BODY_BYTES = 65536
# Routes whose POST is nothing without a body; a POST to others (cancel) may come without one.
BODY_ROUTES = re.compile(r"/v1/(datasets|uploads|jobs|models/[^/]+/predict)/?")
CHUNK_ROUTE = re.compile(r"/v1/uploads/[^/]+/chunks/[^/]+/?")
MAX_SECRET = 512  # characters; ours have 43


class Refusal(Error):
    """An answer of the listener itself, as `application/problem+json` like all others."""

    def __init__(self, status: int, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.code = status
        self.reason = HTTPStatus(status).phrase
        self.problem = {
            "type": "about:blank",
            "title": self.reason,
            "status": status,
            "code": code or CODE_OF_STATUS.get(status, "http_error"),
            "detail": detail,
        }

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """The status line, headers and body to send."""
        headers = [("Content-Type", PROBLEM), ("Cache-Control", "no-store")]
        if self.code in RETRY_AFTER_SECONDS:
            headers.append(("Retry-After", str(RETRY_AFTER_SECONDS[self.code])))
        if self.code == HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", 'Bearer realm="frugal"'))
        return f"{self.code} {self.reason}", headers, json.dumps(self.problem).encode()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a request must satisfy before its body is read.

    `knows(secret)` says whether a bearer token is valid and `has_room(n_bytes)` whether so much
    may still be written; both may block, and are asked on a worker thread.
    """

    max_upload_bytes: int
    max_body_bytes: int
    knows: Callable[[str], bool]
    has_room: Callable[[int], bool]

    def limit(self, method: str, path: str) -> tuple[int, str]:
        """Bytes that the body of this request may have, and the code of having more."""
        if method == "POST" and path.rstrip("/") == "/v1/datasets":
            return self.max_upload_bytes, "upload_too_large"
        if method == "PUT" and CHUNK_ROUTE.fullmatch(path):
            return min(MOST_CHUNK_BYTES, self.max_upload_bytes), "chunk_too_large"
        return self.max_body_bytes, "body_too_large"

    def judge(self, request: GatedParser) -> Refusal | None:
        """Why this large body is not read, or None."""
        secret = request.bearer
        if secret is None or not self.knows(secret):
            return Refusal(401, "the token is unknown, revoked or expired", code="invalid_token")
        if not self.has_room(request.content_length):
            return Refusal(507, "there is no room left to store this", code="disk_full")
        return None


class GatedParser(HTTPRequestParser):
    """Parses one request; its error is set as soon as the headers show one."""

    def __init__(self, adj: Adjustments, *, gate: Gate) -> None:
        super().__init__(adj)
        self.gate = gate
        self.began = time.monotonic()
        self.judged = False
        self.awaits_judgement = False  # a worker thread asks the gate; nothing is read meanwhile
        self.has_transfer_encoding = False

    @property
    def bearer(self) -> str | None:
        """The secret of the Authorization header, or of the cookie of a page of ours."""
        if "AUTHORIZATION" not in self.headers:
            return token_of(self.headers.get("COOKIE", ""))
        scheme, _, secret = self.headers.get("AUTHORIZATION", "").partition(" ")
        secret = secret.strip()
        return secret if scheme.lower() == "bearer" and 0 < len(secret) <= MAX_SECRET else None

    def received(self, data: bytes) -> int:
        """Take the next bytes of the connection; returns how many belonged to this request."""
        try:
            consumed = super().received(data)
        except OSError:  # the body's temporary file could not be written
            self.refuse(Refusal(507, "there is no room left to store this", code="disk_full"))
            return len(data)
        if self.headers_finished and not self.judged:
            self.judged = True
            if self.error is None and not self.empty:
                refusal = self._refusal()
                if refusal is not None:
                    self.refuse(refusal)
                elif self.content_length > FREE_BODY_BYTES:
                    self.awaits_judgement = True
        if self.error is not None:
            self.refuse(self.error)
        return consumed

    def refuse(self, error: Error) -> None:
        """End this request with an error; the rest of its body is not kept."""
        self.error = error
        self.completed = True
        self.connection_close = True
        self.expect_continue = False  # else waitress would ask for the body all the same
        self.awaits_judgement = False

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request line and headers; ParsingError when they are no HTTP."""
        lines = header_plus.lower().split(b"\r\n")[1:]
        self.has_transfer_encoding = any(x.startswith(b"transfer-encoding") for x in lines)
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a length of 5,000 digits, a URI like http://[
            raise ParsingError("Content-Length or URI is invalid") from error

    def _refusal(self) -> Refusal | None:
        method, path = str(self.command).upper(), str(self.path)
        has_length = "CONTENT_LENGTH" in self.headers
        if self.has_transfer_encoding and has_length:
            # Two lengths: a proxy in front may believe the other one (request smuggling).
            return Refusal(400, "Transfer-Encoding and Content-Length exclude each other")
        if self.has_transfer_encoding:
            return Refusal(
                411,
                code="length_required",
                detail="a body needs a Content-Length; chunked bodies are not read",
            )
        needed = CHUNK_ROUTE if method == "PUT" else BODY_ROUTES
        if not has_length and method in ("POST", "PUT") and needed.fullmatch(path):
            return Refusal(
                411,
                code="length_required",
                detail="this request needs a body with a Content-Length",
            )
        if self.content_length > FREE_BODY_BYTES and self.bearer is None:
            detail = f"a body above {FREE_BODY_BYTES} bytes needs Authorization: Bearer <token>"
            return Refusal(401, detail, code="token_required")
        limit, code = self.gate.limit(method, path)
        if self.content_length > limit:
            detail = f"the body has {self.content_length} bytes; {limit} are allowed"
            return Refusal(413, detail, code=code)
        return None
