"""Files of a feed that could not be read: told every night until they are mended, called once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from automl.errors import FrugalError
from scheduler.errors import problem_of
from scheduler.feed import FeedFile, chunks
from scheduler.records import DatasetState, StoredDataset
from scheduler.records_schedules import Run, Schedule
from scheduler.store import Store
from scheduler.store_outbox import Call

EVENT = "feed.unread"
# Of a run's decision. Its entries have `file`, `bytes`, `written_at`, `sha256` (None where the
# service may not open it), `since` (a local date), `code` and `detail`, perhaps `column`, `row`.
UNREAD = "unread"
MOST_LOOKED_BACK = 100  # runs
# One sentence each, and so many files at most: the list is kept with every run.
MOST_DETAIL = 300


def unread_of(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """What the newest of these runs that looked at its folder could not read.

    >>> due = datetime(2026, 11, 2, tzinfo=UTC)
    >>> def run(decision):
    ...     return Run(
    ...         schedule_id="1", local_date="2026-11-02", state="SKIPPED", due_at=due,
    ...         decision=decision,
    ...     )
    >>> unread_of([run({"because": "too soon"}), run({"unread": [{"file": "a.csv"}]})])
    [{'file': 'a.csv'}]
    """
    for run in runs:
        if run.decision is not None and UNREAD in run.decision:
            return [dict(one) for one in run.decision[UNREAD]]
    return []


class Unread:
    """What a run could not read of a folder, beside what the nights before could not.

    A file is known by its name, length and time: the same one is not read again, which would end
    the same way, but it is told again. `found` is kept with the run as soon as it grows, so that
    whoever decides the run next goes on from there.
    """

    def __init__(self, schedule: Schedule, run: Run, *, store: Store) -> None:
        self._schedule, self._run, self._store = schedule, run, store
        before, _ = store.list_runs(schedule.project_id, schedule.id, limit=MOST_LOOKED_BACK)
        self._before = {str(one["file"]): one for one in unread_of(before)}
        self._found: list[dict[str, Any]] = []
        self._changed = False

    def __len__(self) -> int:
        return len(self._found)

    def is_known(self, file: FeedFile, series: Sequence[StoredDataset]) -> bool:
        """Whether this version of a file is known not to be readable; then it is told again."""
        entry, state = self._before.get(file.name), _state(file)
        if entry is not None and (entry["bytes"], entry["written_at"]) == state:
            self._found.append(entry)
            return True
        failed = next((one for one in reversed(series) if _is_of(one, file.name, state)), None)
        if failed is None:
            return False
        self.add(file, failed.problem or {})
        return True

    def add(self, file: FeedFile, told: Mapping[str, Any] | FrugalError) -> None:
        """Note that a file could not be read, and why."""
        if isinstance(told, FrugalError):
            told = problem_of(told)
        n_bytes, written_at = _state(file)
        sha256, entry = _sha256(file), self._before.get(file.name)
        detail = str(told.get("detail") or "no reason is known")
        where = {name: told[name] for name in ("column", "row") if told.get(name) is not None}
        known = entry is not None and sha256 is not None and entry["sha256"] == sha256
        self._found.append(
            {
                "file": file.name,
                "bytes": n_bytes,
                "written_at": written_at,
                "sha256": sha256,
                "since": entry["since"] if entry and known else self._run.local_date,
                "called": bool(entry and known and entry["called"]),
                "code": str(told.get("code", "invalid_upload")),
                "detail": detail if len(detail) <= MOST_DETAIL else detail[:MOST_DETAIL] + "…",
                **where,
            }
        )
        self._changed = True

    def keep(self, *, whole: bool, now: datetime) -> list[str]:
        """Write it down with the run; the names that are new, once the folder was gone through.

        Of those the schedule's webhook is told in the same transaction, of each version of a file
        once. Raises LostLease.
        """
        new = [one for one in self._found if not one["called"]] if whole else []
        noted = (self._run.decision or {}).get(UNREAD)
        if whole:
            found = [{**one, "called": True} for one in self._found]
        else:  # those that were not come to yet are not forgotten
            seen = {one["file"] for one in self._found}
            found = self._found + [one for name, one in self._before.items() if name not in seen]
        if found == noted or not (whole or self._changed):
            return []
        self._store.note_run(
            self._run, said={UNREAD: found}, calls=self._calls(new) if new else [], now=now
        )
        return [str(one["file"]) for one in new]

    def _calls(self, new: Sequence[Mapping[str, Any]]) -> list[Call]:
        url = self._schedule.request.get("webhook")
        if not url:
            return []
        payload = {
            "event": EVENT,
            "schedule": self._schedule.id,
            "name": self._schedule.name,
            "model": self._schedule.request["model"],
            "local_date": self._run.local_date,
            "files": [{name: one[name] for name in ("file", "code", "detail")} for one in new],
        }
        return [Call(project_id=self._schedule.project_id, url=str(url), payload=payload)]


def _state(file: FeedFile) -> tuple[int, str]:
    """Length and time of a file, which tell its versions apart; of one that went, none."""
    try:
        found = file.path.lstat()
    except OSError:
        return 0, ""
    written = datetime.fromtimestamp(found.st_mtime, UTC)
    return found.st_size, written.isoformat(timespec="microseconds")


def _is_of(dataset: StoredDataset, name: str, state: tuple[int, str]) -> bool:
    """Whether a data set that could not be read in was of this file as it is now."""
    if dataset.state is not DatasetState.INVALID or dataset.name != name:
        return False
    created = dataset.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return dataset.bytes_in == state[0] and state[1] <= created


def _sha256(file: FeedFile) -> str | None:
    """What tells a file that was only touched from one that was mended."""
    found = hashlib.sha256()
    try:
        for chunk in chunks(file):
            found.update(chunk)
    except FrugalError:
        return None
    return found.hexdigest()
