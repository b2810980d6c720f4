"""What sources answered, kept on disk: whole or not at all, and never in anybody's way."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import threading
from pathlib import Path

from scheduler.carbon.kept import Kept, from_json, to_json
from scheduler.errors import ForecastUnavailable

log = logging.getLogger(__name__)

_UNSAFE = re.compile(r"[^a-z0-9]+")
MAX_BYTES = 64 * 2**20


class Cache:
    """One JSON file per source and zone under one folder, read again when another wrote it.

    A file that cannot be read counts as empty, and one that cannot be written is kept in memory
    alone; the log says so. With no folder everything stays in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._kept: dict[str, tuple[int, Kept]] = {}
        self._lock = threading.Lock()

    def load(self, source: str, zone: str) -> Kept:
        """What is kept of this source, by its name and way of counting, and zone."""
        name = _file_name(source, zone)
        with self._lock:
            mark = self._mark(name)
            held = self._kept.get(name)
            if held is not None and (mark == 0 or held[0] == mark):
                return held[1]
            kept = self._read(name) if mark else Kept()
            self._kept[name] = mark, kept
            return kept

    def save(self, source: str, zone: str, kept: Kept) -> None:
        """Keep this of the source and zone; on disk whole or not at all."""
        name = _file_name(source, zone)
        with self._lock:
            try:
                self._write(name, kept)
            except OSError as error:
                log.warning("intensities are kept in memory only (%s)", type(error).__name__)
            self._kept[name] = self._mark(name), kept

    def _mark(self, name: str) -> int:
        """When the file was written, in nanoseconds; 0 where there is none."""
        if self.folder is None:
            return 0
        try:
            return (self.folder / name).stat().st_mtime_ns
        except OSError:
            return 0

    def _read(self, name: str) -> Kept:
        assert self.folder is not None
        path = self.folder / name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError("too long")
            return from_json(json.loads(path.read_bytes()))
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            ForecastUnavailable,
        ) as error:
            log.warning("kept intensities %s cannot be used (%s)", name, type(error).__name__)
            return Kept()

    def _write(self, name: str, kept: Kept) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = json.dumps(to_json(kept), separators=(",", ":"), allow_nan=False).encode()
        handle, part = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.folder / name)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def _file_name(source: str, zone: str) -> str:
    """A name without surprises; zones are known ones, names of sources are cleaned.

    >>> _file_name("RTE eCO2mix, direct", "FR")
    'rte-eco2mix-direct.FR.json'
    """
    return f"{_UNSAFE.sub('-', source.lower()).strip('-')[:100]}.{zone}.json"
