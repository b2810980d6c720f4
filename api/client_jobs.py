"""What `FrugalClient` can ask about jobs: submit a search, follow it, read what came of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from api import client_calls
from api.client_calls import (
    Calls,
    JobEvent,
    Json,
    ServiceError,
    ServiceUnreachable,
    events_of,
    given,
    path_of,
)
from api.client_frames import is_frame
from api.client_tables import TableCalls
from automl.errors import DataError

POLL_SECONDS = 1.0
# Longer than the pause between the service's keep-alive comments in a silent event stream.
EVENT_TIMEOUT_SECONDS = 60.0
LEADERBOARD_PAGE = 1000


class DatasetInvalid(DataError):
    """The service took a file, but could not read it to its end; `dataset` says why."""

    code = "dataset_invalid"

    def __init__(self, dataset: Mapping[str, Any]) -> None:
        problem = dataset.get("problem") or {}
        super().__init__(
            str(problem.get("detail") or f"data set {dataset['id']} is {dataset['state']}"),
            code=str(problem.get("code", "dataset_invalid")),
        )
        self.dataset = dict(dataset)


class JobCalls(Calls):
    """Jobs, as plain dictionaries; `FrugalClient` makes `Job` objects of them."""

    def _submitted(self, request: Mapping[str, Any], idempotency_key: str | None) -> Json:
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return self._again("POST", "/v1/jobs", json=dict(request), headers=headers)

    def plan(self, request: Mapping[str, Any]) -> Json:
        """When a job would run and what that saves, without submitting it."""
        return self._again("POST", "/v1/plans", json=dict(request))

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """Events of a job as they happen, until it ends; a broken connection is resumed."""
        failures = 0
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            try:
                with self._request(
                    "GET",
                    path_of("jobs", job_id, "events"),
                    headers=headers,
                    stream=True,
                    timeout=EVENT_TIMEOUT_SECONDS,
                ) as response:
                    if response.status_code == 204:  # it has ended, and all was seen
                        return
                    for event in events_of(response.iter_lines()):
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
                if failures == client_calls.ATTEMPTS:
                    raise ServiceUnreachable(f"the events of job {job_id} broke off") from error
                time.sleep(client_calls.BACKOFF_SECONDS * 2**failures)

    def _polled_events(self, job_id: str, *, after: int) -> Iterator[JobEvent]:
        while True:
            path, params = path_of("jobs", job_id, "events"), {"after": after}
            page = self._json("GET", path, params=params)
            for item in page["items"]:
                yield JobEvent(seq=item["seq"], kind=item["kind"], data=item["data"])
            after = page["last"]
            if page["finished"]:
                return
            if not page["items"]:
                time.sleep(POLL_SECONDS)

    def leaderboard(self, job_id: str, *, sort: str = "score", front: bool = False) -> list[Json]:
        """The finished trials of a job, best first."""
        rows: list[Json] = []
        while True:
            params = {
                "sort": sort,
                "front": str(front).lower(),
                "limit": LEADERBOARD_PAGE,
                "offset": len(rows),
            }
            page = self._json("GET", path_of("jobs", job_id, "leaderboard"), params=params)
            rows += page["items"]
            if not page["items"] or len(rows) >= page["total"]:
                return rows

    def receipt(self, job_id: str) -> Json:
        """What a job took, by phase: CPU-seconds, kWh, gCO2e."""
        return self._json("GET", path_of("jobs", job_id, "receipt"))


def asked_for(
    dataset: str,
    *,
    target: str | None = None,
    positive: Any = None,
    exclude: Sequence[str] = (),
    objective: Mapping[str, Any] | None = None,
    limits: Mapping[str, float] | None = None,
    when: Mapping[str, Any] | None = None,
    model: str | None = None,
    mode: str | None = None,
    seed: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> Json:
    """The request of a job, with only what was said; `more` are fields as the API has them.

    >>> asked_for("d1", target="y", limits={"cpu_seconds": 60})
    {'dataset': 'd1', 'target': 'y', 'limits': {'cpu_seconds': 60}}
    """
    said = given(
        target=target,
        positive=positive,
        exclude=list(exclude) or None,
        objective=None if objective is None else dict(objective),
        limits=None if limits is None else dict(limits),
        when=None if when is None else dict(when),
        model=model,
        mode=mode,
        seed=seed,
    )
    return {"dataset": dataset, **said, **(more or {})}


def dataset_of(
    client: TableCalls,
    data: Any,
    *,
    files: Mapping[str, Any] | None = None,
    name: str | None = None,
    options: Mapping[str, str] | None = None,
    upload_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Json:
    """The data set of whatever it is: a file, a table, a spec with its files, or an answer.

    Raises
    ------
    DatasetInvalid
        It was read and is not usable; the problem says where.
    """
    if isinstance(data, Mapping) and "tables" in data:
        dataset = client.assemble(data, files, name=name or "data")
    elif isinstance(data, Mapping):
        dataset = client.wait_dataset(data["id"])
    elif is_frame(data) or isinstance(data, Path) or not is_id(data):
        dataset = client.upload(
            data, name=name, options=options, upload_id=upload_id, progress=progress
        )
    else:
        dataset = client.wait_dataset(data)
    if dataset["state"] != "READY":
        raise DatasetInvalid(dataset)
    return dataset


def is_id(text: str) -> bool:
    """Whether a text is the id of a data set, and not a path.

    >>> is_id("5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"), is_id("customers.csv")
    (True, False)
    """
    is_hex = len(text) == 32 and set(text) <= set("0123456789abcdef")
    return is_hex and not Path(text).exists()
