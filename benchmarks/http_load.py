"""Open-loop load: requests leave when they are due, whether or not earlier ones were answered.

A loop that waits for each answer asks less of a slow service, and hides how slow it is. So a
request's time begins when it was due (Tene, "How NOT to measure latency", 2013).
"""

from __future__ import annotations

import http.client
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

CONNECTIONS = 16
WARM_UP = 20  # requests before the first that counts


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of a load: milliseconds since each request was due, in their order."""

    rate: float
    milliseconds: list[float]
    bodies: list[bytes]
    failed: int
    cpu_seconds: float  # of the service's processes
    wall_seconds: float
    load_average: float  # of the last minute, at the end

    def figures(self) -> dict[str, float | int]:
        """In short."""
        n = len(self.milliseconds)
        return {
            "rate": self.rate,
            "requests": n,
            "failed": self.failed,
            "p50_ms": round(quantile(self.milliseconds, 0.5), 2),
            "p99_ms": round(quantile(self.milliseconds, 0.99), 2),
            "most_ms": round(max(self.milliseconds), 2),
            "cpu_ms_per_request": round(1000 * self.cpu_seconds / n, 2),
            "load_average": round(self.load_average, 2),
        }


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of all are at or below.

    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5), quantile([1.0, 2.0], 0.99)
    (2.0, 2.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def cpu_seconds(pid: int) -> float:
    """CPU-seconds of a process and its living descendants so far."""
    total = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


class Client:
    """One kept connection."""

    def __init__(self, url: str, token: str) -> None:
        self._host = str(urlsplit(url).netloc)
        self._headers = {"Authorization": f"Bearer {token}", "Connection": "keep-alive"}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, request: Request) -> tuple[int, bytes]:
        """Status and body of the answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, timeout=120)
        headers = {**self._headers, "Accept": request.accept}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            self._connection.request(
                request.method, request.path, body=request.body, headers=headers
            )
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def drive(
    make: Callable[[], Client], requests: Sequence[Request], *, rate: float, pid: int
) -> Load:
    """Send requests, so many a second, evenly spaced, over at most 16 connections."""
    clients = [make() for _ in range(CONNECTIONS)]
    for i, request in enumerate(requests[:WARM_UP]):
        clients[i % CONNECTIONS].ask(request)
    for client in clients:
        client.ask(requests[0])
    milliseconds = [0.0] * len(requests)
    bodies: list[bytes] = [b""] * len(requests)
    failed = [0] * CONNECTIONS
    lock, upcoming = threading.Lock(), iter(range(len(requests)))
    cpu = cpu_seconds(pid)
    began = time.perf_counter() + 0.05

    def work(own: int) -> None:
        while True:
            with lock:
                i = next(upcoming, None)
            if i is None:
                return
            due = began + i / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                status, bodies[i] = clients[own].ask(requests[i])
                failed[own] += status != 200
            except (OSError, http.client.HTTPException):
                failed[own] += 1
            milliseconds[i] = 1000 * (time.perf_counter() - due)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    used = cpu_seconds(pid) - cpu
    for client in clients:
        client.close()
    return Load(
        rate=rate,
        milliseconds=milliseconds,
        bodies=bodies,
        failed=sum(failed),
        cpu_seconds=used,
        wall_seconds=wall,
        load_average=os.getloadavg()[0],
    )
