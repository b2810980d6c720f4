"""A client of the service: `FrugalClient(url, token)`."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from api.client_calls import CarbonCalls, Json, ScheduleCalls
from api.client_tables import TableCalls
from api.client_uploads import PIECE_BYTES, Progress, UploadCalls
from automl.errors import FrugalError

ATTEMPTS = 5
BACKOFF_SECONDS = 0.25  # doubles with each attempt
POLL_SECONDS = 1.0
RETRIED = (429, 502, 503, 504)
# Longer than the pause between the service's keep-alive comments in a silent event stream.
EVENT_TIMEOUT_SECONDS = 60.0
CONTENT_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".csv": "text/csv",
}


class ServiceError(FrugalError):
    """The service refused a request; `status` and the whole problem document say why."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        super().__init__(detail, code=str(problem.get("code", "http_error")))
        self.status = status
        self.problem = dict(problem)


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


class FrugalClient(ScheduleCalls, CarbonCalls, TableCalls, UploadCalls):
    """Talks to one service as one project.

    Reading is retried when the service is busy or away for a moment; so is submitting a job, with
    an Idempotency-Key, so that a retry never makes a second job.

    Parameters
    ----------
    url : str
        Address of the service, e.g. ``http://127.0.0.1:8080``.
    token : str
        Bearer token.
    timeout : float
        Seconds to wait for an answer.

    Raises
    ------
    ServiceError
        From every method: the service answered with a problem.
    ServiceUnreachable
        From every method: nothing answers.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        # A proxy of the environment cannot reach this machine.
        self._session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
        retry = Retry(
            total=ATTEMPTS,
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

    def __enter__(self) -> FrugalClient:
        """Use as a context that closes the connections at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def upload(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        options: Mapping[str, str] | None = None,
        wait: bool = True,
        upload_id: str | None = None,
        progress: Progress | None = None,
    ) -> Json:
        """Send a file as a data set, as a stream, and wait until it is read in.

        What is larger than 16 MiB goes in pieces, each sent again where the connection breaks.

        Parameters
        ----------
        path : path
            CSV, Parquet or JSON Lines, each also gzipped.
        name : str, optional
            Name of the data set; absent: the file's.
        options : mapping, optional
            How to read it, e.g. ``{"delimiter": ";", "decimal": ","}``; absent ones are guessed.
        wait : bool
            Return only when the data set is READY or INVALID.
        upload_id : str, optional
            Go on with an upload in pieces that broke off, as `UploadBroken` names it.
        progress : callable, optional
            Of an upload in pieces: is told the bytes that are there, and how many there will be.

        Returns
        -------
        dict
            The data set: id, state, n_rows, bytes_in, bytes_stored, problem, ...
        """
        path = Path(path)
        if upload_id is not None or path.stat().st_size > PIECE_BYTES:
            dataset = self.upload_in_pieces(
                path, name=name, options=options, upload_id=upload_id, progress=progress
            )
            return self.wait_dataset(dataset["id"]) if wait else dataset
        params = {"name": name or path.name, **(options or {})}
        headers = {"Content-Type": CONTENT_TYPES.get(path.suffix, "application/octet-stream")}
        with path.open("rb") as file:
            dataset = self._json("POST", "/v1/datasets", params=params, data=file, headers=headers)
        return self.wait_dataset(dataset["id"]) if wait else dataset

    def dataset(self, dataset_id: str) -> Json:
        """One data set."""
        return self._json("GET", f"/v1/datasets/{dataset_id}")

    def profile(self, dataset_id: str) -> Json:
        """What is in a data set, and what was guessed about it."""
        return self._json("GET", f"/v1/datasets/{dataset_id}/profile")

    def wait_dataset(self, dataset_id: str, *, poll_seconds: float = 0.2) -> Json:
        """The data set, once it is no longer INGESTING."""
        while (dataset := self.dataset(dataset_id))["state"] == "INGESTING":
            time.sleep(poll_seconds)
        return dataset

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """Ask for a search; the same key with the same request gives the same job."""
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        for attempt in range(ATTEMPTS):
            try:
                return self._json("POST", "/v1/jobs", json=dict(request), headers=headers)
            except ServiceUnreachable:
                if attempt == ATTEMPTS - 1:
                    raise
            except ServiceError as error:
                retried = error.status in RETRIED or error.code == "request_in_progress"
                if not retried or attempt == ATTEMPTS - 1:
                    raise
            time.sleep(BACKOFF_SECONDS * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def plan(self, request: Mapping[str, Any]) -> Json:
        """When a job would run and what that saves, without submitting it."""
        return self._json("POST", "/v1/plans", json=dict(request))

    def jobs(self, *, state: str | None = None) -> list[Json]:
        """Every job of the project, newest first."""
        found: list[Json] = []
        params: dict[str, str | int] = {"limit": 100}
        if state is not None:
            params["state"] = state
        while True:
            page = self._json("GET", "/v1/jobs", params=params)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    def job(self, job_id: str) -> Json:
        """One job."""
        return self._json("GET", f"/v1/jobs/{job_id}")

    def cancel(self, job_id: str) -> Json:
        """Stop a job; it keeps the best model so far."""
        return self._json("POST", f"/v1/jobs/{job_id}/cancel")

    def pause(self, job_id: str) -> Json:
        """Ask a job to pause after its current trial; it waits until `resume`."""
        return self._json("POST", f"/v1/jobs/{job_id}/pause")

    def resume(self, job_id: str) -> Json:
        """Let a paused job go on."""
        return self._json("POST", f"/v1/jobs/{job_id}/resume")

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """Events of a job as they happen, until it ends; a broken connection is resumed."""
        failures = 0
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            try:
                with self._request(
                    "GET",
                    f"/v1/jobs/{job_id}/events",
                    headers=headers,
                    stream=True,
                    timeout=EVENT_TIMEOUT_SECONDS,
                ) as response:
                    if response.status_code == 204:  # it has ended, and all was seen
                        return
                    for event in _events(response.iter_lines()):
                        after, failures = event.seq, 0
                        yield event
            except ServiceError as error:
                if error.code != "too_many_viewers":
                    raise
                yield from self._polled_events(job_id, after=after)
                return
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
                ServiceUnreachable,
            ) as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise ServiceUnreachable(f"the events of job {job_id} broke off") from error
                time.sleep(BACKOFF_SECONDS * 2**failures)

    def _polled_events(self, job_id: str, *, after: int) -> Iterator[JobEvent]:
        while True:
            path, params = f"/v1/jobs/{job_id}/events", {"after": after}
            page = self._json("GET", path, params=params)
            for item in page["items"]:
                yield JobEvent(seq=item["seq"], kind=item["kind"], data=item["data"])
            after = page["last"]
            if page["finished"]:
                return
            if not page["items"]:
                time.sleep(POLL_SECONDS)

    def wait(self, job_id: str, *, on_event: Callable[[JobEvent], None] | None = None) -> Json:
        """The job once it has ended; `on_event` is called with each event on the way."""
        for event in self.events(job_id):
            if on_event is not None:
                on_event(event)
        return self.job(job_id)

    def leaderboard(self, job_id: str, *, sort: str = "score", front: bool = False) -> list[Json]:
        """The finished trials of a job, best first."""
        rows: list[Json] = []
        while True:
            params = {"sort": sort, "front": str(front).lower(), "limit": 1000, "offset": len(rows)}
            page = self._json("GET", f"/v1/jobs/{job_id}/leaderboard", params=params)
            rows += page["items"]
            if not page["items"] or len(rows) >= page["total"]:
                return rows

    def receipt(self, job_id: str) -> Json:
        """What a job took, by phase: CPU-seconds, kWh, gCO2e."""
        return self._json("GET", f"/v1/jobs/{job_id}/receipt")

    def curves(
        self,
        model: str,
        *,
        version: int | None = None,
        member: int | None = None,
        missed_cost: float | None = None,
        alert_cost: float | None = None,
    ) -> Json:
        """Precision-recall, calibration, gain and cost curves of a model or of one finalist."""
        asked = {
            "version": version,
            "member": member,
            "missed_cost": missed_cost,
            "alert_cost": alert_cost,
        }
        params = {name: value for name, value in asked.items() if value is not None}
        return self._json("GET", f"/v1/models/{quote(model, safe='')}/curves", params=params)

    def predict(
        self,
        model: str,
        rows: Sequence[Mapping[str, Any]] | Path | bytes | IO[bytes],
        *,
        content_type: str | None = None,
        version: int | None = None,
        reasons: int = 0,
        tables: Mapping[str, Any] | None = None,
        now: str | None = None,
    ) -> Json:
        """Calibrated probabilities of rows given as mappings, or as a CSV or Parquet file.

        With `reasons`, so many columns of each row that moved its score furthest. A model of
        several tables takes rows as mappings and beside them `tables`: by name, rows as mappings,
        or ``{"log": text}`` for the lines of a raw log; `now` is the cut-off where the spec has
        one for all rows.
        """
        path = f"/v1/models/{quote(model, safe='')}/predict"
        params = {} if version is None else {"version": version}
        if reasons:
            params["reasons"] = reasons
        if isinstance(rows, Path):
            content_type = content_type or CONTENT_TYPES.get(rows.suffix, "text/csv")
            with rows.open("rb") as file:
                headers = {"Content-Type": content_type}
                return self._json("POST", path, params=params, data=file, headers=headers)
        if isinstance(rows, bytes) or hasattr(rows, "read"):
            headers = {"Content-Type": content_type or "text/csv"}
            return self._json("POST", path, params=params, data=rows, headers=headers)
        body: Json = {"rows": list(rows)}
        if tables is not None:
            body["tables"] = {
                name: one if isinstance(one, Mapping) else list(one) for name, one in tables.items()
            }
        if now is not None:
            body["now"] = now
        return self._json("POST", path, params=params, json=body)

    def card(self, model: str, *, version: int | None = None) -> Json:
        """The model card."""
        params = {} if version is None else {"version": version}
        return self._json("GET", f"/v1/models/{quote(model, safe='')}/card", params=params)

    def export(self, model: str, destination: Path | str, *, version: int | None = None) -> Path:
        """Save weights, manifest and loader of a model as one archive."""
        destination = Path(destination)
        params = {} if version is None else {"version": version}
        path = f"/v1/models/{quote(model, safe='')}/export"
        with (
            self._request("GET", path, params=params, stream=True) as response,
            destination.open("wb") as file,
        ):
            for chunk in response.iter_content(1 << 20):
                file.write(chunk)
        return destination

    def _json(self, method: str, path: str, **request: Any) -> Json:
        headers = {"Accept": "application/json", **request.pop("headers", {})}
        with self._request(method, path, headers=headers, **request) as response:
            value: Json = {} if response.status_code == 204 else response.json()
            return value

    def _request(self, method: str, path: str, **request: Any) -> requests.Response:
        request.setdefault("timeout", self.timeout)
        try:
            response = self._session.request(method, self.url + path, **request)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise ServiceUnreachable(f"no answer from {self.url}") from error
        if response.ok:
            return response
        with response:
            raise ServiceError(response.status_code, _problem(response))


def _problem(response: requests.Response) -> Json:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": response.reason}


def _events(lines: Iterator[bytes]) -> Iterator[JobEvent]:
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
