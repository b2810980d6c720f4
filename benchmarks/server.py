"""Which web server: idle cost, slow clients, and what a client without a token makes it store.

    python -m benchmarks.server                        # waitress as it comes, and our listener
    python -m benchmarks.server --gunicorn PYTHON      # also gunicorn gthread, of that interpreter

Every server runs the same small application: it checks the token, then reads the body. Measured:
CPU and memory at rest; `/healthz` while 200 clients with a token upload one byte a second; bytes
taken of an upload without a token; CPU and memory of a 256 MiB upload with one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

TOKEN = "benchmark"  # noqa: S105 - of this application only
DRIPS = 200
DRIP_SECONDS = 30
IDLE_SECONDS = 30
UPLOAD_BYTES = 256 * 2**20
FREE_UPLOAD_BYTES = 64 * 2**20
HEALTH_TIMEOUT = 5.0
THREADS = 16


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """`/healthz` answers; a POST needs the token and is read to its end."""
    status = "200 OK"
    if environ["REQUEST_METHOD"] == "POST":
        if environ.get("HTTP_AUTHORIZATION") != f"Bearer {TOKEN}":
            status = "401 Unauthorized"
        else:
            while environ["wsgi.input"].read(1 << 16):
                pass
    start(status, [("Content-Length", "2")])
    return [b"ok"]


def run_server(kind: str, port: int) -> None:
    """Serve `application` until killed."""
    if kind == "waitress":
        import waitress

        waitress.serve(application, host="127.0.0.1", port=port, threads=THREADS)
        return
    from api.gate import Gate
    from api.listener import Listener

    gate = Gate(
        max_upload_bytes=2**30,
        max_body_bytes=2**25,
        knows=lambda secret: secret == TOKEN,
        has_room=lambda n_bytes: True,
    )
    Listener(application, gate=gate, host="127.0.0.1", port=port, threads=THREADS).run()


@contextlib.contextmanager
def running(kind: str, python: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A server in a subprocess: its process id and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "benchmarks.server", "--serve", kind, "--port", str(port)]
    if kind == "gunicorn":
        command = [python, "-m", "gunicorn", "-k", "gthread", "-w", "1", "--threads", "32"]
        command += ["-b", f"127.0.0.1:{port}", "--log-level", "error", "benchmarks.server"]
    with subprocess.Popen(command, env={"TMPDIR": str(folder), "PATH": "/usr/bin:/bin"}) as process:
        try:
            for _ in range(100):
                if health(port) is not None:
                    break
                time.sleep(0.1)
            yield process.pid, port
        finally:
            process.terminate()


def health(port: int) -> float | None:
    """Seconds until `/healthz` answered; None when it did not."""
    began = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=HEALTH_TIMEOUT) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            client.settimeout(HEALTH_TIMEOUT)
            return time.perf_counter() - began if client.recv(12) == b"HTTP/1.1 200" else None
    except OSError:
        return None


def usage(pid: int) -> tuple[float, float]:
    """CPU-seconds and megabytes of a process and its children."""
    import psutil

    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    cpu = sum(sum(member.cpu_times()[:2]) for member in family)
    return cpu, sum(member.memory_info().rss for member in family) / 2**20


def head(n_bytes: int, *, token: str | None) -> bytes:
    """The headers of an upload."""
    line = f"Authorization: Bearer {token}\r\n" if token else ""
    text = (
        f"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\n{line}Content-Length: {n_bytes}\r\n\r\n"
    )
    return text.encode()


def drip(port: int, until: float) -> None:
    """Upload one byte a second."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head(1_000_000, token=TOKEN))
        while time.monotonic() < until:
            client.sendall(b"x")
            time.sleep(1)


def send(port: int, n_bytes: int, *, token: str | None) -> tuple[int, bytes]:
    """Bytes of the body that were sent before an answer came, and the first line of the answer."""
    chunk, sent = b"x" * 65536, 0
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head(n_bytes, token=token))
        time.sleep(0.2)  # an answer by the headers alone is here by now
        with contextlib.suppress(OSError):
            while sent < n_bytes:
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if client.recv(12, socket.MSG_PEEK):
                        break
                client.settimeout(60)
                sent += client.send(chunk)
        client.settimeout(60)
        with contextlib.suppress(OSError):
            return sent, client.recv(12)
    return sent, b""


def spooled(pid: int) -> int:
    """Bytes that a process and its children hold in deleted temporary files."""
    import psutil

    process, total = psutil.Process(pid), 0
    for member in [process, *process.children(recursive=True)]:
        for link in Path(f"/proc/{member.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if "(deleted)" in str(link.readlink()):
                    total += link.stat().st_size
    return total


def measure(kind: str, python: str) -> dict[str, Any]:
    """All figures of one server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(kind, python, Path(folder)) as (pid, port),
    ):
        cpu, memory = usage(pid)
        time.sleep(IDLE_SECONDS)
        result: dict[str, Any] = {
            "server": kind,
            "idle_cpu_percent": 100 * (usage(pid)[0] - cpu) / IDLE_SECONDS,
            "idle_mb": memory,
        }

        peak, watching = [0], threading.Event()

        def watch() -> None:
            while not watching.wait(0.01):
                peak[0] = max(peak[0], spooled(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        sent, answer = send(port, FREE_UPLOAD_BYTES, token=None)
        watching.set()
        watcher.join()
        result |= {"no_token_sent_mb": sent / 2**20, "no_token_stored_mb": peak[0] / 2**20}
        result["no_token_answer"] = answer.decode()

        cpu = usage(pid)[0]
        _, answer = send(port, UPLOAD_BYTES, token=TOKEN)
        after, memory = usage(pid)
        result |= {"upload_cpu_seconds": after - cpu, "upload_mb": memory}
        result["upload_answer"] = answer.decode()

        until = time.monotonic() + DRIP_SECONDS
        drips = [threading.Thread(target=drip, args=(port, until)) for _ in range(DRIPS)]
        for thread in drips:
            thread.start()
        time.sleep(3)
        cpu, answers = usage(pid)[0], []
        while time.monotonic() < until - 1:
            answers.append(health(port))
            time.sleep(0.1)
        result["drip_cpu_percent"] = 100 * (usage(pid)[0] - cpu) / (DRIP_SECONDS - 4)
        good = sorted(seconds for seconds in answers if seconds is not None)
        result["health_answered"] = f"{len(good)}/{len(answers)}"
        result["health_p99_seconds"] = good[int(0.99 * (len(good) - 1))] if good else None
        for thread in drips:
            thread.join()
    return result


def main() -> None:
    """Measure and print one JSON object for each server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gunicorn", metavar="PYTHON", help="interpreter that has gunicorn")
    parser.add_argument("--serve", choices=("waitress", "listener"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        run_server(arguments.serve, arguments.port)
        return
    kinds = [("listener", sys.executable), ("waitress", sys.executable)]
    if arguments.gunicorn:
        kinds.append(("gunicorn", arguments.gunicorn))
    for kind, python in kinds:
        print(json.dumps(measure(kind, python)), flush=True)


if __name__ == "__main__":
    main()
