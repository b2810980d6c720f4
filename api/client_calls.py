"""How `FrugalClient` sends a request, tries again what may be tried again, and reads an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from api.whole_file import whole_file
from automl.errors import FrugalError

Json = dict[str, Any]

ATTEMPTS = 5
CONNECTIONS = 3  # further ones where nobody listens: a service comes back within seconds, or not
BACKOFF_SECONDS = 0.25  # doubles with each attempt
MOST_PAUSE_SECONDS = 30.0  # however long the service says
RETRIED = (429, 502, 503, 504)
IN_PROGRESS = "request_in_progress"
PAGE = 100


class ServiceError(FrugalError):
    """The service refused a request; `status` and the whole problem document say why."""

    def __init__(
        self,
        status: int,
        problem: Mapping[str, Any],
        *,
        retry_after: float | None = None,
        path: str = "",
    ) -> None:
        detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        super().__init__(detail, code=str(problem.get("code", "http_error")))
        self.status = status
        self.problem = dict(problem)
        self.retry_after = retry_after  # seconds, where the service says so
        self.path = path  # of what was asked


class ServiceUnreachable(FrugalError):
    """Nothing answers at that address."""

    code = "unreachable"


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """Something that happened to a job: kind is state, trial, phase, warning or end."""

    seq: int
    kind: str
    data: Json


class _Bearer(AuthBase):
    # As an auth object, since requests lets a .netrc entry replace a plain header.
    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Calls:
    """Connections to one service, and what all nouns of it share.

    Parameters
    ----------
    url : str
        Address of the service.
    token : str
        Bearer token.
    timeout : float
        Seconds to wait for an answer.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        if not (token.isascii() and token.isprintable()):  # which no header can hold
            problem = {"code": "invalid_token", "detail": "the token has characters that none has"}
            raise ServiceError(401, problem)
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        # A proxy of the environment cannot reach this machine.
        self._session.trust_env = _host_of(url) not in ("127.0.0.1", "localhost", "::1")
        retry = Retry(
            total=ATTEMPTS,
            connect=CONNECTIONS,
            backoff_factor=BACKOFF_SECONDS,
            status_forcelist=RETRIED,
            allowed_methods=("GET", "HEAD"),
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _json(self, method: str, path: str, **request: Any) -> Json:
        headers = {"Accept": "application/json", **request.pop("headers", {})}
        with self._request(method, path, headers=headers, **request) as response:
            value: Json = {} if response.status_code == 204 else response.json()
            return value

    def _again(self, method: str, path: str, **request: Any) -> Json:
        """A request that means the same when it is sent twice, until it is answered."""
        for attempt in range(ATTEMPTS):
            try:
                return self._json(method, path, **request)
            except ServiceUnreachable:
                if attempt == ATTEMPTS - 1:
                    raise
                pause = None
            except ServiceError as error:
                retried = error.status in RETRIED or error.code == IN_PROGRESS
                if not retried or attempt == ATTEMPTS - 1:
                    raise
                pause = error.retry_after
            time.sleep(BACKOFF_SECONDS * 2**attempt if pause is None else pause)
        raise AssertionError("the last attempt returns or raises")

    def _request(self, method: str, path: str, **request: Any) -> requests.Response:
        request.setdefault("timeout", self.timeout)
        try:
            response = self._session.request(method, self.url + path, **request)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise ServiceUnreachable(f"no answer from {self.url}") from error
        except requests.exceptions.InvalidURL as error:
            raise ServiceUnreachable(f"{self.url!r} is no address of a service") from error
        except requests.exceptions.InvalidSchema as error:
            raise ServiceUnreachable(f"{self.url!r} is no http or https address") from error
        except requests.exceptions.MissingSchema as error:
            raise ServiceUnreachable(f"{self.url!r} has no http:// or https://") from error
        if response.ok:
            return response
        with response:
            raise ServiceError(
                response.status_code, _problem(response), retry_after=_pause(response), path=path
            )

    def _pages(self, path: str, **params: str | int) -> Iterator[Json]:
        """The items of all pages of a list."""
        while True:
            page = self._json("GET", path, params={"limit": PAGE, **params})
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def _save(self, path: str, destination: Path | str, **params: str | int) -> Path:
        """Save what is answered; a file that was there is replaced only by a whole one."""
        destination = Path(destination)
        try:
            with (
                whole_file(destination) as file,
                self._request("GET", path, params=params, stream=True) as response,
            ):
                for chunk in response.iter_content(1 << 20):
                    file.write(chunk)
        except requests.exceptions.RequestException as error:
            raise ServiceUnreachable(f"{destination.name} broke off while it came") from error
        return destination


def path_of(*parts: str) -> str:
    """The path of a record, with names and ids quoted.

    >>> path_of("models", "a/b", "card")
    '/v1/models/a%2Fb/card'
    """
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        raise ServiceUnreachable(f"{url!r} is no address of a service") from None


def given(**values: Any) -> Json:
    """Those that are not None.

    >>> given(version=None, reasons=3)
    {'reasons': 3}
    """
    return {name: value for name, value in values.items() if value is not None}


def _problem(response: requests.Response) -> Json:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": response.reason}


def _pause(response: requests.Response) -> float | None:
    """Seconds of Retry-After, which may also be a date (then it is not followed)."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), MOST_PAUSE_SECONDS) if text.isdecimal() else None


def events_of(lines: Iterator[bytes]) -> Iterator[JobEvent]:
    """Parse server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.decode().partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" in fields else value
        elif "data" in fields:
            event = json.loads(fields["data"])
            yield JobEvent(seq=event["seq"], kind=event["kind"], data=event["data"])
            fields = {}
        else:
            fields = {}
