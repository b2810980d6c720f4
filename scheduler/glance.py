"""A bounded look at files that stay where they are: some of their rows, and about how many."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from automl.errors import DataError
from scheduler.reading import LOOKED_AT_BYTES, WEAK_FORMATS

if TYPE_CHECKING:
    import pyarrow as pa

    from automl.data.options import ReadingLimits, ReadingOptions
    from automl.relations.objects import File
    from automl.relations.sources import EventFiles

# Of a folder with more files than this, so many are opened, spread evenly over their names.
MOST_FILES = 20
# A text that is read from its beginning is read whole up to this.
WHOLE_TEXT_BYTES = 2**26
MOST_TRIES = 8
LOG_NAME = re.compile(r"\.log(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Glance:
    """Rows of some files.

    Parameters
    ----------
    rows : some of them, or all
    n_rows : of all files; estimated from their bytes where not all was read
    options : how they were read: as declared, or with the log format that was found
    is_guessed : whether the log format was found by looking
    may_be_whole : whether all rows are few enough to be read
    """

    rows: pa.Table
    n_rows: int
    options: Mapping[str, Any]
    is_guessed: bool
    may_be_whole: bool


def glance(
    files: Sequence[File],
    *,
    table: str,
    options: Mapping[str, Any],
    limits: ReadingLimits,
    n_rows: int,
    whole_rows: int,
) -> Glance:
    """Look at up to `n_rows` rows of a table's files.

    Of Parquet these are runs of neighbours spread over the rows of the files that are opened; of a
    text the first rows of each. Lines that are no table are read as a log, where they fit a format.

    Parameters
    ----------
    whole_rows : of so many, all may be read: asked for by the same number as `n_rows`

    Raises
    ------
    DataError
        What reading the files raises.
    """
    from automl.data.options import ReadingOptions
    from automl.relations.objects import n_bytes_of
    from automl.relations.sources import EventFiles

    declared = ReadingOptions.from_json(options)
    some = spread(files, MOST_FILES if n_rows < whole_rows else len(files))
    undeclared = declared.format is None and declared.log_format is None

    def seen_as(chosen: ReadingOptions) -> tuple[EventFiles, pa.Table, int]:
        read = EventFiles(some, table=table, options=chosen, limits=limits)
        look = _of_parquet if read.is_parquet else _of_texts
        return read, *look(read, n_rows)

    guessed = log_format(some[0]) if undeclared and LOG_NAME.search(some[0].name) else None
    try:
        try:
            read, rows, seen = seen_as(replace(declared, log_format=guessed or declared.log_format))
        except DataError:
            # Lines with commas may look like a table for a while.
            guessed = log_format(some[0]) if undeclared and guessed is None else None
            if guessed is None:
                raise
            read, rows, seen = seen_as(replace(declared, log_format=guessed))
    except DataError as error:
        error.table = error.table or table
        raise
    n_bytes = sum(map(n_bytes_of, files))
    total = seen if len(some) == len(files) else int(seen * n_bytes / max(read.n_bytes, 1))
    total = max(total, rows.num_rows)
    light = read.is_parquet or n_bytes <= WHOLE_TEXT_BYTES
    return Glance(
        rows=rows,
        n_rows=total,
        options=dict(options) | ({"log_format": guessed} if guessed else {}),
        is_guessed=guessed is not None,
        may_be_whole=light and total <= whole_rows,
    )


def spread(files: Sequence[File], most: int) -> list[File]:
    """So many of files at most, evenly spread.

    >>> spread(list("abcdefgh"), 3)
    ['a', 'c', 'f']
    """
    if len(files) <= most:
        return list(files)
    return [files[len(files) * at // most] for at in range(most)]


def log_format(file: File) -> str | None:
    """The log format that the first lines of a file fit; None: none that says much."""
    from automl.data.formats import GZIP, head
    from automl.data.options import ReadingLimits
    from automl.logs.formats import MAX_UNPARSED, guess_format

    with file.open("rb") as opened:
        compressed = opened.read(len(GZIP)) == GZIP
    first = head(file, compressed=compressed, n_bytes=LOOKED_AT_BYTES, limits=ReadingLimits())
    name, share = guess_format(first)
    return None if name in WEAK_FORMATS or share < 1 - MAX_UNPARSED else name


def _of_parquet(read: EventFiles, n_rows: int, *, runs: int = 20) -> tuple[pa.Table, int]:
    """Runs of neighbours, and how many rows the files have."""
    import pyarrow as pa

    from automl.relations.parquet import conformed, opened
    from automl.relations.reading import plain
    from automl.relations.sources import BATCH_ROWS

    total = read.expected_rows
    wanted = [(0, total)]
    if total > n_rows:
        each = n_rows // runs
        wanted = [(total * run // runs, total * run // runs + each) for run in range(runs)]
    found, start = [read.schema.empty_table()], 0
    for path in read.paths:
        with opened(path, schema=read.schema) as file:
            counts = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
            ends = list(itertools.accumulate(counts, initial=start))
            for group, (low, high) in enumerate(itertools.pairwise(ends)):
                if not any(a < high and b > low for a, b in wanted):
                    continue
                for batch in file.iter_batches(
                    batch_size=BATCH_ROWS,
                    row_groups=[group],
                    columns=read.schema.names,
                    use_threads=False,
                ):
                    here = conformed(pa.Table.from_batches([batch]), read.schema)
                    for a, b in wanted:
                        first, last = max(a, low), min(b, low + here.num_rows)
                        if first < last:
                            found.append(plain(here.slice(first - low, last - first)))
                    low += here.num_rows
            start = ends[-1]
    return pa.concat_tables(found, promote_options="permissive"), total


def _of_texts(read: EventFiles, n_rows: int) -> tuple[pa.Table, int]:
    """The first rows of each file, and how many rows the files have by their share of the bytes."""
    import pyarrow as pa

    from automl.data.columns import Widening
    from automl.relations.reading import plain

    each = max(n_rows // len(read.paths), 1)
    for _ in range(MOST_TRIES):
        found, all_read = [], True
        try:
            for number in range(len(read.paths)):
                n = 0
                for batch in read.of_file(number):
                    found.append(plain(batch).slice(0, each - n))
                    n += found[-1].num_rows
                    if n >= each:
                        all_read = False
                        break
        except Widening as widening:
            read.widen(widening)
        else:
            rows = pa.concat_tables(found, promote_options="permissive")
            return rows, rows.num_rows if all_read else max(read.expected_rows, rows.num_rows)
    raise DataError(f"the columns of '{read.name}' are of no one type", code="different_columns")
