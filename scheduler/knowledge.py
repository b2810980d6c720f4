"""What a project's finished jobs taught: one local file a project, and a job's own copy of it.

The file is JSON lines of aggregates (`automl.meta.growth`). It never leaves the data folder, one
project's is nothing another can see, and deleting a data set deletes what its jobs added.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.errors import FrugalError
from automl.meta.growth import to_tasks
from automl.meta.knowledge import MOST_TASKS, Knowledge
from scheduler.artifacts import ArtifactStore, sync
from scheduler.config import Settings
from scheduler.records import Job

log = logging.getLogger(__name__)

FOLDER = "knowledge"
# Twice as many lines as may ever count, then the older half of them goes.
MOST_LINES = 2 * MOST_TASKS
MOST_LINE_BYTES = 16_384


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What is in a project's file."""

    lines: tuple[Mapping[str, Any], ...]
    n_skipped: int
    n_jobs: int  # that ever contributed, those of dropped lines included


class LocalKnowledge:
    """One project's file of contributions; a line is written whole or not at all."""

    def __init__(self, settings: Settings, project_id: str) -> None:
        self._folder = settings.data_dir.absolute() / FOLDER
        self._path = self._folder / f"{project_id}.jsonl"

    def read(self) -> Growth:
        """Every line that is whole; how many are not is logged, in one line."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Growth(lines=(), n_skipped=0, n_jobs=0)
        lines: list[Mapping[str, Any]] = []
        n_skipped = 0
        for text in content.splitlines():
            line = _parsed(text)
            if line is None:
                n_skipped += 1
            else:
                lines.append(line)
        if n_skipped:
            log.warning("knowledge: %d lines of the local file are broken, left out", n_skipped)
        n_jobs = max((int(line["number"]) for line in lines), default=0)
        return Growth(lines=tuple(lines), n_skipped=n_skipped, n_jobs=n_jobs)

    def add(self, contribution: Mapping[str, Any], *, job: Job) -> None:
        """Append what a job taught; a job that did so before adds nothing."""
        with self._locked():
            found = self.read()
            if any(line["job"] == job.id for line in found.lines):
                return
            line = {
                "number": found.n_jobs + 1,
                "job": job.id,
                "dataset": job.dataset_id,
                **contribution,
            }
            if len(found.lines) >= MOST_LINES:
                self._write([*found.lines[len(found.lines) // 2 :], line])
                return
            with self._path.open("ab") as file:
                # A torn line of an earlier crash must not swallow this one.
                start = b"" if _ends_well(self._path) else b"\n"
                file.write(start + json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def forget(self, dataset_id: str) -> None:
        """Delete what the jobs of a data set added."""
        if not self._path.exists():
            return
        with self._locked():
            found = self.read()
            kept = [line for line in found.lines if line["dataset"] != dataset_id]
            if len(kept) < len(found.lines):
                self._write(kept)
                log.info(
                    "knowledge: %d contributions of a deleted data set removed",
                    len(found.lines) - len(kept),
                )

    def _write(self, lines: list[Mapping[str, Any]]) -> None:
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        sync(self._folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Jobs' processes append and the service deletes: one at a time."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def preload() -> None:
    """Read and work out what every job would, once in the process that jobs are forked from."""
    known = Knowledge.shipped()
    for n_rows in (1, None):
        known.portfolio("balanced", n_rows=n_rows)
    log.debug("knowledge %s of %d tasks", known.digest, len(known.tasks))


def knowledge_of(settings: Settings, project_id: str) -> tuple[Knowledge, Growth]:
    """What a project's next job would start from, without exploration."""
    if settings.knowledge != "grow":
        base = Knowledge.empty() if settings.knowledge == "off" else Knowledge.shipped()
        return base, Growth(lines=(), n_skipped=0, n_jobs=0)
    growth = LocalKnowledge(settings, project_id).read()
    tasks, n_broken = to_tasks(growth.lines)
    if n_broken:
        log.warning("knowledge: %d lines of the local file say nothing usable, left out", n_broken)
    merged = Knowledge.shipped().merged(tasks) if tasks else Knowledge.shipped()
    return merged, Growth(
        lines=growth.lines, n_skipped=growth.n_skipped + n_broken, n_jobs=growth.n_jobs
    )


def knowledge_for(job: Job, *, settings: Settings, artifacts: ArtifactStore) -> Knowledge:
    """What a job searches with: frozen when it first began, so that a resume proposes the same."""
    key = f"jobs/{job.id}/knowledge.json"
    if artifacts.exists(key):
        with artifacts.open(key) as file:
            return Knowledge.from_json(json.loads(file.read()))
    merged, growth = knowledge_of(settings, job.project_id)
    if settings.knowledge == "grow":
        mode = job.request.get("mode") or "balanced"
        merged = merged.exploring(n_jobs=growth.n_jobs, mode=mode)
    artifacts.put_stream(key, [json.dumps(merged.to_json()).encode()])
    return merged


def learn(
    contribution: Mapping[str, Any] | None, *, job: Job, settings: Settings
) -> LocalKnowledge | None:
    """Add what a finished job taught; a failure to is logged and fails nothing."""
    if settings.knowledge != "grow" or contribution is None:
        return None
    local = LocalKnowledge(settings, job.project_id)
    try:
        local.add(contribution, job=job)
    except (OSError, FrugalError) as error:
        log.warning("job %s: its knowledge was not kept: %s", job.id, type(error).__name__)
        return None
    return local


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    if len(text) > MOST_LINE_BYTES:
        return None
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict):
        return None
    whole = all(isinstance(line.get(name), str) for name in ("job", "dataset"))
    number = line.get("number")
    return line if whole and isinstance(number, int) and 0 < number < 10**9 else None


def _ends_well(path: Path) -> bool:
    size = path.stat().st_size
    if not size:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"
