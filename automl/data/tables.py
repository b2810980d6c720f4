"""Any upload to typed Parquet, as a stream: memory does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from automl.data import delimited, jsonlines, loglines, parquet
from automl.data.columns import ARROW, ColumnPlan, Widening, misfit_error, share_tokens
from automl.data.dialect import Dialect
from automl.data.formats import DecodedStream, Format, detect
from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.profiles import Profiler
from automl.errors import DataError

__all__ = ["ReadingLimits", "ReadingOptions", "ingest", "inspect"]

ROWS_FILE = "rows.parquet"
READERS: dict[str, ModuleType] = {
    "csv": delimited,
    "parquet": parquet,
    "jsonl": jsonlines,
    "log": loglines,
}
GROUP_ROWS = 131_072
GROUP_BYTES = 64 * 2**20
MAX_RESTARTS = 24


def inspect(source: Path, *, options: ReadingOptions, limits: ReadingLimits) -> Dialect:
    """A bounded look (4 MiB) at an upload.

    Raises
    ------
    DataError
        Every fault that the first bytes show; ``unsupported_format`` is meant for status 415.
    """
    form = _detected(source, options=options, limits=limits)
    if form.name == "parquet" and form.compressed:
        return Dialect(format="parquet", compressed=True, names=())
    dialect, _ = _examine(source, form, options=options, limits=limits)
    return dialect


def ingest(
    source: Path, destination: Path, *, options: ReadingOptions, limits: ReadingLimits
) -> dict[str, Any]:
    """Stream an upload to ``destination/rows.parquet`` and return its profile.

    Parameters
    ----------
    destination : Path
        A folder; made if it is not there. After an error it holds nothing of this call.

    Returns
    -------
    dict
        The profile, JSON values only.

    Raises
    ------
    DataError
        With `code`, and `column` and `row` where the fault is in one place.
    """
    destination.mkdir(parents=True, exist_ok=True)
    part = destination / f"{ROWS_FILE}.part"
    try:
        profile = _ingest(source, part, options=options, limits=limits)
        os.replace(part, destination / ROWS_FILE)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return profile


def _detected(source: Path, *, options: ReadingOptions, limits: ReadingLimits) -> Format:
    """The format by the first bytes; a log is one because it is declared to be."""
    form = detect(source, declared=options.format, limits=limits)
    if options.log_format is None:
        return form
    if form.name == "parquet":
        raise DataError("the file is Parquet, not a log as declared", code="unsupported_format")
    return Format(name="log", compressed=form.compressed)


def _examine(
    source: Path, form: Format, *, options: ReadingOptions, limits: ReadingLimits
) -> tuple[Dialect, list[ColumnPlan]]:
    dialect, plans = READERS[form.name].examine(source, form, options=options, limits=limits)
    unknown = [name for name in options.types if name not in dialect.names]
    if options.key is not None and options.key not in dialect.names:
        unknown.append(options.key)
    if unknown:
        raise DataError(
            f"{len(unknown)} column(s) of the reading options are not in the table",
            code="column_not_found",
            column=unknown[0],
            details={"columns": unknown[:20]},
        )
    return dialect, plans


def _ingest(
    source: Path, part: Path, *, options: ReadingOptions, limits: ReadingLimits
) -> dict[str, Any]:
    form = _detected(source, options=options, limits=limits)
    with _seekable(source, form, part.parent, limits=limits) as path:
        dialect, plans = _examine(path, form, options=options, limits=limits)
        for _ in range(MAX_RESTARTS):
            plans = share_tokens(plans)
            try:
                profiler = _write(path, part, dialect, plans, options=options, limits=limits)
                break
            except Widening as widening:
                plans = [
                    widening.plan if plan.name == widening.plan.name else plan for plan in plans
                ]
                last = widening
        else:
            raise misfit_error(last.plan, "bad", row=last.row)
    return profiler.profile(
        part,
        dialect=dialect,
        plans=plans,
        options=options,
        bytes_in=source.stat().st_size,
    )


@contextmanager
def _seekable(source: Path, form: Format, folder: Path, *, limits: ReadingLimits) -> Iterator[Path]:
    """Parquet is read from its end: inside gzip it is unpacked first, under the counter."""
    if not (form.name == "parquet" and form.compressed):
        yield source
        return
    unpacked = folder / "unpacked.part"
    try:
        with (
            DecodedStream(source, compressed=True, max_bytes=limits.max_decoded_bytes) as stream,
            unpacked.open("wb") as file,
        ):
            while chunk := stream.read(2**20):
                file.write(chunk)
        yield unpacked
    finally:
        with suppress(FileNotFoundError):
            unpacked.unlink()


def _write(
    source: Path,
    part: Path,
    dialect: Dialect,
    plans: list[ColumnPlan],
    *,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> Profiler:
    """Read, profile and write all rows once."""
    schema = pa.schema([(plan.name, ARROW[plan.type]) for plan in plans])
    profiler = Profiler(plans, options=options)
    tables: list[pa.Table] = []
    n_rows = n_bytes = 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        reading = READERS[dialect.format].read(
            source, dialect, plans, options=options, limits=limits
        )
        for table in reading:
            profiler.update(table)
            tables.append(table)
            n_rows += table.num_rows
            n_bytes += table.nbytes
            if n_rows >= GROUP_ROWS or n_bytes >= GROUP_BYTES:
                writer.write_table(pa.concat_tables(tables), row_group_size=GROUP_ROWS)
                tables, n_rows, n_bytes = [], 0, 0
        if tables:
            writer.write_table(pa.concat_tables(tables), row_group_size=GROUP_ROWS)
    profiler.notes = list(getattr(reading, "notes", ()))
    if profiler.n_rows == 0:
        raise DataError("the table has no rows", code="no_rows")
    return profiler
