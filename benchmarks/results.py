"""Results as JSON lines: appended whole, the last line of a key is the one that counts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
Row = dict[str, Any]
Key = tuple[str, int, str]


def key(row: Row) -> Key:
    """Set, seed and system."""
    return row["set"], row["seed"], row["system"]


def read(path: Path) -> dict[Key, Row]:
    """The newest row of each key; a half-written last line is skipped."""
    rows: dict[Key, Row] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            rows[key(row)] = row
    return rows


def done(rows: Mapping[Key, Row], wanted: Iterable[Key]) -> bool:
    """Whether all of them are there without an error."""
    return all(one in rows and rows[one].get("error") is None for one in wanted)


def append(path: Path, rows: Iterable[Row]) -> None:
    """One write for all, so that two runs at once do not mix their lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, sort_keys=False) + "\n" for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def provenance() -> Row:
    """Machine, date and commit; no name of a person or host."""
    return {
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": os.environ.get("FRUGAL_COMMIT") or commit(),
    }


def machine() -> str:
    """Processor, logical CPUs and memory."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GB"
    except (OSError, ValueError):
        return f"{model}, {os.cpu_count()} CPUs"


def commit() -> str:
    """The short commit, with + where tracked files differ from it; "unknown" outside git."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
