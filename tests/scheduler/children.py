"""Functions that the tests run in child processes and jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from automl.errors import DataError
from scheduler.child import Channel


def add(a: int, b: int) -> int:
    print("noise on standard output")
    return a + b


def refuse(secret: str) -> None:
    raise DataError(
        "row 7 has 3 fields", code="ragged_row", table="t", column="c", row=7, details={"n": 3}
    )


def fail(secret: str) -> None:
    raise RuntimeError(f"cannot parse {secret}")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def swallow_memory(n_bytes: int) -> int:
    return len(bytearray(n_bytes))


def sleep(seconds: float, marker: str = "") -> str:
    if marker:
        Path(marker).write_text(str(os.getpid()))
    time.sleep(seconds)
    return "slept"


def burn(seconds: float = 600.0, marker: str = "") -> None:
    """Stay in C code, where no Python signal handler runs."""
    if marker:
        Path(marker).write_text(str(os.getpid()))
    pow(3, 10**9)


def burn_with_child(marker: str) -> None:
    grandchild = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    Path(marker).write_text(f"{os.getpid()} {grandchild.pid}")
    grandchild.wait()


def converse(channel: Channel) -> list[Any]:
    return [channel.send({"step": step}) for step in range(3)]


def facts() -> dict[str, Any]:
    return {
        "modules": sorted(sys.modules),
        "environment": dict(os.environ),
        "nice": os.nice(0),
        "group": os.getpgid(0),
        "pid": os.getpid(),
    }


# As jobs: the first argument is the job's id.


def job_add(job_id: str, a: int, b: int) -> int:
    return a + b


def job_search(job_id: str, case: str, seed: int) -> str:
    from tests.automl.search.repeats import digest

    return digest(case, seed=seed)


def job_refuse(job_id: str) -> None:
    refuse("x")


def job_fail(job_id: str) -> None:
    raise RuntimeError("cannot parse FR7612345")


def job_facts(job_id: str) -> dict[str, Any]:
    return facts()


def job_crash(job_id: str) -> None:
    crash()


def job_sleep(job_id: str, seconds: float, marker: str) -> str:
    return sleep(seconds, marker)


def job_burn(job_id: str, marker: str) -> None:
    burn(marker=marker)


def job_burn_with_child(job_id: str, marker: str) -> None:
    burn_with_child(marker)
