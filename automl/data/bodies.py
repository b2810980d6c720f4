"""Bodies of prediction requests to rows: JSON, CSV or Parquet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from automl.data import delimited, jsonlines, parquet
from automl.data.columns import ColumnPlan, Widening, misfit_error, share_tokens
from automl.data.dialect import check_names
from automl.data.formats import detect
from automl.data.mixed import as_text
from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.series import to_series
from automl.errors import DataError

MAX_ROWS = 100_000  # in one call; more is a job for a batch
MAX_DEPTH = 8
CONTENT_TYPES = {
    "application/json": "json",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}


def read_rows(
    body: Path | bytes,
    content_type: str,
    *,
    limits: ReadingLimits,
    types: Mapping[str, str] | None = None,
    options: ReadingOptions | None = None,
    max_rows: int = MAX_ROWS,
) -> pd.DataFrame:
    """The rows of a prediction request, columns as `loading.load` makes them.

    Parameters
    ----------
    body : Path or bytes
        ``{"rows": [{...}, ...]}``, or CSV, Parquet or JSON Lines as in an upload.
    types : mapping of column to string, integer, number, boolean or timestamp, optional
        What the model was trained on. A column of the body that is named here is read as that,
        so that the ids ``007`` of a text column stay text; others are guessed.

    Raises
    ------
    DataError
        ``unsupported_format, too_many_rows, type_conflict, non_finite, jsonl`` (JSON that is not
        as above), and those of `tables.ingest`. No rows at all is no error.
    """
    name = CONTENT_TYPES.get(content_type.split(";")[0].strip().lower())
    if name is None:
        raise DataError("the body is of a type that is not read", code="unsupported_format")
    # what was whole in training may be a fraction now
    expected = {k: "number" if v == "integer" else v for k, v in (types or {}).items()}
    chosen = replace(options or ReadingOptions(), key=None, types=expected)
    if name == "json":
        raw = body if isinstance(body, bytes) else body.read_bytes()
        table = _json_rows(raw, chosen, limits=limits, max_rows=max_rows)
    else:
        with _as_file(body) as path:
            table = _file_rows(path, name, chosen, limits=limits, max_rows=max_rows)
    columns = {
        column: to_series(values.combine_chunks())
        for column, values in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def _too_many(max_rows: int) -> DataError:
    return DataError(
        f"the body has more than {max_rows:,} rows; send them in several calls",
        code="too_many_rows",
        details={"limit_rows": max_rows},
    )


def _json_rows(
    raw: bytes, options: ReadingOptions, *, limits: ReadingLimits, max_rows: int
) -> pa.Table:
    rows = _parse(raw)
    if len(rows) > max_rows:
        raise _too_many(max_rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) > limits.max_columns:
        raise DataError(
            f"the rows have {len(names):,} columns; {limits.max_columns:,} are the limit",
            code="too_many_columns",
        )
    check_names(names)
    for number, row in enumerate(rows, start=1):
        jsonlines.check_cells(row, row=number)
        for column, cell in row.items():
            if options.types.get(column) in ("number", "boolean") and isinstance(cell, str):
                plan = ColumnPlan(name=column, type=options.types[column])
                raise misfit_error(plan, "bad", row=number)
    plans = as_text(
        [jsonlines.plan_column(name, [row.get(name) for row in rows], options) for name in names]
    )
    while True:
        try:
            return jsonlines.rows_table(rows, plans, before=0, options=options, limits=limits)
        except Widening as widening:
            plans = _widened(plans, widening)


def _parse(raw: bytes) -> list[dict[str, Any]]:
    def fail(what: str) -> DataError:
        return DataError(f"the body {what}", code="jsonl")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise fail("has a key twice in one object")
        return found

    if jsonlines.is_deep(raw, MAX_DEPTH):
        raise fail(f"is nested deeper than {MAX_DEPTH}")
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=pairs)
    except UnicodeDecodeError:
        raise DataError("the body is not UTF-8", code="encoding") from None
    except DataError:
        raise
    except (json.JSONDecodeError, RecursionError):
        raise fail("is not JSON") from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise fail("has a number of too many digits") from None
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise fail('is not {"rows": [{...}, ...]}')
    return cast(list[dict[str, Any]], rows)


def _widened(plans: list[ColumnPlan], widening: Widening) -> list[ColumnPlan]:
    return [widening.plan if plan.name == widening.plan.name else plan for plan in plans]


@contextmanager
def _as_file(body: Path | bytes) -> Iterator[Path]:
    if isinstance(body, Path):
        yield body
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        yield Path(file.name)


def _file_rows(
    path: Path, name: str, options: ReadingOptions, *, limits: ReadingLimits, max_rows: int
) -> pa.Table:
    try:
        form = detect(path, declared=name, limits=limits)
        reader = {"csv": delimited, "parquet": parquet, "jsonl": jsonlines}[form.name]
        if form.name == "parquet" and form.compressed:
            raise DataError("Parquet inside gzip is not read here", code="unsupported_format")
        dialect, plans = reader.examine(path, form, options=options, limits=limits)
        plans = as_text(plans)
    except DataError as error:
        if error.code in ("no_rows", "empty_file", "no_columns"):
            return pa.table({})
        raise
    for _ in range(2 * len(plans) + 1):
        plans = share_tokens(plans)
        tables, n_rows = [], 0
        try:
            for table in reader.read(path, dialect, plans, options=options, limits=limits):
                tables.append(table)
                n_rows += table.num_rows
                if n_rows > max_rows:
                    raise _too_many(max_rows)
            return pa.concat_tables(tables) if tables else pa.table({})
        except Widening as widening:
            plans = _widened(plans, widening)
            last = widening
    raise misfit_error(last.plan, "bad", row=last.row)
