"""Event rows of any order and number into sorted Parquet files, each a range of subjects."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.relations.layout import EMPTY_FILE, SUBJECT, TIME, Part, TableLayout
from automl.relations.order import combined, sorting, taken
from automl.relations.tables import Floats, Integers

# Sorting a bucket takes about four times its bytes; a file of it is some 20 MB.
BUCKET_ROWS, BUCKET_BYTES = 1_500_000, 192 * 2**20
MOST_BUCKETS = 768  # each is an open file while rows are dealt out
GROUP_ROWS = 65_536
# So many rows are dealt out at once, so that a bucket's share of them is worth a write.
DEALT_ROWS, DEALT_BYTES = 1_048_576, 128 * 2**20
# Texts with no more than so many different values are kept as numbers between the passes; with
# no more than the second, they are handed to Parquet as its dictionary.
MOST_WORDS, FEW_WORDS = 65_536, 1_024
SAMPLE_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Event rows as they come: whose they are (-1: nobody's), when, and what is in them."""

    subject: Integers
    time: Floats
    columns: pa.Table


def write_table(
    folder: Path,
    batches: Iterable[Rows],
    *,
    table: TableLayout,
    expected_rows: int,
    expected_bytes: int = 0,
    first: int | None = None,
    exclude: Sequence[str] = (),
    is_sorted: bool = False,
    bucket_rows: int = BUCKET_ROWS,
    group_rows: int = GROUP_ROWS,
) -> TableLayout:
    """Write one table's files under ``folder/NAME`` and return its layout with them.

    Rows are read once, dealt out to a file for each bucket, and each bucket is sorted in memory by
    subject, time and what is in the rows. What is written depends on the rows only, not on their
    order or on how they came in batches; the number of buckets follows from what is expected.

    Parameters
    ----------
    batches : rows, all with the same columns
    table : its layout without files
    expected_rows, expected_bytes : about, as they lie in memory; for the number of buckets
    first : keep only so many first rows of each subject
    exclude : columns that rows are sorted by, but that are not written
    is_sorted : rows come in their order already
    """
    home, scratch = folder / table.name, folder / f"{table.name}.part"
    for one in (home, scratch):
        shutil.rmtree(one, ignore_errors=True)
        one.mkdir(parents=True)
    n_buckets = max(math.ceil(expected_rows / bucket_rows), expected_bytes // BUCKET_BYTES, 1)
    n_buckets = min(n_buckets, MOST_BUCKETS, max(table.n_subjects, 1))
    width = max(math.ceil(table.n_subjects / n_buckets), 1)
    spill = _Spill(scratch, width=width)
    n_orphans = 0
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        stack.callback(spill.close)
        for rows in _together(batches):
            known = rows.subject >= 0
            if not known.all():
                n_orphans += int((~known).sum())
                at = np.flatnonzero(known)
                rows = Rows(
                    subject=rows.subject[at],
                    time=rows.time[at],
                    columns=rows.columns.take(pa.array(at)),
                )
            spill.add(rows)
        spill.close()
        parts, writing = [], _Writing(group_rows=group_rows)
        for number in spill.numbers():
            name = f"{table.name}/bucket-{number:05}.parquet"
            rows = spill.read(number)
            if not is_sorted:
                rows = _sorted(rows, first=first, leave=exclude)
            parts.append(writing.write(folder, name, rows))
            spill.free(number)
    if not parts:
        left = spill.schema.empty_table().select([one for one in spill.names if one not in exclude])
        pq.write_table(left, home / EMPTY_FILE)
    return replace(
        table,
        columns=tuple(name for name in spill.names if name not in exclude),
        parts=tuple(parts),
        n_orphans=table.n_orphans + n_orphans,
    )


def _together(batches: Iterable[Rows]) -> Iterator[Rows]:
    """Batches put together to about `DEALT_ROWS`."""
    held: list[Rows] = []
    n_rows = n_bytes = 0
    for rows in batches:
        held.append(rows)
        n_rows += len(rows.subject)
        n_bytes += rows.columns.nbytes
        if n_rows >= DEALT_ROWS or n_bytes >= DEALT_BYTES:
            yield _joined(held)
            held, n_rows, n_bytes = [], 0, 0
    if held:
        yield _joined(held)


def _joined(held: list[Rows]) -> Rows:
    return Rows(
        subject=np.concatenate([one.subject for one in held]),
        time=np.concatenate([one.time for one in held]),
        columns=pa.concat_tables([one.columns for one in held]),
    )


class _Words:
    """The different texts of a column so far; each is a number."""

    def __init__(self) -> None:
        self.words = pa.array([], pa.string())
        self.is_open = True

    def codes(self, column: pa.ChunkedArray) -> pa.Array | None:
        """Numbers of a column's texts, int32, null where there is none; None: too many texts."""
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        parts = []
        for chunk in encoded.chunks:
            own = chunk.dictionary.cast(pa.string())
            found = pc.index_in(own, value_set=self.words)
            if found.null_count:
                new = pc.unique(own.filter(found.is_null())).drop_null()
                if len(self.words) + len(new) > MOST_WORDS:
                    self.is_open = False
                    return None
                self.words = pa.concat_arrays([self.words, new])
                found = pc.index_in(own, value_set=self.words)
            parts.append(found.take(chunk.indices))
        return pa.chunked_array(parts, pa.int32()).combine_chunks()

    def texts(self, codes: pa.Array) -> pa.Array:
        """The texts of numbers: as a dictionary where they are few."""
        if self.is_open and len(self.words) <= FEW_WORDS:
            return pa.DictionaryArray.from_arrays(codes, self.words)
        return self.words.take(codes)


class _Spill:
    """A file of rows for each bucket, between the two passes."""

    def __init__(self, folder: Path, *, width: int) -> None:
        self.folder, self.width = folder, width
        self.names: list[str] = []
        self.schema = pa.schema([])
        self._words: dict[str, _Words] = {}
        self._writers: dict[int, tuple[Any, Any]] = {}
        self._files: dict[int, list[Path]] = {}

    def add(self, rows: Rows) -> None:
        """Deal rows out."""
        if not self.names:
            self.schema = schema = rows.columns.schema
            self.names = rows.columns.column_names
            self._words = {field.name: _Words() for field in schema if is_text(field.type)}
        bucket = rows.subject // self.width
        ends = np.cumsum(np.bincount(bucket))
        order = None
        if not bool((bucket[1:] >= bucket[:-1]).all()):
            order = np.argsort(bucket.astype(np.uint16), kind="stable")
        arrays = [taken(pa.array(rows.subject), order), taken(pa.array(rows.time), order)]
        arrays += [taken(self._spilt(name, rows.columns[name]), order) for name in self.names]
        batch = pa.RecordBatch.from_arrays(arrays, names=[SUBJECT, TIME, *self.names])
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                self._writer(number, batch.schema).write_batch(batch.slice(start, end - start))
            start = end

    def _spilt(self, name: str, column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """A column as it is written between the passes."""
        words = self._words.get(name)
        if words is not None and words.is_open:
            codes = words.codes(column)
            if codes is not None:
                return codes
            self.close()  # too many texts: from here on they are written as they are
        if pa.types.is_dictionary(column.type):
            return column.cast(pa.string())
        return column

    def _writer(self, number: int, schema: pa.Schema) -> Any:
        if number not in self._writers:
            files = self._files.setdefault(number, [])
            files.append(self.folder / f"{number:05}-{len(files)}.arrows")
            file = pa.OSFile(str(files[-1]), "wb")
            self._writers[number] = file, pa.ipc.new_stream(file, schema)
        return self._writers[number][1]

    def close(self) -> None:
        """End the files; what comes later begins others."""
        for file, writer in self._writers.values():
            writer.close()
            file.close()
        self._writers.clear()

    def numbers(self) -> list[int]:
        """The buckets that have rows, in order."""
        return sorted(self._files)

    def read(self, number: int) -> Rows:
        """All rows of a bucket, in the order in which they came."""
        tables = []
        for path in self._files[number]:
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
                tables.append(self._texts(stream.read_all()))
        table = pa.concat_tables(_alike(tables))
        return Rows(
            subject=combined(table[SUBJECT]).to_numpy(),
            time=combined(table[TIME]).to_numpy(),
            columns=table.select(self.names),
        )

    def _texts(self, table: pa.Table) -> pa.Table:
        for name, words in self._words.items():
            column = table[name]
            if pa.types.is_integer(column.type):
                at = table.schema.get_field_index(name)
                table = table.set_column(at, name, words.texts(column.combine_chunks()))
        return table

    def free(self, number: int) -> None:
        """Delete a bucket's files."""
        for path in self._files.pop(number):
            path.unlink()


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts, written out or as a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    """Tables whose texts are all of one type."""
    schemas = {table.schema for table in tables}
    if len(schemas) == 1:
        return tables
    plain = [
        pa.field(field.name, pa.string() if is_text(field.type) else field.type)
        for field in tables[0].schema
    ]
    return [table.cast(pa.schema(plain)) for table in tables]


def _sorted(rows: Rows, *, first: int | None, leave: Sequence[str]) -> Rows:
    order = sorting(rows.subject, rows.time, rows.columns)
    if first is not None:
        subject = rows.subject[order]
        rank = np.arange(len(order)) - np.searchsorted(subject, subject)
        order = order[rank < first]
    names = [name for name in rows.columns.column_names if name not in leave]
    arrays = [taken(rows.columns[name], order) for name in names]
    return Rows(
        subject=rows.subject[order],
        time=rows.time[order],
        columns=pa.Table.from_arrays(arrays, names=names),
    )


class _Writing:
    """How the columns of one table are written, decided on its first bucket."""

    def __init__(self, *, group_rows: int) -> None:
        self.group_rows = group_rows
        self._options: dict[str, Any] | None = None

    def write(self, folder: Path, name: str, rows: Rows) -> Part:
        """Write sorted rows and say what is in the file."""
        kind = pa.int32() if rows.subject[-1] < 2**31 else pa.int64()
        names = rows.columns.column_names
        table = pa.Table.from_arrays(
            [pa.array(rows.subject, kind), pa.array(rows.time), *rows.columns.columns],
            names=[SUBJECT, TIME, *names],
        )
        if self._options is None:
            self._options = encodings(table)
        pq.write_table(
            table,
            folder / name,
            row_group_size=self.group_rows,
            compression="zstd",
            compression_level=1,
            write_statistics=[SUBJECT, TIME],
            **self._options,
        )
        starts = range(0, len(rows.subject), self.group_rows)
        last = len(rows.subject) - 1
        return Part(
            file=name,
            n_rows=len(rows.subject),
            n_bytes=(folder / name).stat().st_size,
            groups=tuple(
                (int(rows.subject[at]), int(rows.subject[min(at + self.group_rows - 1, last)]))
                for at in starts
            ),
            times=_times(rows),
            nulls={one: n for one in names if (n := rows.columns[one].null_count)},
        )


def encodings(table: pa.Table) -> dict[str, Any]:
    """Parquet options for a table of this kind, decided on a sample of its rows.

    Subjects ascend: differences are stored. Texts and numbers of few values get a dictionary;
    other floats have their bytes stored apart (BYTE_STREAM_SPLIT), other integers differences.
    """
    sample = table.take(pa.array(np.linspace(0, table.num_rows - 1, SAMPLE_ROWS).astype(np.int64)))
    dictionary, encoding = [], {SUBJECT: "DELTA_BINARY_PACKED"}
    for name in table.column_names[1:]:
        kind = table.schema.field(name).type
        if pa.types.is_boolean(kind):
            continue
        if is_text(kind) or len(sample[name].unique()) < SAMPLE_ROWS // 2:
            dictionary.append(name)
        elif pa.types.is_floating(kind):
            encoding[name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
            encoding[name] = "DELTA_BINARY_PACKED"
    return {"use_dictionary": dictionary or False, "column_encoding": encoding}


def _times(rows: Rows) -> dict[str, tuple[float, float]]:
    known = np.isfinite(rows.time)
    found = (
        {TIME: (float(rows.time[known].min()), float(rows.time[known].max()))}
        if known.any()
        else {}
    )
    for name in rows.columns.column_names:
        if pa.types.is_timestamp(rows.columns.schema.field(name).type):
            ends = pc.min_max(rows.columns[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
            if ends["min"].is_valid:
                found[name] = (ends["min"].as_py() / 1e6, ends["max"].as_py() / 1e6)
    return found
