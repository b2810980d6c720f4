"""Calls to providers on the web: bounded in time and bytes, and silent about keys."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import requests

from scheduler.carbon.readings import bad_answer
from scheduler.errors import ForecastUnavailable

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 4 * 2**20  # ten days of quarter-hours of 20 fuels in XML are 1.4 MB
_CHUNK = 65536
# Ours nest six deep. The parser goes down by recursion, and fails far from here when it is misled.
MAX_DEPTH = 32
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[][{}]', re.DOTALL)
# Threads whose server neither answers nor hangs up; they end with their sockets.
_MAX_WAITING = 16
_waiting = threading.BoundedSemaphore(_MAX_WAITING)
_T = TypeVar("_T")
# What a status means for whoever asks again: some end with patience, some only with another key.
_CODES = {401: "refused", 403: "refused", 402: "refused", 429: "rate_limited"}


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """What `work` returns, or ForecastUnavailable `slow` when that takes longer.

    `work` runs in a thread of its own: a time limit on a socket starts anew with every byte, and
    one on looking up a name does not exist.
    """
    if not _waiting.acquire(blocking=False):
        raise ForecastUnavailable(
            f"{_MAX_WAITING} earlier calls have not ended yet; no other is started", code="slow"
        )
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            _waiting.release()

    thread = threading.Thread(target=run, name="intensity", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise ForecastUnavailable(f"no whole answer within {seconds:g} s", code="slow")


def _untouched(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that adds nothing; without it, requests would send what ~/.netrc holds."""
    return request


@dataclass(frozen=True, kw_only=True)
class Call:
    """One question to a provider, of one or several requests, with one end of patience for all."""

    base_url: str
    until: float  # on time.monotonic()
    max_bytes: int = MAX_BYTES

    def body(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> bytes:
        """The body of the answer to a GET.

        Raises ForecastUnavailable: `unreachable`, `slow`, `refused` (the key), `rate_limited`,
        `bad_answer` (any other status, redirects included, or too many bytes). Neither the
        address, which may hold a key, nor anything of the answer is in the message.
        """
        # urllib3 logs whole addresses at DEBUG, and one provider wants its key in there.
        quiet = logging.getLogger("urllib3.connectionpool")
        if quiet.getEffectiveLevel() < logging.INFO:
            quiet.setLevel(logging.INFO)
        try:
            # Proxies and certificates as the environment says; a session per call, since an
            # abandoned thread may still hold the last one.
            with requests.Session() as session:
                response = session.get(
                    self.base_url.rstrip("/") + path,
                    params=dict(params or {}),
                    # Compressed bytes would have to be counted twice.
                    headers={"Accept-Encoding": "identity", **(headers or {})},
                    auth=login or _untouched,
                    timeout=self._left(),
                    allow_redirects=False,
                    stream=True,
                )
                with response:
                    return self._read(response)
        except requests.Timeout:
            raise ForecastUnavailable("no answer in time", code="slow") from None
        except (requests.RequestException, OSError) as error:
            raise ForecastUnavailable(
                f"out of reach ({type(error).__name__})", code="unreachable"
            ) from None

    def _read(self, response: requests.Response) -> bytes:
        status = response.status_code
        if status != 200:
            raise ForecastUnavailable(
                f"answered with status {status}", code=_CODES.get(status, "bad_answer")
            )
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise bad_answer("it is compressed, unasked")
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            self._left()
            body += chunk
            if len(body) > self.max_bytes:
                raise bad_answer(f"it is longer than {self.max_bytes} bytes")
        return bytes(body)

    def _left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise ForecastUnavailable("no whole answer in time", code="slow")
        return left

    def json(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> Any:
        """The JSON value answered to a GET; NaN and infinities are refused, as JSON does."""
        body = self.body(path, params, headers=headers, login=login)
        if _is_deep(body):
            raise bad_answer(f"it is nested more than {MAX_DEPTH} deep")
        try:
            return json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise bad_answer("it is not JSON") from None


def _is_deep(body: bytes) -> bool:
    """Whether brackets outside of texts are nested too deeply, told without parsing."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _NESTING.finditer(body):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in (b"]", b"}"):
            depth -= 1
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
