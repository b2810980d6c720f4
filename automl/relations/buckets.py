"""Event rows of any order and number into sorted Parquet files, each a range of subjects."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.relations.layout import EMPTY_FILE, SUBJECT, TIME, Part, TableLayout
from automl.relations.order import sorting, taken
from automl.relations.spill import Rows, Spill, is_text
from automl.relations.tables import Integers

# Sorting a bucket takes about four times its bytes; a file of it is some 20 MB.
BUCKET_ROWS, BUCKET_BYTES = 1_500_000, 192 * 2**20
MOST_BUCKETS = 768  # each is an open file while rows are dealt out
GROUP_ROWS = 65_536
# So many rows are dealt out at once, so that a bucket's share of them is worth a write.
DEALT_ROWS, DEALT_BYTES = 1_048_576, 128 * 2**20
SAMPLE_ROWS = 16_384


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
    subject, time and what is in the rows; one that is far too large (an entity with most of the
    rows, a series of everybody's) is cut by time first. What is written depends on the rows only,
    not on their order or on how they came in batches; the number of buckets follows from what is
    expected.

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
    spill = Spill(scratch, width=width)
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
        parts: list[Part] = []
        writing = _Writing(group_rows=group_rows)
        for number in spill.numbers():
            ended: tuple[int, int] | None = None
            for rows in spill.pieces(number, most_rows=bucket_rows):
                if not is_sorted:
                    rows = _sorted(rows, leave=exclude)
                if first is not None:
                    rows, ended = _first(rows, first, ended)
                if len(rows.subject):
                    name = f"{table.name}/bucket-{len(parts):05}.parquet"
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


def _sorted(rows: Rows, *, leave: Sequence[str]) -> Rows:
    order = sorting(rows.subject, rows.time, rows.columns)
    names = [name for name in rows.columns.column_names if name not in leave]
    return _taken(rows, order, names)


def _first(rows: Rows, first: int, ended: tuple[int, int] | None) -> tuple[Rows, tuple[int, int]]:
    """So many first rows of each subject.

    `ended` is the last subject of the piece before and how many rows it had up to there.
    """
    subject = rows.subject
    rank = np.arange(len(subject)) - np.searchsorted(subject, subject)
    if ended is not None and ended[0] == subject[0]:
        rank[subject == subject[0]] += ended[1]
    last = int(subject[-1]), int(rank[-1]) + 1
    return _taken(rows, np.flatnonzero(rank < first), rows.columns.column_names), last


def _taken(rows: Rows, order: Integers, names: Sequence[str]) -> Rows:
    arrays = [taken(rows.columns[name], order) for name in names]
    return Rows(
        subject=rows.subject[order],
        time=rows.time[order],
        columns=pa.Table.from_arrays(arrays, names=list(names)),
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
