"""Helpers of the reading tests: bytes in, profile and stored table out, or the error."""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.data.tables import ReadingLimits, ReadingOptions, ingest, inspect
from automl.errors import DataError

LIMITS = ReadingLimits()


def read(
    data: bytes | str, *, limits: ReadingLimits = LIMITS, **options: Any
) -> tuple[dict[str, Any], pa.Table]:
    """Profile and stored rows of an upload; what `inspect` says must agree."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "upload"
        source.write_bytes(data.encode() if isinstance(data, str) else data)
        chosen = ReadingOptions.from_json(options)
        inspect(source, options=chosen, limits=limits)
        stored = Path(folder) / "stored"
        profile = ingest(source, stored, options=chosen, limits=limits)
        assert [path.name for path in stored.iterdir()] == ["rows.parquet"]
        return profile, pq.read_table(stored / "rows.parquet")


def refused(data: bytes | str, *, limits: ReadingLimits = LIMITS, **options: Any) -> DataError:
    """The error of a file that `ingest` refuses, which leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "upload"
        source.write_bytes(data.encode() if isinstance(data, str) else data)
        stored = Path(folder) / "stored"
        with pytest.raises(DataError) as caught:
            ingest(source, stored, options=ReadingOptions.from_json(options), limits=limits)
        assert list(stored.iterdir()) == []
        return caught.value


def refused_at_once(
    data: bytes | str, *, limits: ReadingLimits = LIMITS, **options: Any
) -> DataError:
    """The error of a file that the bounded look already refuses, as `ingest` does."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "upload"
        source.write_bytes(data.encode() if isinstance(data, str) else data)
        with pytest.raises(DataError) as caught:
            inspect(source, options=ReadingOptions.from_json(options), limits=limits)
    assert refused(data, limits=limits, **options).code == caught.value.code
    return caught.value


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file in memory."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def zipped(data: bytes | str) -> bytes:
    """The same inside gzip."""
    return gzip.compress(data.encode() if isinstance(data, str) else data)
