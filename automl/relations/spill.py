"""Event rows between two passes: dealt out to a file for each range of subjects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.relations.layout import SUBJECT, TIME
from automl.relations.order import combined, taken
from automl.relations.tables import Floats, Integers

# Texts with no more than so many different values are kept as numbers between the passes; with
# no more than the second, they are handed to Parquet as its dictionary.
MOST_WORDS, FEW_WORDS = 65_536, 1_024
# A bucket of so many times the rows that were meant for it is cut again.
TOO_LARGE, MOST_PIECES = 4, 64
SAMPLED = 16_384


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Event rows as they come: whose they are (-1: nobody's), when, and what is in them."""

    subject: Integers
    time: Floats
    columns: pa.Table


class Words:
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


class Spill:
    """A file of rows for each bucket, between the two passes."""

    def __init__(self, folder: Path, *, width: int) -> None:
        self.folder, self.width = folder, width
        self.names: list[str] = []
        self.schema = pa.schema([])
        self._words: dict[str, Words] = {}
        self._writers: dict[int, tuple[Any, Any]] = {}
        self._files: dict[int, list[Path]] = {}
        self._n_rows: dict[int, int] = {}

    def add(self, rows: Rows) -> None:
        """Deal rows out."""
        if not self.names:
            self.schema = schema = rows.columns.schema
            self.names = rows.columns.column_names
            self._words = {field.name: Words() for field in schema if is_text(field.type)}
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
                self._n_rows[number] = self._n_rows.get(number, 0) + end - start
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

    def pieces(self, number: int, *, most_rows: int) -> Iterator[Rows]:
        """The rows of a bucket, all at once; of one that is far too large, piece by piece.

        The pieces follow each other in the order of subject and time, and rows alike in both are
        in one of them, in the order in which they came.
        """
        n_rows = self._n_rows[number]
        if n_rows <= TOO_LARGE * most_rows:
            yield self._whole(self._files[number])
            return
        subject, time = self._pivots(number, n_pieces=min(-(-n_rows // most_rows), MOST_PIECES))
        writers: dict[tuple[int, pa.Schema], tuple[Any, Any]] = {}
        files: dict[int, list[Path]] = {}
        for batch in self._batches(self._files[number]):
            s, t = batch[SUBJECT].to_numpy(), batch[TIME].to_numpy()
            piece = np.zeros(len(s), dtype=np.int64)
            for ps, pt in zip(subject, time, strict=True):
                piece += (s > ps) | ((s == ps) & (t >= pt))
            for at in np.unique(piece).tolist():
                key = (at, batch.schema)
                if key not in writers:
                    of = files.setdefault(at, [])
                    of.append(self.folder / f"{number:05}-{at:02}-{len(of)}.arrows")
                    file = pa.OSFile(str(of[-1]), "wb")
                    writers[key] = file, pa.ipc.new_stream(file, batch.schema)
                writers[key][1].write_batch(batch.filter(pa.array(piece == at)))
        for file, writer in writers.values():
            writer.close()
            file.close()
        for at in sorted(files):
            yield self._whole(files[at])
            for path in files[at]:
                path.unlink()

    def _pivots(self, number: int, *, n_pieces: int) -> tuple[Integers, Floats]:
        """Subjects and times that cut a bucket into pieces of about one size."""
        step = max(self._n_rows[number] // SAMPLED, 1)
        some = [
            (batch[SUBJECT].to_numpy()[::step], batch[TIME].to_numpy()[::step])
            for batch in self._batches(self._files[number])
        ]
        subject, time = (np.concatenate(one) for one in zip(*some, strict=True))
        order = np.lexsort((time, subject))
        at = order[np.arange(1, n_pieces) * len(order) // n_pieces]
        return subject[at], time[at]

    def _batches(self, paths: list[Path]) -> Iterator[pa.RecordBatch]:
        for path in paths:
            # Not mapped: what is mapped counts as this process's memory.
            with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
                yield from stream

    def _whole(self, paths: list[Path]) -> Rows:
        """All rows of files, in the order in which they came."""
        tables = []
        for path in paths:
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
