"""A small S3 over HTTP: what its documentation says of lists, heads and ranges, and faults."""

from __future__ import annotations

import hashlib
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ACCESS_KEY, SECRET_KEY, REGION = "AKIAFAKEFAKEFAKE", "secret/of+the+operator", "eu-west-3"
PAGE_KEYS = 3  # fewer than a folder has, so that lists are continued


@dataclass(kw_only=True)
class Stored:
    """An object: its bytes and when they were put there."""

    body: bytes
    modified: datetime = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


@dataclass(kw_only=True)
class Bucketed:
    """The storage behind the server.

    Parameters
    ----------
    url : of the server
    objects : by bucket and key
    denied : buckets that answer 403
    fault : what happens to every request: "slow" (no answer), "cut" (half of a body), "error" (500)
    asked : the requests so far: method, path with query, and the bytes that were asked for
    """

    url: str = ""
    objects: dict[str, dict[str, Stored]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    fault: str | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def put(self, bucket: str, key: str, body: bytes | Path) -> None:
        """An object, in place of one that is there."""
        data = body if isinstance(body, bytes) else body.read_bytes()
        self.objects.setdefault(bucket, {})[key] = Stored(body=data)

    def put_folder(self, bucket: str, prefix: str, folder: Path) -> None:
        """The files of a folder below a prefix."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(bucket, f"{prefix}/{path.relative_to(folder).as_posix()}", path)

    def environment(self) -> dict[str, str]:
        """The variables by which an operator names it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.url,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: Bucketed

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        storage = self.storage
        storage.asked.append((self.command, self.path, self.headers.get("Range")))
        if storage.fault == "slow":
            storage.released.wait(60)
            self.close_connection = True
            return
        parts = urllib.parse.urlsplit(self.path)
        bucket, _, key = urllib.parse.unquote(parts.path).lstrip("/").partition("/")
        if storage.fault == "error":
            return self._refuse(500, "InternalError", with_body)
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return self._refuse(403, "AccessDenied", with_body)
        if f"Credential={ACCESS_KEY}/" not in self.headers["Authorization"]:
            return self._refuse(403, "InvalidAccessKeyId", with_body)
        if bucket in storage.denied:
            return self._refuse(403, "AccessDenied", with_body)
        if bucket not in storage.objects:
            return self._refuse(404, "NoSuchBucket", with_body)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        if not key:
            return self._list(bucket, query) if with_body else self._send(200, b"", {}, False)
        found = storage.objects[bucket].get(key)
        if found is None:
            return self._refuse(404, "NoSuchKey", with_body)
        return self._object(found, with_body=with_body)

    def _object(self, found: Stored, *, with_body: bool) -> None:
        headers = {
            "ETag": found.etag,
            "Last-Modified": format_datetime(found.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "binary/octet-stream",
        }
        wanted = self.headers.get("If-Match")
        if wanted is not None and wanted != found.etag:
            return self._refuse(412, "PreconditionFailed", with_body)
        body, status = found.body, 200
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            low, _, high = asked.removeprefix("bytes=").partition("-")
            start, end = int(low), min(int(high or len(body) - 1), len(body) - 1)
            if start >= len(body):
                return self._refuse(416, "InvalidRange", with_body)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
            body, status = body[start : end + 1], 206
        return self._send(status, body, headers, with_body)

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        """ListObjectsV2."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after") or ""
        most = min(int(query.get("max-keys", 1000)), PAGE_KEYS)
        entries: list[tuple[str, Stored | None]] = []
        for key in sorted(self.storage.objects[bucket]):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folder = prefix + rest.split(delimiter)[0] + delimiter
                if (folder, None) not in entries:
                    entries.append((folder, None))
            else:
                entries.append((key, self.storage.objects[bucket][key]))
        left = [one for one in entries if one[0] > after]
        page = left[:most]
        more = len(left) > len(page)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key>"
            f"<LastModified>{one.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(one.etag)}</ETag><Size>{len(one.body)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key, one in page
            if one is not None
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"
            for key, one in page
            if one is None
        )
        last = escape(page[-1][0]) if page else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>"
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token if more else ''}"
            f"{contents}{common}</ListBucketResult>"
        )
        self._send(200, text.encode(), {"Content-Type": "application/xml"}, True)

    def _refuse(self, status: int, code: str, with_body: bool) -> None:
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code>'
            f"<Message>refused for {ACCESS_KEY}</Message><RequestId>1</RequestId></Error>"
        )
        self._send(status, text.encode(), {"Content-Type": "application/xml"}, with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        if self.storage.fault == "cut" and len(body) > 1:
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Bucketed]:
    """An empty storage on a port of its own."""
    storage = Bucketed()
    handler = type("Handler", (_Handler,), {"storage": storage})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    storage.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield storage
    finally:
        storage.released.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
        time.sleep(0)
