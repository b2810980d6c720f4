"""How quickly the idle service answers, with authentication, over HTTP.

    python -m benchmarks.http_smoke

Keep-alive connections, one and sixteen at once; one JSON line for each route: requests a second,
milliseconds at the median and the 99th percentile, and CPU-milliseconds of the service a request.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import requests

from api.local_service import LocalService

PATHS = ("/healthz", "/readyz", "/v1/jobs", "/v1/datasets", "/metrics", "/openapi.json")


def ask(service: LocalService, path: str, n_requests: int) -> list[float]:
    """Milliseconds of each of so many requests over one connection."""
    taken = []
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"Bearer {service.token}"}
        for _ in range(n_requests):
            began = time.perf_counter()
            answer = session.get(service.url + path, headers=headers, timeout=30)
            taken.append(1000 * (time.perf_counter() - began))
            answer.raise_for_status()
    return taken


def measure(
    service: LocalService, path: str, *, clients: int, n_requests: int
) -> dict[str, object]:
    """Figures of one route under so many clients."""
    process = psutil.Process(service.process.pid)
    ask(service, path, 20)
    cpu, began = sum(process.cpu_times()[:2]), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        runs = pool.map(lambda _: ask(service, path, n_requests // clients), range(clients))
        taken = sorted(one for run in runs for one in run)
    seconds, used = time.perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    return {
        "path": path,
        "clients": clients,
        "requests_per_second": round(len(taken) / seconds),
        "p50_ms": round(taken[len(taken) // 2], 1),
        "p99_ms": round(taken[int(0.99 * (len(taken) - 1))], 1),
        "cpu_ms_per_request": round(1000 * used / len(taken), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=800)
    n_requests = parser.parse_args().requests
    settings = {"FRUGAL_REQUESTS_PER_MINUTE": "10000000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalService(Path(folder), settings=settings) as service,
    ):
        for path in PATHS:
            for clients in (1, 16):
                figures = measure(service, path, clients=clients, n_requests=n_requests)
                print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
