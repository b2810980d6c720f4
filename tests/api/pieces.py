"""A small file in pieces, sent over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.api.parts import Site

CSV = b"age;y\n" + b"".join(b"%d;%d\n" % (n, n % 3 == 0) for n in range(40))
EACH = 50
N = -(-len(CSV) // EACH)


def begin(site: Site, body: bytes = CSV, **more: Any) -> Any:
    request = {"name": "x.csv", "size": len(body), "chunk_bytes": EACH, **more}
    return site.post("/v1/uploads", json=request)


def piece(number: int, body: bytes = CSV) -> bytes:
    return body[number * EACH : (number + 1) * EACH]


def digest(data: bytes) -> dict[str, str]:
    return {
        "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
    }


def put(site: Site, upload: str, number: Any, data: bytes | None = None, **more: Any) -> Any:
    data = piece(number) if data is None else data
    path = f"/v1/uploads/{upload}/chunks/{number}"
    more.setdefault("headers", digest(data))
    return site.call("PUT", path, data=data, **more)


def complete(site: Site, upload: str, **more: Any) -> Any:
    return site.post(f"/v1/uploads/{upload}/complete", **more)


def kept(site: Site) -> list[str]:
    return [name for name in site.artifacts.names() if name.startswith("pieces/")]
