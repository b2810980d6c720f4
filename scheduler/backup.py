"""Everything the service keeps, in one folder with checksums; and back from it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, DateTime, MetaData, select
from sqlalchemy.engine import make_url

from scheduler.artifacts import ArtifactStore, file_sha256, full_disk, sync
from scheduler.config import Settings
from scheduler.errors import Conflict, Corrupt, IncompatibleStore
from scheduler.store import Store
from scheduler.store_engine import translated

FORMAT = 1
_MANIFEST = "manifest.json"
_SQLITE = "database.sqlite"
_LINES = "database.jsonl"
_ARTIFACTS = "artifacts"
_ROWS_AT_ONCE = 1000


def backup(settings: Settings, destination: Path, *, now: datetime) -> dict[str, Any]:
    """Write a consistent copy of the database, and the artifacts, into a new folder.

    The service may run meanwhile: the database is copied as of one moment, then the files, which
    never change under their key. A file that was deleted in between is named in `missing`.

    Returns
    -------
    dict
        The manifest, as written to `manifest.json`: `format`, `created_at`, `database` (dialect
        and revision), `files` (path -> sha256, bytes) and `missing` (artifact keys).

    Raises
    ------
    Conflict
        `not_empty`: there is something at the destination; `nothing_to_back_up`.
    StoreUnavailable, StorageFull
        Nothing is left at the destination.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise Conflict(f"{destination} is not empty", code="not_empty")
    url = make_url(settings.resolved_database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise Conflict(f"there is no database {url.database}", code="nothing_to_back_up")
    store = Store(settings.resolved_database_url)
    part = destination.parent / f"{destination.name}.{uuid.uuid4().hex}.part"
    try:
        artifacts = ArtifactStore(settings.resolved_artifacts_url)
        if store.is_empty():
            raise Conflict("the database is empty", code="nothing_to_back_up")
        with _whole(part):
            database = _dump(store, part)
            copied = _copy_artifacts(artifacts, part / _ARTIFACTS)
            needed = {key for key in store.artifact_keys() if not key.startswith("jobs/")}
            manifest: dict[str, Any] = {
                "format": FORMAT,
                "created_at": now.isoformat(),
                "database": database,
                "files": _checksums(part),
                "missing": sorted(key for key in needed if not _is_there(key, copied)),
            }
            path = part / _MANIFEST
            path.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
            _sync_tree(part)
            if destination.exists():
                destination.rmdir()
            part.rename(destination)
            sync(destination.parent)
    finally:
        store.close()
    return manifest


def restore(settings: Settings, source: Path) -> dict[str, Any]:
    """Bring a backup back into an empty database and an empty folder of artifacts.

    Every checksum is compared before anything is written, and the database comes last: a restore
    that was cut short leaves a service without records, which a second one may fill.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    Conflict
        `not_empty`: the service that the settings describe has data already.
    Corrupt
        A file is missing, changed or too many; or this is no backup.
    IncompatibleStore
        The backup is of the other kind of database, or of a newer version.
    """
    manifest = verify(source)
    url = make_url(settings.resolved_database_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    dialect = manifest["database"]["dialect"]
    if dialect != ("sqlite" if is_sqlite else "postgresql"):
        raise IncompatibleStore(f"the backup is of a {dialect} database, the settings of another")
    _check_revision(manifest["database"]["revision"])
    artifacts = ArtifactStore(settings.resolved_artifacts_url)
    if artifacts.names():
        raise Conflict("the folder of the artifacts is not empty", code="not_empty")
    if is_sqlite:
        target = Path(str(url.database))
        if target.exists() and target.stat().st_size:
            raise Conflict(f"the database {target} exists", code="not_empty")
        _copy_in(source / _ARTIFACTS, artifacts.root)
        _restore_sqlite(source / _SQLITE, target)
    else:
        store = Store(settings.resolved_database_url)
        try:
            if not store.is_empty():
                raise Conflict("the database is not empty", code="not_empty")
            _copy_in(source / _ARTIFACTS, artifacts.root)
            _restore_lines(store, source / _LINES, revision=manifest["database"]["revision"])
        finally:
            store.close()
    store = Store(settings.resolved_database_url)
    try:
        store.migrate()
    finally:
        store.close()
    return manifest


def verify(source: Path) -> dict[str, Any]:
    """Compare every file of a backup with its manifest, and return that. Raises Corrupt."""
    try:
        manifest = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
        files, version = manifest["files"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise Corrupt(f"{source} has no readable {_MANIFEST}") from None
    if version != FORMAT:
        raise IncompatibleStore(f"the backup has format {version}; this version reads {FORMAT}")
    found = _checksums(source)
    for name in sorted(files.keys() | found.keys()):
        if name not in found:
            raise Corrupt(f"{name} is missing from the backup")
        if name not in files:
            raise Corrupt(f"{name} is in the backup and not in its manifest")
        if files[name] != found[name]:
            raise Corrupt(f"{name} does not match its checksum")
    return dict(manifest)


def _dump(store: Store, folder: Path) -> dict[str, str | None]:
    from scheduler.migrations import current

    if store.is_sqlite:
        path = folder / _SQLITE
        with (
            translated(),
            closing(sqlite3.connect(str(store.engine.url.database), timeout=15)) as live,
            closing(sqlite3.connect(path)) as copy,
        ):
            live.backup(copy)
            # One file, whatever journal the live one uses.
            copy.execute("PRAGMA journal_mode=DELETE").close()
        with closing(sqlite3.connect(path)) as copy:
            [(revision,)] = copy.execute("SELECT version_num FROM alembic_version").fetchall()
        return {"dialect": "sqlite", "revision": revision}
    with translated(), store.engine.connect() as connection:
        snapshot = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with snapshot.begin(), (folder / _LINES).open("w", encoding="utf-8") as file:
            for line in _lines(snapshot):
                file.write(line + "\n")
            revision = current(snapshot)
    return {"dialect": "postgresql", "revision": revision}


def _lines(connection: Connection) -> Iterator[str]:
    """Each row of each table as one line, referenced tables first, so that they go in again."""
    for table in _tables(connection).sorted_tables:
        rows = connection.execute(select(table), execution_options={"yield_per": _ROWS_AT_ONCE})
        for row in rows:
            values = {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in row._mapping.items()
            }
            yield json.dumps({"table": table.name, "row": values})


def _tables(connection: Connection) -> MetaData:
    """The tables as they are in the database, whichever revision it is at."""
    found = MetaData()
    found.reflect(connection)
    found.remove(found.tables["alembic_version"])
    for table in found.tables.values():
        for column in table.c:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return found


def _restore_lines(store: Store, path: Path, *, revision: str) -> None:
    from scheduler.migrations import downgrade, upgrade

    try:
        with translated():
            upgrade(store.engine, revision)
        with store.write() as connection:
            tables = _tables(connection).tables
            for name, rows in _batches(path):
                times = {column.name for column in tables[name].c if _is_time(column)}
                for row in rows:
                    row.update(
                        {
                            key: datetime.fromisoformat(row[key])
                            for key in times & row.keys()
                            if row[key] is not None
                        }
                    )
                connection.execute(tables[name].insert(), rows)
    except BaseException:
        with translated():  # so that the next attempt finds the database as empty as this one did
            downgrade(store.engine, "base")
        raise


def _is_time(column: Column[Any]) -> bool:
    return isinstance(column.type, DateTime)


def _batches(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of one table at a time, at most a thousand, in the order of the file."""
    with path.open(encoding="utf-8") as file:
        records = (json.loads(line) for line in file)
        for name, group in groupby(records, key=itemgetter("table")):
            while rows := [record["row"] for record in islice(group, _ROWS_AT_ONCE)]:
                yield name, rows


def _restore_sqlite(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.parent / f"{uuid.uuid4().hex}.part"
    try:
        with full_disk():
            shutil.copyfile(source, part)
        part.chmod(0o600)
        sync(part)
        part.replace(target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _check_revision(revision: str | None) -> None:
    from alembic.script import ScriptDirectory

    from scheduler.migrations import configuration

    scripts = ScriptDirectory.from_config(configuration())
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise IncompatibleStore(f"the backup is of a newer version (revision {revision!r})")


def _copy_artifacts(artifacts: ArtifactStore, target: Path) -> set[str]:
    """Copy every artifact; the paths that were copied (one may be deleted meanwhile)."""
    copied = set()
    for name in artifacts.names():
        try:
            _copy_file(artifacts.root / name, target / name)
        except FileNotFoundError:
            continue
        copied.add(name)
    return copied


def _copy_in(source: Path, root: Path) -> None:
    with full_disk():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                _copy_file(path, root / path.relative_to(source))
        _sync_tree(root)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)


def _is_there(key: str, copied: set[str]) -> bool:
    return key in copied or any(name.startswith(f"{key}/") for name in copied)


def _checksums(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": file_sha256(path),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / _MANIFEST
    }


def _sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)


@contextmanager
def _whole(part: Path) -> Iterator[None]:
    """A new folder that is either renamed in the block or removed after it."""
    with full_disk():
        part.mkdir(parents=True, mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(part, ignore_errors=True)
