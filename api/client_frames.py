"""Tables of pandas, polars and Arrow on their way to the service and back, as what they were."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import DataError

if TYPE_CHECKING:
    import narwhals as nw

LIBRARIES = ("pandas", "polars", "pyarrow")
TABLES = ("DataFrame", "LazyFrame", "Table")


def is_frame(value: object) -> bool:
    """Whether it is a table of one of the three; none of them is imported to find out.

    >>> is_frame([{"age": 1}]), is_frame("rows.csv")
    (False, False)
    """
    kind = type(value)
    return kind.__module__.partition(".")[0] in LIBRARIES and kind.__name__ in TABLES


def _eager(frame: Any) -> nw.DataFrame[Any]:
    """The table behind one interface; rows have no names there."""
    import narwhals

    if isinstance(frame, narwhals.DataFrame):
        return frame
    _check_names(frame)
    known = narwhals.from_native(frame)
    table = known.collect() if isinstance(known, narwhals.LazyFrame) else known
    return narwhals.maybe_reset_index(table)


def _check_names(frame: Any) -> None:
    """Columns of a file are texts, each once; polars knows no others."""
    library = type(frame).__module__.partition(".")[0]
    if library == "polars":
        return
    names: list[Any] = list(frame.columns if library == "pandas" else frame.column_names)
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise DataError(
                f"the name of column {place + 1} is no text: "
                "frame.columns = frame.columns.map(str) makes it one",
                code="invalid_column_name",
            )
        if name in seen:
            raise DataError(
                f"the table has two columns called {name!r}", code="duplicate_column", column=name
            )
        seen.add(name)


def n_rows_of(frame: Any) -> int:
    """How many rows it has."""
    return len(_eager(frame))


def write_parquet(frame: Any, to: Path | io.BytesIO) -> None:
    """Write a table as Parquet; the names of pandas' rows are left out.

    Raises DataError ``not_parquet`` with the column whose values are of no one type.
    """
    table = _eager(frame)
    try:
        table.write_parquet(to)
    except Exception as error:
        raise DataError(*_culprit(table, error)) from None


def _culprit(table: nw.DataFrame[Any], error: Exception) -> tuple[str]:
    for name in table.columns:
        try:
            table.select(name).write_parquet(io.BytesIO())
        except Exception as own:
            kind = type(own).__name__
            return (f"column {name!r} cannot be sent: its values have no one type ({kind})",)
    return (f"the table cannot be sent as Parquet ({type(error).__name__})",)


def blocks(frame: Any, n_rows: int) -> Iterator[nw.DataFrame[Any]]:
    """The table in pieces of so many rows; one of no rows is one piece."""
    table = _eager(frame)
    for at in range(0, max(len(table), 1), n_rows):
        yield table[at : at + n_rows]


def to_parquet(frame: Any) -> bytes:
    """The table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    write_parquet(frame, buffer)
    return buffer.getvalue()


def joined(files: Sequence[bytes], *, like: Any) -> Any:
    """Tables from Parquet files under each other, of the kind of `like` and with its row names."""
    import narwhals

    known = narwhals.from_native(like)
    backend = known.implementation
    tables = [narwhals.read_parquet(io.BytesIO(file), backend=backend) for file in files]
    table = tables[0] if len(tables) == 1 else narwhals.concat(tables)
    index = narwhals.maybe_get_index(known) if not isinstance(known, narwhals.LazyFrame) else None
    native = table.to_native()
    if index is not None:
        native.index = index
    return native


def from_rows(rows: Sequence[dict[str, Any]], *, like: Any) -> Any:
    """A table of rows that are mappings, of the kind of `like` and with its row names."""
    import narwhals

    known = narwhals.from_native(like)
    names = list(rows[0]) if rows else ["probability", "alert"]
    columns = {name: [row.get(name) for row in rows] for name in names}
    native = narwhals.from_dict(columns, backend=known.implementation).to_native()
    index = narwhals.maybe_get_index(known) if not isinstance(known, narwhals.LazyFrame) else None
    if index is not None:
        native.index = index
    return native


def to_rows(frame: Any) -> list[dict[str, Any]]:
    """The rows as JSON has them: missing is null, times are texts."""
    records = _eager(frame).to_arrow().to_pylist()
    return [{name: _plain(value) for name, value in row.items()} for row in records]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value


def to_table(rows: Sequence[dict[str, Any]]) -> Any:
    """A pandas DataFrame of rows where pandas is installed, else the rows."""
    import importlib

    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return list(rows)
    return pandas.DataFrame(list(rows))
