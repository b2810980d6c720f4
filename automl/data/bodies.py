"""Bodies of prediction requests to rows: JSON, CSV or Parquet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
MAX_EVENTS = 1_000_000  # of one table in one call
MAX_DEPTH = 8
FIELDS = ("rows", "tables", "now")  # of a body of JSON
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
    needed: Collection[str] = (),
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
    needed : columns that each row of a JSON body has to have, null where a cell is not known

    Raises
    ------
    DataError
        ``unsupported_format, too_many_rows, type_conflict, non_finite, missing_columns, jsonl``
        (JSON that is not as above), and those of `tables.ingest`. A list or a table of no rows is
        no error; a body of no bytes is.
    """
    name = CONTENT_TYPES.get(content_type.split(";")[0].strip().lower())
    if name is None:
        raise DataError("the body is of a type that is not read", code="unsupported_format")
    # what was whole in training may be a fraction now
    expected = {k: "number" if v == "integer" else v for k, v in (types or {}).items()}
    chosen = replace(options or ReadingOptions(), key=None, types=expected)
    if name == "json":
        raw = body if isinstance(body, bytes) else body.read_bytes()
        table = _json_rows(raw, chosen, limits=limits, needed=needed, max_rows=max_rows)
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


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came with a prediction request: tables by name, raw logs by name, and its moment.

    `kinds` says of key columns in JSON whether all cells were texts or all were numbers.
    """

    tables: dict[str, pa.Table]
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    now: str | None = None


def read_tables(
    body: bytes,
    content_type: str,
    *,
    limits: ReadingLimits,
    types: Mapping[str, Mapping[str, str]],
    options: Mapping[str, ReadingOptions],
    entities: str,
    keys: Mapping[str, Collection[str]] | None = None,
    needed: Collection[str] = (),
    max_rows: int = MAX_ROWS,
    max_events: int = MAX_EVENTS,
) -> Sent:
    """The rows of a prediction request and the tables around them.

    Parameters
    ----------
    body : ``{"rows": [...], "tables": {name: [...] or {"log": text}}, "now": text}``; CSV, Parquet
        and JSON Lines are rows without tables
    types, options : by table, what its columns are and how its cells are read
    entities : what the rows are called among the tables
    keys : by table, columns whose `kinds` are wanted
    needed : columns that each entity row of a JSON body has to have

    Raises
    ------
    DataError
        As `read_rows`; ``unknown_table`` for a table that the model does not know.
    """
    form = CONTENT_TYPES.get(content_type.split(";")[0].strip().lower())
    if form is None:
        raise DataError("the body is of a type that is not read", code="unsupported_format")

    def chosen(name: str) -> ReadingOptions:
        own = options.get(name, ReadingOptions())
        return replace(own, key=None, types=dict(types.get(name, {})))

    if form != "json":
        with _as_file(body) as path:
            rows = _file_rows(path, form, chosen(entities), limits=limits, max_rows=max_rows)
        return Sent(tables={entities: rows})
    document = _document(body)
    around, now = document.get("tables"), document.get("now")
    around = {} if around is None else around
    if not isinstance(around, dict) or not isinstance(now, str | None):
        what = "tables" if not isinstance(around, dict) else "now"
        kind = "object of tables" if what == "tables" else "text of a date and time"
        raise DataError(f'"{what}" of the body is no {kind}', code="jsonl", details={"field": what})
    unknown = sorted(set(around) - (set(types) - {entities}))
    if unknown:
        raise DataError(
            f"the model knows no table {unknown[0][:100]!r}",
            code="unknown_table",
            details={"field": "tables", "known": sorted(set(types) - {entities})},
        )
    tables, logs = {}, {}
    kinds: dict[str, dict[str, str]] = {}
    for name, rows in {entities: document.get("rows"), **around}.items():
        if name != entities and _is_log(rows):
            logs[name] = rows["log"]
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            said = "rows" if name == entities else f"tables.{name}"
            raise DataError(
                f'"{said}" of the body is no list of objects', code="jsonl", details={"field": said}
            )
        most = max_rows if name == entities else max_events
        if len(rows) > most:
            raise _too_many(most)
        if name == entities:
            _check_whole(rows, needed)
        try:
            tables[name] = _rows_table(rows, chosen(name), limits=limits)
        except DataError as error:
            error.table = error.table or name
            raise
        found = {one: _kind(row.get(one) for row in rows) for one in (keys or {}).get(name, ())}
        kinds[name] = {column: kind for column, kind in found.items() if kind is not None}
    return Sent(tables=tables, logs=logs, now=now, kinds=kinds)


def _kind(cells: Iterable[Any]) -> str | None:
    """Whether cells are all texts or all numbers; None for anything else, or for none."""
    found = {type(cell) for cell in cells} - {type(None)}
    if found == {str}:
        return "text"
    return "number" if found and found <= {int, float} else None


def _is_log(rows: Any) -> bool:
    return isinstance(rows, dict) and set(rows) == {"log"} and isinstance(rows["log"], str)


def _json_rows(
    raw: bytes,
    options: ReadingOptions,
    *,
    limits: ReadingLimits,
    needed: Collection[str],
    max_rows: int,
) -> pa.Table:
    rows = parse_rows(raw)
    if len(rows) > max_rows:
        raise _too_many(max_rows)
    _check_whole(rows, needed)
    return _rows_table(rows, options, limits=limits)


def _check_whole(rows: Sequence[Mapping[str, Any]], needed: Collection[str]) -> None:
    """Raises DataError ``missing_columns`` of the first row that lacks what another one has.

    What no row has is told of the whole table, later. A row on its own is refused then, so it must
    not pass because others are beside it.
    """
    somewhere = {name for row in rows for name in row}
    wanted = [name for name in needed if name in somewhere]
    for number, row in enumerate(rows, start=1):
        absent = [name for name in wanted if name not in row] if row else list(needed)
        if absent:
            raise DataError(
                f"row {number:,} lacks {len(absent)} column(s) that the model needs, first "
                f"{absent[0]!r}; send null for what is not known",
                code="missing_columns",
                column=absent[0],
                row=number,
                details={"columns": absent},
            )


def _rows_table(
    rows: list[dict[str, Any]], options: ReadingOptions, *, limits: ReadingLimits
) -> pa.Table:
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


def parse_rows(raw: bytes) -> list[dict[str, Any]]:
    """The objects of ``{"rows": [...]}``; their cells are not looked at.

    Raises
    ------
    DataError
        ``jsonl`` or ``encoding``: it is none; ``unknown_table``: there are tables beside them.
    """
    document = _document(raw)
    rows = document.get("rows")
    if document.get("tables"):
        raise DataError(
            "the model was trained on one table; it knows no tables around it",
            code="unknown_table",
            details={"field": "tables", "known": []},
        )
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError('the body is not {"rows": [{...}, ...]}', code="jsonl")
    return cast(list[dict[str, Any]], rows)


def _document(raw: bytes) -> dict[str, Any]:
    """The object of a body, without fields that are not known."""

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
    if not isinstance(document, dict):
        raise fail('is not {"rows": [{...}, ...]}')
    unknown = [name for name in document if name not in FIELDS]
    if unknown:
        raise DataError(
            f"the body has a field {unknown[0][:100]!r}; it may have {', '.join(FIELDS)}",
            code="jsonl",
            details={"field": unknown[0][:100]},
        )
    return document


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
        if error.code == "no_rows":  # a header alone
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
