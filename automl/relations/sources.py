"""Event tables in files, one or many, read as typed batches: memory does not grow with them.

The files may be raw logs, and may lie in object storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from automl.data import delimited, jsonlines, loglines
from automl.data.columns import ARROW, ColumnPlan, Widening, misfit_error, share_tokens
from automl.data.dialect import Dialect
from automl.data.formats import Format, detect
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError
from automl.relations.objects import File, ObjectFile, n_bytes_of
from automl.relations.parquet import conformed, opened, said_by
from automl.relations.reading import described, plain, plain_type

BATCH_ROWS = 131_072
MOST_RESTARTS = 24
ENDINGS = (".parquet", ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".gz", ".log")
READERS: dict[str, Any] = {"csv": delimited, "jsonl": jsonlines, "log": loglines}
SAMPLE_BYTES = 2**20


def files_of(source: File | Sequence[File]) -> list[File]:
    """A file, the files of a folder in the order of their names, or those given.

    Raises
    ------
    DataError
        ``no_files`` where there is none.
    """
    if isinstance(source, ObjectFile):
        return [source]
    if not isinstance(source, Path):
        return list(source)
    if not source.is_dir():
        return [source]
    found = sorted(
        path
        for path in source.rglob("*")
        if path.is_file() and path.name.endswith(ENDINGS) and path.name[0] not in "._"
    )
    if not found:
        raise DataError("the folder has no Parquet or CSV file", code="no_files")
    return list[File](found)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows as they come, and where they lie: the file, and the first row's place in all files."""

    file: int
    from_row: int
    table: pa.Table


class EventFiles:
    """The files of one table, read as often as it takes.

    Parameters
    ----------
    source : a file, a folder, or files; all of one format and with the same columns
    table : its name, for errors

    Attributes
    ----------
    paths, n_bytes
    is_parquet : read by row groups
    expected_rows, expected_bytes : about, once decoded

    Raises
    ------
    DataError
        ``no_files``, ``different_columns``, ``mixed_formats``, and what reading an upload raises.
    """

    def __init__(
        self,
        source: File | Sequence[File],
        *,
        table: str,
        options: ReadingOptions | None = None,
        limits: ReadingLimits | None = None,
    ) -> None:
        self.name, self.paths = table, files_of(source)
        self._options, self._limits = options or ReadingOptions(), limits or ReadingLimits()
        self.n_bytes = sum(map(n_bytes_of, self.paths))
        self._formats = [
            detected(path, options=self._options, limits=self._limits) for path in self.paths
        ]
        kinds = {one.name for one in self._formats}
        if len(kinds) > 1:
            raise DataError(
                f"the files of '{table}' are of {len(kinds)} formats", code="mixed_formats"
            )
        self.is_parquet = kinds == {"parquet"}
        self._dialects: list[Dialect] = []
        self._plans: list[ColumnPlan] = []
        self._n_restarts = 0
        if self.is_parquet:
            self.schema = self._plain_schema()
        else:
            self._examine()

    def batches(self) -> Iterator[Batch]:
        """All rows, file by file.

        Raises
        ------
        Widening
            A column is wider than its first rows are; `widen`, and begin again.
        DataError
            With code, column and row.
        """
        n_rows = 0
        for number in range(len(self.paths)):
            tables = self.of_file(number)
            try:
                for table in tables:
                    yield Batch(file=number, from_row=n_rows, table=table)
                    n_rows += table.num_rows
            except DataError as error:
                error.table = error.table or self.name
                raise

    def of_file(self, number: int) -> Iterator[pa.Table]:
        """The rows of one file. Raises as `batches`, without the table's name."""
        return self._parquet(self.paths[number]) if self.is_parquet else self._texts(number)

    def table(self) -> pa.Table:
        """All rows in memory, for a short table."""
        while True:
            try:
                pieces = [plain(batch.table) for batch in self.batches()]
            except Widening as widening:
                self.widen(widening)
            else:
                return pa.concat_tables(pieces)

    def types(self) -> dict[str, str]:
        """Columns and their types, as `reading.described` tells them."""
        if self.is_parquet:
            return described(self.schema.empty_table())
        return {plan.name: str(ARROW[plan.type]) for plan in self._plans}

    def groups(self, columns: Sequence[str]) -> Iterator[tuple[int, int, pa.Table]]:
        """Row groups of Parquet files, with the numbers of the file and of the group in it."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        for number, path in enumerate(self.paths):
            with opened(path, schema=schema) as file:
                for group in range(file.metadata.num_row_groups):
                    table = file.read_row_group(group, columns=schema.names, use_threads=False)
                    yield number, group, conformed(table, schema)

    def widen(self, widening: Widening) -> None:
        """Read a column as the wider type from now on.

        Raises
        ------
        DataError
            It was widened too often.
        """
        self._n_restarts += 1
        if self._n_restarts > MOST_RESTARTS:
            raise misfit_error(widening.plan, "bad", row=widening.row)
        plan = widening.plan
        self._plans = share_tokens([plan if one.name == plan.name else one for one in self._plans])

    def _plain_schema(self) -> pa.Schema:
        """The columns of all files, of types that hold the values of each."""
        self.expected_rows = self.expected_bytes = 0
        names: list[str] = []
        types: dict[str, pa.DataType] = {}
        for path, form in zip(self.paths, self._formats, strict=True):
            if form.compressed:
                raise DataError("Parquet inside gzip is not read in place", code="mixed_formats")
            schema, about = said_by(path)
            self.expected_rows += about.num_rows
            self.expected_bytes += sum(
                about.row_group(at).total_byte_size for at in range(about.num_row_groups)
            )
            kinds = {
                field.name: kind for field in schema if (kind := plain_type(field.type)) is not None
            }
            if not names:
                names, types = list(kinds), kinds
                continue
            if set(kinds) != set(names):
                raise self._different(path, set(kinds) ^ set(names))
            for name in names:
                types[name] = self._wider(types[name], kinds[name], path, name)
        return pa.schema([pa.field(name, types[name]) for name in names])

    def _wider(self, one: pa.DataType, other: pa.DataType, path: File, name: str) -> pa.DataType:
        if one == other:
            return one
        numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)]
        if not all(numbers):
            raise self._different(path, {name})
        whole = pa.types.is_integer(one) and pa.types.is_integer(other)
        return pa.int64() if whole else pa.float64()

    def _different(self, path: File, columns: set[str]) -> DataError:
        return DataError(
            f"'{path.name}' has not the columns of the first file of '{self.name}'",
            code="different_columns",
            table=self.name,
            column=min(columns),
            details={"file": path.name, "columns": sorted(columns)[:20]},
        )

    def _parquet(self, path: File) -> Iterator[pa.Table]:
        with opened(path, schema=self.schema) as file:
            # Group by group: of an object, what is asked for at once is in memory at once.
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(
                    batch_size=BATCH_ROWS,
                    row_groups=[group],
                    columns=self.schema.names,
                    use_threads=False,
                ):
                    yield conformed(pa.Table.from_batches([batch]), self.schema)

    def _examine(self) -> None:
        reader = READERS[self._formats[0].name]
        rows = 0.0
        for path, form in zip(self.paths, self._formats, strict=True):
            dialect, plans = reader.examine(path, form, options=self._options, limits=self._limits)
            if not self._plans:
                self._plans = share_tokens(plans)
            elif set(dialect.names) != {plan.name for plan in self._plans}:
                raise self._different(path, set(dialect.names) ^ {one.name for one in self._plans})
            self._dialects.append(dialect)
            rows += _rows_of(path, form)
        self.expected_rows, self.expected_bytes = int(rows) + 1, self.n_bytes

    def _texts(self, number: int) -> Iterator[pa.Table]:
        dialect = self._dialects[number]
        plans = {plan.name: plan for plan in self._plans}
        yield from READERS[dialect.format].read(
            self.paths[number],
            dialect,
            [plans[name] for name in dialect.names],
            options=self._options,
            limits=self._limits,
        )


def detected(path: File, *, options: ReadingOptions, limits: ReadingLimits) -> Format:
    """The format of a file by its first bytes; a log is one because it is declared to be.

    Raises
    ------
    DataError
        As `formats.detect`.
    """
    if _says_parquet(path, options):
        return Format(name="parquet", compressed=False)
    form = detect(path, declared=options.format, limits=limits)
    if options.log_format is None:
        return form
    if form.name == "parquet":
        raise DataError("the file is Parquet, not a log as declared", code="unsupported_format")
    return Format(name="log", compressed=form.compressed)


def _says_parquet(path: File, options: ReadingOptions) -> bool:
    """Whether an object has the name and the end of Parquet: what is asked for there is needed."""
    if not isinstance(path, ObjectFile) or not path.name.endswith(".parquet"):
        return False
    if options.log_format is not None or options.format not in (None, "parquet"):
        return False
    try:
        said_by(path)
    except DataError as error:
        if error.code != "corrupt_parquet":
            raise
        return False
    return True


def _rows_of(path: File, form: Format) -> float:
    """About how many lines a text has, by its first mebibyte."""
    size = n_bytes_of(path)
    if form.compressed:
        return size / 8
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
    return size / max(len(head), 1) * (head.count(b"\n") + 1)
