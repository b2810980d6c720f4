"""JSON Lines: one flat object per line, columns by name, with the row of any error."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from automl.data import formats
from automl.data.checks import check
from automl.data.columns import (
    ARROW,
    LARGEST_EXACT,
    ColumnPlan,
    Misfit,
    Widening,
    convert,
    epochs,
    guess,
    misfit_error,
    wider,
)
from automl.data.dialect import Dialect, check_names
from automl.data.formats import Format, Readable, utf8_chunks
from automl.data.mixed import settle
from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError

MAX_LINE_BYTES = 16 * 2**20
MAX_DEPTH = 8  # of braces and brackets in a line, before it is parsed
BLOCK_ROWS = 32_768
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
Row = dict[str, Any]


def examine(
    source: Readable, form: Format, *, options: ReadingOptions, limits: ReadingLimits
) -> tuple[Dialect, list[ColumnPlan]]:
    """Names and column plans from the lines of the first 4 MiB.

    Raises
    ------
    DataError
        ``jsonl`` with the row, ``no_rows, only_one_column, too_many_columns, ambiguous_date``.
    """
    sample = formats.head(
        source, compressed=form.compressed, n_bytes=formats.SAMPLE_BYTES, limits=limits
    )
    lines = sample.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if len(sample) >= formats.SAMPLE_BYTES and len(lines) > 1:
        lines.pop()
    rows = [parse_line(line, row=n) for n, line in enumerate(_filled(lines), start=1)]
    if not rows:
        raise DataError("the file has no rows", code="no_rows")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) > limits.max_columns:
        raise DataError(
            f"the table has {len(names):,} columns; {limits.max_columns:,} are the limit",
            code="too_many_columns",
            details={"n_columns": len(names), "limit": limits.max_columns},
        )
    check_names(names)
    if len(names) < 2 and options.key is None:
        raise DataError("the table has one column", code="only_one_column")
    plans = [plan_column(name, [row.get(name) for row in rows], options) for name in names]
    return Dialect(format="jsonl", compressed=form.compressed, names=tuple(names)), plans


def _filled(lines: list[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line.strip())


def parse_line(line: bytes, *, row: int) -> Row:
    """One flat JSON object.

    Raises
    ------
    DataError
        ``jsonl``: no JSON object, nested, a key twice; ``encoding``; ``nul_byte``.
    """

    def fail(what: str) -> DataError:
        return DataError(f"row {row:,} {what}", code="jsonl", row=row)

    def pairs(items: list[tuple[str, Any]]) -> Row:
        found = dict(items)
        if len(found) != len(items):
            raise fail("has a key twice")
        return found

    if is_deep(line, MAX_DEPTH):
        raise fail(f"is nested deeper than {MAX_DEPTH}")
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=pairs)
    except UnicodeDecodeError:
        raise DataError(f"row {row:,} is not UTF-8", code="encoding", row=row) from None
    except DataError:
        raise
    except (json.JSONDecodeError, RecursionError):
        raise fail("is not a JSON object") from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise fail("has a number of too many digits") from None
    if isinstance(value, list):
        raise fail("begins a JSON array; write one object per line")
    if not isinstance(value, dict):
        raise fail("is not a JSON object")
    check_cells(value, row=row)
    return value


def check_cells(value: Row, *, row: int) -> None:
    """Raise DataError (``jsonl, nul_byte, encoding``) where a cell cannot be one of a table."""
    for key, cell in value.items():
        if isinstance(cell, (dict, list)):
            raise DataError(
                f"row {row:,} is nested in column '{key[:64]}'",
                code="jsonl",
                row=row,
                column=key[:256],
            )
        if isinstance(cell, str):
            if "\0" in cell:
                raise DataError(
                    f"row {row:,} has a NUL byte", code="nul_byte", row=row, column=key[:256]
                )
            if not cell.isascii() and any("\ud800" <= one <= "\udfff" for one in cell):
                raise DataError(f"row {row:,} has half a character", code="encoding", row=row)


def is_deep(text: bytes, limit: int) -> bool:
    """Whether braces and brackets nest deeper than a limit, those in strings left out."""
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    marks = np.frombuffer(STRINGS.sub(b"", text), dtype=np.uint8) | 32  # [ and { differ in one bit
    steps = (marks == ord("{")).astype(np.int64) - (marks == ord("}"))
    return bool(len(steps)) and int(np.cumsum(steps).max()) > limit


def plan_column(name: str, cells: list[Any], options: ReadingOptions) -> ColumnPlan:
    """The plan of one column from its JSON values.

    Raises
    ------
    DataError
        ``type_conflict`` with the row when values of several kinds are mixed.
    """
    declared = options.types.get(name)
    kinds = {type(cell) for cell in cells if cell is not None}
    if declared is None and kinds <= {str}:
        texts = pa.array(
            [None if cell in options.null_values else cell for cell in cells], pa.string()
        )
        plan = settle(
            guess(name, texts, comma=False, options=options), texts, comma=False, options=options
        )
        # A JSON text of digits was meant as text; only dates have no other way to be written.
        if "timestamp" in (plan.type, plan.strays and plan.strays.type):
            return plan
        return ColumnPlan(name=name, type="string", why="text")
    if declared is not None:
        whole = declared == "timestamp" and int in kinds
        texts = pa.array([cell for cell in cells if isinstance(cell, str)], pa.string())
        plan = guess(name, texts, comma=False, options=options)
        return (
            plan
            if not whole
            else ColumnPlan(name=name, type=declared, declared=True, why="declared", format="epoch")
        )
    if kinds == {bool}:
        return ColumnPlan(name=name, type="boolean", why="true and false in the sample")
    if kinds == {int}:
        if any(abs(cell) > LARGEST_EXACT for cell in cells if cell is not None):
            return ColumnPlan(name=name, type="string", why="integers above 2^53 are kept as text")
        return ColumnPlan(name=name, type="integer", why="whole numbers in the sample")
    if kinds <= {int, float}:
        return ColumnPlan(name=name, type="number", why="numbers in the sample")
    first = next(type(cell) for cell in cells if cell is not None)
    row = next(n for n, cell in enumerate(cells, 1) if cell is not None and type(cell) is not first)
    kind = {str: "string", bool: "boolean", int: "integer", float: "number"}[first]
    raise misfit_error(ColumnPlan(name=name, type=kind), "bad", row=row)


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
    Widening, DataError
        As in `delimited.read`.
    """
    known = set(dialect.names)
    rows: list[Row] = []
    before = 0
    for n_row, line in enumerate(_lines(source, dialect, limits=limits), start=1):
        row = parse_line(line, row=n_row)
        if not known.issuperset(row):
            raise DataError(
                f"row {n_row:,} has a key that no earlier row has",
                code="jsonl",
                row=n_row,
            )
        rows.append(row)
        if len(rows) >= BLOCK_ROWS // max(1, len(plans) // 32):
            yield rows_table(rows, plans, before=before, options=options, limits=limits)
            before, rows = n_row, []
    if rows:
        yield rows_table(rows, plans, before=before, options=options, limits=limits)


def _lines(source: Readable, dialect: Dialect, *, limits: ReadingLimits) -> Iterator[bytes]:
    rest = b""
    for chunk in utf8_chunks(
        source, compressed=dialect.compressed, encoding="utf-8", limits=limits
    ):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise DataError(f"a line is longer than {MAX_LINE_BYTES:,} bytes", code="jsonl")
        yield from _filled(lines)
    if rest.strip():
        yield rest


def rows_table(
    rows: list[Row],
    plans: list[ColumnPlan],
    *,
    before: int,
    options: ReadingOptions,
    limits: ReadingLimits,
) -> pa.Table:
    """Flat JSON objects as a table typed by the plans."""
    arrays = []
    for plan in plans:
        cells = [row.get(plan.name) for row in rows]
        try:
            array = _array(cells, plan, options)
        except Misfit as misfit:
            row = before + misfit.index + 1
            plan_wider = wider(plan, misfit.kind)
            if plan_wider is not None:
                raise Widening(plan_wider, row) from None
            raise misfit_error(plan, misfit.kind, row=row) from None
        arrays.append(check(array, plan, before=before, options=options, limits=limits))
    return pa.table(arrays, names=[plan.name for plan in plans])


def _array(cells: list[Any], plan: ColumnPlan, options: ReadingOptions) -> pa.Array:
    fits: dict[str, set[type]] = {
        "string": {str},
        "integer": {int},
        "number": {int, float},
        "boolean": {bool},
        "timestamp": {int} if plan.format == "epoch" else {str},
    }
    allowed = fits[plan.type]
    nulls = set(options.null_values)
    for index, cell in enumerate(cells):
        if cell is None:
            continue
        kind = type(cell)
        if kind is str and cell in nulls:
            cells[index] = None
        elif kind not in allowed:
            if plan.type == "integer" and kind is float and not math.isinf(cell):
                if not cell.is_integer():
                    raise Misfit("fraction", index)
                cells[index] = int(cell)
            elif (
                plan.type == "string"
                and kind in (int, float)
                and (plan.declared or "2^53" in plan.why)
            ):
                cells[index] = str(cell)
            elif plan.declared and kind is str and plan.type != "string":
                continue
            else:
                raise Misfit("bad", index)
    if plan.declared and any(isinstance(cell, str) for cell in cells) and plan.type != "string":
        texts = pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
        return convert(texts, plan, options=options)
    if plan.type == "timestamp" and plan.format != "epoch":
        return convert(pa.array(cells, pa.string()), plan, options=options)
    if plan.type in ("integer", "timestamp"):
        big = next((i for i, c in enumerate(cells) if c is not None and abs(c) >= 2**63), -1)
        if big >= 0:
            raise Misfit("big", big)
        numbers = pa.array(cells, pa.int64())
        return numbers if plan.type == "integer" else epochs(numbers)
    if plan.type == "number":
        return pa.array([None if cell is None else _float(cell) for cell in cells], pa.float64())
    return pa.array(cells, ARROW[plan.type])


def _float(cell: int | float) -> float:
    try:
        return float(cell)
    except OverflowError:
        return math.inf
