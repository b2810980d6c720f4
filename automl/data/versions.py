"""A data set that was appended to: each version stores its own rows and is read with its base's.

A version is joined for the moment of its use only; on disk every row is there once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.data.columns import ARROW, ColumnPlan
from automl.data.dialect import Dialect
from automl.data.late_labels import LateLabels, as_target
from automl.data.options import ReadingOptions
from automl.data.profiles import Profiler
from automl.errors import DataError

Mask = npt.NDArray[np.bool_]
Json = dict[str, Any]
TYPE_NAMES = {kind: name for name, kind in ARROW.items()}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the rows of a version are: the files of its parts, and labels that came later."""

    parts: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    key: str | None = None  # column that labels go by
    target: str | None = None

    def read(self, name: str) -> pa.Array:
        """One column of all parts in one piece, nulls where a part has no such column."""
        with Joining(self.parts) as joining:
            return joining.column(name)

    def write(self, destination: Path) -> Path:
        """The joined rows as one Parquet file; the one part itself where there is nothing to join.

        Raises
        ------
        DataError
            ``column_not_found``: the key or the target is no column.
        """
        if len(self.parts) == 1 and not self.labels:
            return self.parts[0]
        with Joining(self.parts) as joining:
            laid = self._laid(joining)
            # Read once and thrown away: packing well would cost more than it saves.
            with pq.ParquetWriter(destination, joining.schema, compression="lz4") as writer:
                start = 0
                for table in joining.groups():
                    if laid is not None:
                        at = joining.schema.get_field_index(str(self.target))
                        own = laid.slice(start, table.num_rows)
                        table = table.set_column(at, joining.schema.field(at), own)
                    start += table.num_rows
                    writer.write_table(table)
        return destination

    def target_values(self) -> pa.Array:
        """The target of every row, later labels laid over it."""
        with Joining(self.parts) as joining:
            laid = self._laid(joining)
            return joining.column(str(self.target)) if laid is None else laid

    def _laid(self, joining: Joining) -> pa.Array | None:
        if not self.labels:
            return None
        for name in (self.key, self.target):
            if name is None or name not in joining.schema.names:
                raise DataError(
                    "labels go by a key and to a target that are columns of the data",
                    code="column_not_found",
                    column=name,
                )
        values = joining.column(str(self.target))
        missing = np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        late = LateLabels.read(self.labels)
        rows, which = late.places(joining.column(str(self.key)), missing)
        if not len(rows):
            return values
        order = np.argsort(rows, kind="stable")
        mask = np.zeros(len(values), dtype=bool)
        mask[rows] = True
        new = as_target(list(late.labels[which[order]]), values.type)
        return pc.replace_with_mask(values, pa.array(mask), new)


class Joining:
    """Open parts of one table, under one schema: integers and numbers of a column are numbers.

    Raises
    ------
    DataError
        ``type_conflict``: a column is of another kind in another part.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(pq.ParquetFile(part)) for part in parts]
        self.schema = self._unified()

    def __enter__(self) -> Joining:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def column(self, name: str) -> pa.Array:
        """A column of all parts in one piece."""
        kind = self.schema.field(name).type
        chunks: list[pa.Array] = []
        for file in self._files:
            at = file.schema_arrow.get_field_index(name)
            if at < 0:
                chunks.append(pa.nulls(file.metadata.num_rows, kind))
            else:
                chunks += file.reader.read_column(at).cast(kind).chunks
        return pa.chunked_array(chunks, type=kind).combine_chunks()

    def groups(self) -> Iterator[pa.Table]:
        """The rows in blocks, in order."""
        for file in self._files:
            names = file.schema_arrow.names
            for i in range(file.num_row_groups):
                table = file.read_row_group(i, use_threads=False)
                columns = [
                    table.column(field.name).cast(field.type)
                    if field.name in names
                    else pa.nulls(table.num_rows, field.type)
                    for field in self.schema
                ]
                yield pa.Table.from_arrays(columns, schema=self.schema)

    def _unified(self) -> pa.Schema:
        found: dict[str, pa.DataType] = {}
        for file in self._files:
            for field in file.schema_arrow:
                before = found.get(field.name)
                if before is None or before == field.type:
                    found[field.name] = field.type
                elif {before, field.type} == {pa.int64(), pa.float64()}:
                    found[field.name] = self._number(field.name)
                else:
                    raise DataError(
                        f"'{field.name}' is {TYPE_NAMES.get(before, before)} in the rows before "
                        f"and {TYPE_NAMES.get(field.type, field.type)} in those appended",
                        code="type_conflict",
                        column=field.name,
                    )
        return pa.schema(list(found.items()))

    def _number(self, name: str) -> pa.DataType:
        """Integer where all numbers of the column are whole and small enough to be exact."""
        for file in self._files:
            at = file.schema_arrow.get_field_index(name)
            if at < 0 or file.schema_arrow.field(at).type != pa.float64():
                continue
            values = file.reader.read_column(at).drop_null()
            whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**53))
            if pc.all(whole).as_py() is False:
                return pa.float64()
        return pa.int64()


def read_alike(options: ReadingOptions, *, cells: Json) -> ReadingOptions:
    """What was declared of appended rows, and where nothing was, what held of those before them.

    `cells` is what `options.for_more_rows` keeps of the options of the rows before.
    """
    undeclared = ReadingOptions()
    given = {
        name: value
        for name, value in cells.items()
        if getattr(options, name) == getattr(undeclared, name)
    }
    if isinstance(given.get("null_values"), list):
        given["null_values"] = tuple(given["null_values"])
    return replace(options, key=None, **given)


def typed_alike(options: ReadingOptions, *, base: Json, names: Sequence[str]) -> ReadingOptions:
    """The same options with the types of the columns before.

    Parameters
    ----------
    base : the profile of the rows before
    names : the columns of those appended; empty where they are not known yet

    Raises
    ------
    DataError
        ``missing_columns``.
    """
    if not names:
        return options
    check_columns(base, names)
    known = {
        # A whole number may have a fraction some day: then the column becomes a number.
        column["name"]: "number" if column["type"] == "integer" else column["type"]
        for column in base["columns"]
    }
    return replace(options, types=known | dict(options.types))


def check_columns(base: Json, names: Sequence[str]) -> None:
    """Raises DataError ``missing_columns`` when appended rows lack a column."""
    absent = [column["name"] for column in base["columns"] if column["name"] not in names]
    if absent:
        raise DataError(
            f"the rows lack {len(absent)} column(s) of the data set they are appended to, first "
            f"'{absent[0]}'; send an empty column where a value is not known",
            code="missing_columns",
            column=absent[0],
            details={"columns": absent[:20]},
        )


def check_key(key: str | None, names: Sequence[str]) -> None:
    """Raises DataError ``column_not_found`` when appended rows do not have the key they declare."""
    if key is not None and key not in names:
        raise DataError(
            "the key that is declared is no column of the rows",
            code="column_not_found",
            column=key,
        )


def profile_joined(
    source: Source, *, base: Json, own: Json, key: str | None, scratch: Path
) -> Json:
    """The profile of all rows of a version, with what the newest part added to it.

    Parameters
    ----------
    base, own : profiles of the rows before and of those appended
    scratch : a file to write the joined rows to, which is removed again
    """
    written = source.write(scratch)
    try:
        with pq.ParquetFile(written) as file:
            before = {column["name"]: column for column in base["columns"]}
            added = {column["name"]: column for column in own["columns"]}
            plans = []
            for field in file.schema_arrow:
                column = before.get(field.name) or added[field.name]
                plans.append(
                    ColumnPlan(
                        name=field.name,
                        type=TYPE_NAMES[field.type],
                        format=column.get("date_format"),
                        declared=True,
                        why="as in the rows before" if field.name in before else column["why"],
                    )
                )
            profiler = Profiler(plans, options=ReadingOptions())
            for i in range(file.num_row_groups):
                profiler.update(file.read_row_group(i, use_threads=False))
        told = own["dialect"]
        dialect = Dialect(
            format=own["format"],
            compressed=bool(told.get("compressed")),
            names=tuple(plan.name for plan in plans),
            **{name: told[name] for name in ("encoding", "delimiter", "decimal", "quote")},
        )
        profile = profiler.profile(
            written,
            dialect=dialect,
            plans=plans,
            options=ReadingOptions(),
            bytes_in=own["bytes_in"],
            key=key,
        )
    finally:
        scratch.unlink(missing_ok=True)
    new = [name for name in added if name not in before]
    repeated = _repeated(source, profile, n_rows=own["n_rows"], key=key)
    told_of = [
        {
            "code": "new_column",
            "detail": f"'{name}' is new: it is missing in the rows before",
            "column": name,
        }
        for name in new
    ]
    if repeated:
        told_of.append(
            {
                "code": "repeated_key",
                "detail": f"{repeated:,} appended row(s) repeat a key (and time) that is there "
                "already; nothing is replaced",
                "column": str(key),
            }
        )
    kept = [one for one in own["warnings"] if one not in profile["warnings"]]
    profile["warnings"] = [*told_of, *profile["warnings"], *kept]
    profile["bytes_stored"] = own["bytes_stored"]
    profile["appended"] = {
        "n_rows": own["n_rows"],
        "n_rows_before": base["n_rows"],
        "new_columns": new,
        "n_repeated_keys": repeated,
    }
    return profile


def _repeated(source: Source, profile: Json, *, n_rows: int, key: str | None) -> int:
    """Appended rows whose key, and time where there is one, an earlier row has."""
    if key is None:
        return 0
    times = [
        column["name"]
        for column in profile["columns"]
        if column["type"] == "timestamp" and column["name"] != key
    ]
    frame = pd.DataFrame({"key": source.read(key).to_pandas()})
    if times:
        frame["time"] = source.read(times[0]).cast(pa.int64()).to_pandas()
    return int(frame.duplicated().to_numpy()[-n_rows:].sum())
