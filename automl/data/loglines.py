"""Raw logs as tables: lines of a named format to typed columns, with what became of the lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from automl.data import formats
from automl.data.checks import check
from automl.data.columns import (
    ARROW,
    ColumnPlan,
    Misfit,
    Widening,
    convert,
    guess,
    misfit_error,
    wider,
)
from automl.data.dates import UTC, localize
from automl.data.dialect import Dialect, guess_encoding
from automl.data.formats import Format, Readable, utf8_chunks
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError
from automl.logs.reading import LogCounts, LogReading, read_log

SAMPLE_BYTES = 2**20
# No look at the rows makes these anything else.
FIXED = {"time": "timestamp", "message": "string", "line": "integer"}


def reading_of(options: ReadingOptions, *, limits: ReadingLimits) -> LogReading:
    """How an upload's lines are read, from its options.

    Raises
    ------
    DataError
        ``invalid_option``
    """
    return LogReading.of(
        options.log_format or "",
        positions=options.log_columns,
        entity_prefix=options.entity_prefix,
        year=options.log_year,
        max_cell_bytes=limits.max_cell_bytes,
    )


def examine(
    source: Readable, form: Format, *, options: ReadingOptions, limits: ReadingLimits
) -> tuple[Dialect, list[ColumnPlan]]:
    """Names and column plans from the lines of the first MiB.

    Raises
    ------
    DataError
        ``log_format`` with the first line that is of another format, ``no_rows``, and what
        `read_log` raises.
    """
    reading = reading_of(options, limits=limits)
    sample = formats.head(source, compressed=form.compressed, n_bytes=SAMPLE_BYTES, limits=limits)
    encoding, guessed = guess_encoding(sample, options=options)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    data = text.removeprefix("\ufeff").encode("utf-8", "replace")
    if len(sample) >= SAMPLE_BYTES:
        data = data[: data.rfind(b"\n") + 1] or data
    counts = LogCounts()
    tables = list(read_log([data], reading, counts=counts))
    if not tables:
        raise _no_rows(counts, reading, data)
    table = pa.concat_tables(tables)
    plans = [
        _plan(name, table.column(name), reading=reading, table=table, options=options)
        for name in reading.columns
        # what the format has room for, and these lines do not say
        if name in ("key", "message") or table.column(name).null_count < table.num_rows
    ]
    return (
        Dialect(
            format="log",
            compressed=form.compressed,
            names=tuple(plan.name for plan in plans),
            encoding=encoding,
            guessed=("encoding",) if guessed else (),
        ),
        plans,
    )


def _no_rows(counts: LogCounts, reading: LogReading, data: bytes) -> DataError:
    if counts.n_without_entity:
        return DataError(
            f"none of the first {counts.n_without_entity:,} lines has a word that begins with the "
            "entity_prefix",
            code="log_format",
            details={"entity_prefix": reading.entity_prefix},
        )
    return DataError("the log has no lines", code="no_rows", details={"n_bytes": len(data)})


def _plan(
    name: str,
    column: pa.ChunkedArray,
    *,
    reading: LogReading,
    table: pa.Table,
    options: ReadingOptions,
) -> ColumnPlan:
    if name not in FIXED or options.types.get(name) not in (None, FIXED[name]):
        return guess(name, column.combine_chunks(), comma=False, options=options)
    why = {
        "time": f"the time of a line of format {reading.form.name}",
        "message": "the text of a line",
        "line": "the number of the line in the file",
    }[name]
    plan = ColumnPlan(name=name, type=FIXED[name], declared=True, why=why)
    if name != "time":
        return plan
    return replace(plan, aware=bool(pc.all(table.column("aware")).as_py()))


class LogRows:
    """The rows of a log as tables typed by the plans; afterwards, what is to be said of the lines.

    Raises
    ------
    Widening
        A column needs a wider type; read again with its plan.
    DataError
        What `read_log` raises, and what a column of any table is refused for.
    """

    def __init__(
        self,
        source: Readable,
        dialect: Dialect,
        plans: list[ColumnPlan],
        *,
        options: ReadingOptions,
        limits: ReadingLimits,
    ) -> None:
        self.counts = LogCounts()
        self._reading = reading_of(options, limits=limits)
        chunks = utf8_chunks(
            source, compressed=dialect.compressed, encoding=dialect.encoding, limits=limits
        )
        self._tables = read_log(chunks, self._reading, counts=self.counts)
        self._plans, self._options, self._limits = plans, options, limits

    def __iter__(self) -> Iterator[pa.Table]:
        n_rows = 0
        for table in self._tables:
            yield self._typed(table, before=n_rows)
            n_rows += table.num_rows

    def _typed(self, table: pa.Table, *, before: int) -> pa.Table:
        arrays = []
        for plan in self._plans:
            array = table.column(plan.name).combine_chunks()
            if isinstance(array, pa.ChunkedArray):
                array = pa.concat_arrays(array.chunks)
            try:
                array = self._converted(array, plan, table)
            except Misfit as misfit:
                row = before + misfit.index + 1
                if plan.declared:
                    raise misfit_error(plan, misfit.kind, row=row) from None
                # The fields of a log hold what comes: threads are numbers, until one has a name.
                why = "numbers, then a text" if plan.type != "timestamp" else "times, then a text"
                text = ColumnPlan(name=plan.name, type="string", why=why)
                raise Widening(wider(plan, misfit.kind) or text, row) from None
            arrays.append(
                check(array, plan, before=before, options=self._options, limits=self._limits)
            )
        return pa.table(arrays, names=[plan.name for plan in self._plans])

    def _converted(self, array: pa.Array, plan: ColumnPlan, table: pa.Table) -> pa.Array:
        if pa.types.is_timestamp(array.type):
            aware = table.column("aware").combine_chunks()
            local = localize(array, options=self._options)
            return pc.if_else(aware, array.cast(pa.int64()).cast(UTC), local)
        if plan.type == "integer" and pa.types.is_int64(array.type):
            return array
        nulls = pa.array(self._options.null_values)
        array = pc.if_else(pc.is_in(array, value_set=nulls), pa.scalar(None, pa.string()), array)
        return convert(array, plan, options=self._options).cast(ARROW[plan.type])

    @property
    def notes(self) -> list[dict[str, str]]:
        """Warnings of the profile: lines that were left out, joined, or stand for several rows."""
        counts, prefix = self.counts, self._reading.entity_prefix
        found = []

        def note(code: str, n: int, what: str) -> None:
            if n:
                found.append({"code": code, "detail": f"{n:,} {what}"})

        note(
            "unparsed_lines",
            counts.n_unparsed,
            f"of {counts.n_lines:,} lines are not of the format {self._reading.form.name} and are "
            f"left out, the first is line {counts.first_unparsed or 0:,}",
        )
        note("continued_lines", counts.n_joined, "lines go on with the message before them")
        note("cut_messages", counts.n_cut, "messages that go on over lines are cut at the limit")
        note(
            "lines_without_entity",
            counts.n_without_entity,
            f"lines have no word that begins with {prefix} and are left out",
        )
        note(
            "several_entities",
            counts.n_further_entities,
            f"rows are of lines that name more than one {prefix}: a row for each",
        )
        if self._reading.form.clock == "syslog" and not self._reading.has_time:
            detail = "the lines have no year and so no time; declare log_year to have one"
            found.append({"code": "no_year", "detail": detail})
        return found


def read(
    source: Readable,
    dialect: Dialect,
    plans: list[ColumnPlan],
    *,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> LogRows:
    """The rows of a log, typed by the plans, block by block."""
    return LogRows(source, dialect, plans, options=options, limits=limits)
