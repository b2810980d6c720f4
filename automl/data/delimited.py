"""CSV in any dialect: blocks of whole records, parsed by Arrow, with the row of any error."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from automl.data import formats
from automl.data.checks import check
from automl.data.columns import (
    ARROW,
    FALSE,
    NUMBER_TOKENS,
    TRUE,
    ColumnPlan,
    Misfit,
    Widening,
    convert,
    guess,
    misfit_error,
    wider,
)
from automl.data.dates import localize
from automl.data.dialect import Dialect, guess_dialect, guess_encoding
from automl.data.formats import Format, Readable
from automl.data.mixed import settle
from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.records import (
    NEWLINE,
    RETURN,
    last_record_end,
    quote_fault,
    record_blocks,
    record_ends,
    row_at,
)
from automl.errors import DataError


def examine(
    source: Readable, form: Format, *, options: ReadingOptions, limits: ReadingLimits
) -> tuple[Dialect, list[ColumnPlan]]:
    """Dialect and column plans from the first 4 MiB.

    Raises
    ------
    DataError
        Every fault that the sample shows.
    """
    sample = formats.head(
        source, compressed=form.compressed, n_bytes=formats.SAMPLE_BYTES, limits=limits
    )
    complete = len(sample) < formats.SAMPLE_BYTES
    encoding, guessed = guess_encoding(sample, options=options)
    utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii", "utf-8-sig")
    try:
        text = codecs.getincrementaldecoder(encoding)("replace" if utf8 else "strict").decode(
            sample
        )
    except UnicodeDecodeError as error:
        row = max(1, sample[: error.start].count(b"\n"))
        raise DataError(
            f"the bytes near line {row + 1:,} are not {encoding}", code="encoding", row=row
        ) from None
    text = text.removeprefix("\ufeff")
    dialect, _ = guess_dialect(
        text,
        encoding=encoding,
        encoding_guessed=guessed,
        complete=complete,
        options=options,
        limits=limits,
        compressed=form.compressed,
    )
    return dialect, _plans(text, dialect, complete=complete, options=options)


def _plans(
    text: str, dialect: Dialect, *, complete: bool, options: ReadingOptions
) -> list[ColumnPlan]:
    data = text.encode("utf-8", "replace")
    if dialect.carriage_returns:
        data = data.replace(b"\r", b"\n")
    data = data[dialect.header_bytes :]
    if not complete:
        cut = last_record_end(data, dialect)
        data = data[: cut or len(data)]
    data = data.replace(b"\0", b"")
    strings = _parse(data, dialect, list(dialect.names), {}, options, lenient=True)
    comma = dialect.decimal == ","
    plans = []
    for name in dialect.names:
        texts = strings.column(name).combine_chunks()
        plan = guess(name, texts, comma=comma, options=options)
        plans.append(settle(plan, texts, comma=comma, options=options))
    return plans


def read(
    source: Readable,
    dialect: Dialect,
    plans: list[ColumnPlan],
    *,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> Iterator[pa.Table]:
    """The rows of a file, typed by the plans, block by block.

    Raises
    ------
    Widening
        A column needs a wider type; read again with its plan.
    DataError
        With code, column and row.
    """
    n_rows = 0
    for block in record_blocks(source, dialect, limits=limits):
        table = _block(block, dialect, plans, before=n_rows, options=options, limits=limits)
        n_rows += table.num_rows
        yield table


def _block(
    data: bytes,
    dialect: Dialect,
    plans: list[ColumnPlan],
    *,
    before: int,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> pa.Table:
    nul = data.find(b"\0")
    if nul >= 0:
        row = before + row_at(data, nul, dialect)
        raise DataError(f"row {row:,} has a NUL byte", code="nul_byte", row=row)
    fault = quote_fault(data, dialect)
    if fault is not None:
        row = before + row_at(data, fault, dialect)
        raise DataError(f"row {row:,} has a quote that is not closed", code="quote", row=row)
    fast = {plan.name: kind for plan in plans if (kind := _fast(plan, dialect)) is not None}
    tokens = any(plan.tokens for plan in plans)
    names = [plan.name for plan in plans]
    try:
        table = _parse(data, dialect, names, fast, options, tokens=tokens)
    except _Ragged as ragged:
        raise _ragged_error(data, dialect, ragged, before=before) from None
    except pa.ArrowInvalid:
        _check_utf8(data, dialect, before=before)
        fast = {}
        table = _parse(data, dialect, names, fast, options, tokens=tokens)
    if any(kind == ARROW["integer"] for kind in fast.values()) and _zeros(data, dialect, table):
        fast = {name: kind for name, kind in fast.items() if kind != ARROW["integer"]}
        table = _parse(data, dialect, names, fast, options, tokens=tokens)
    return _finish(table, plans, fast, before=before, options=options, limits=limits)


def _fast(plan: ColumnPlan, dialect: Dialect) -> pa.DataType | None:
    """The type that Arrow's CSV reader may parse itself; None: by way of text."""
    plain = plan.style == "plain"
    if plan.type == "integer" and plain:
        return ARROW["integer"]
    if plan.type == "number" and (
        (plain and dialect.decimal == ".") or (plan.style == "comma" and dialect.decimal == ",")
    ):
        return ARROW["number"]
    if plan.type == "boolean":
        return ARROW["boolean"]
    if plan.type == "timestamp" and plan.format is None:
        return ARROW["timestamp"] if plan.aware else pa.timestamp("us")
    return None


class _Ragged(Exception):
    def __init__(self, row: int, expected: int, actual: int) -> None:
        super().__init__("ragged")
        self.row, self.expected, self.actual = row, expected, actual


def _parse(
    data: bytes,
    dialect: Dialect,
    names: list[str],
    types: dict[str, pa.DataType],
    options: ReadingOptions,
    *,
    lenient: bool = False,
    tokens: bool = False,
) -> pa.Table:
    """Records to a table; columns without a type are strings.

    Raises _Ragged with the row in the block, or ArrowInvalid, whose text is never passed on.
    """
    found: list[tuple[int, int, int]] = []

    def invalid(row: pa_csv.InvalidRow) -> str:
        if lenient:
            return "skip"
        found.append((row.number or 0, row.expected_columns, row.actual_columns))
        return "error"

    # The names of the file may be anything; Arrow works with positions.
    keys = [f"f{index}" for index in range(len(names))]
    kinds = {key: types.get(name, pa.string()) for key, name in zip(keys, names, strict=True)}
    quoted = bool(dialect.quote) and dialect.quote.encode() in data
    if not data.strip(b"\r\n"):
        return pa.table(
            {name: pa.array([], kinds[key]) for key, name in zip(keys, names, strict=True)}
        )
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=keys
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                newlines_in_values=quoted,
                invalid_row_handler=invalid,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=kinds,
                null_values=[*options.null_values, *(NUMBER_TOKENS if tokens else ())],
                strings_can_be_null=not tokens,
                true_values=[*TRUE, "1"],
                false_values=[*FALSE, "0"],
                decimal_point=dialect.decimal,
                timestamp_parsers=[pa_csv.ISO8601],
            ),
        )
    except pa.ArrowInvalid:
        if found:
            raise _Ragged(*found[0]) from None
        raise
    if tokens:  # NA means missing among numbers only
        nulls = pa.array(options.null_values)
        for index, column in enumerate(table.columns):
            if pa.types.is_string(column.type):
                missing = pc.is_in(column, value_set=nulls)
                kept = pc.if_else(missing, pa.scalar(None, pa.string()), column)
                table = table.set_column(index, keys[index], kept)
    return table.rename_columns(names)


def _ragged_error(data: bytes, dialect: Dialect, ragged: _Ragged, *, before: int) -> DataError:
    row = before + ragged.row
    ends = record_ends(data, dialect)
    starts = np.concatenate(([0], ends + 1))
    records = [
        data[start:end]
        for start, end in zip(starts, np.append(ends, len(data)), strict=True)
        if data[start:end].strip(b"\r")
    ]
    text = records[ragged.row - 1] if 0 < ragged.row <= len(records) else b""
    quote = dialect.quote.encode()
    if quote and (text.count(quote) % 2 or (b"\n" in text and quote in text)):
        return DataError(f"row {row:,} has a quote that is not closed", code="quote", row=row)
    return DataError(
        f"row {row:,} has {ragged.actual:,} cells; {ragged.expected:,} are expected",
        code="ragged_row",
        row=row,
        details={"expected": ragged.expected, "actual": ragged.actual},
    )


def _check_utf8(data: bytes, dialect: Dialect, *, before: int) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = before + row_at(data, error.start, dialect)
        raise DataError(
            f"row {row:,} is not {dialect.encoding}; declare the encoding",
            code="encoding",
            row=row,
        ) from None


def _zeros(data: bytes, dialect: Dialect, table: pa.Table) -> bool:
    """Whether a cell that Arrow read as an integer may begin with a zero too many, or with 0x."""
    values = np.frombuffer(data, dtype=np.uint8)
    zeros = np.flatnonzero(values == ord("0"))
    zeros = zeros[zeros < len(values) - 1]
    nexts = np.zeros(256, dtype=bool)
    nexts[[*range(ord("0"), ord("9") + 1), ord("x"), ord("X")]] = True
    zeros = zeros[nexts[values[zeros + 1]]]
    if not len(zeros):
        return False
    starts = np.zeros(256, dtype=bool)
    starts[[NEWLINE, RETURN, ord(dialect.delimiter), ord(dialect.quote or "\n")]] = True
    previous = values[np.maximum(zeros - 1, 0)]
    spaced = (previous == ord(" ")) & starts[values[np.maximum(zeros - 2, 0)]]
    n_cells = int(((zeros == 0) | starts[previous] | spaced).sum())
    for column in table.columns if n_cells else ():
        if pa.types.is_string(column.type):
            begin = pc.match_substring_regex(column, r"^ ?0[0-9xX]")
            n_cells -= pc.sum(begin, min_count=0).as_py()
    return n_cells > 0


def _finish(
    table: pa.Table,
    plans: list[ColumnPlan],
    fast: dict[str, pa.DataType],
    *,
    before: int,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> pa.Table:
    """Columns that came as text to their types, and the checks of all."""
    arrays = []
    for plan in plans:
        column = table.column(plan.name)
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        try:
            if plan.type != "string" and plan.name not in fast:
                array = convert(array, plan, options=options)
            elif plan.type == "timestamp" and not plan.aware:
                array = localize(array, options=options)
        except Misfit as misfit:
            row = before + misfit.index + 1
            plan_wider = wider(plan, misfit.kind)
            if plan_wider is not None:
                raise Widening(plan_wider, row) from None
            raise misfit_error(plan, misfit.kind, row=row) from None
        arrays.append(check(array, plan, before=before, options=options, limits=limits))
    return pa.table(arrays, names=[plan.name for plan in plans])
