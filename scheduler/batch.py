"""What a child does that predicts all rows of a data set, block by block, into one file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import DataError
from scheduler.prediction import scored
from scheduler.reading import meter_of
from scheduler.rewriting import for_everybody

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from automl.relations.stored import Stored
    from automl.search.anomaly import AnomalyRanker
    from automl.search.champion import Champion

# So many entities' events are in memory at a time.
BLOCK_ROWS = 20_000
FILES = {"csv": "predictions.csv", "parquet": "predictions.parquet"}


def predict_all(
    folder: str,
    sha256: str,
    parts: Sequence[str],
    layout: str | None,
    key: Sequence[str],
    form: str,
    destination: str,
    watts: Mapping[str, float | None],
    made_of: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Predict every row of a data set, in the order in which it is stored.

    Parameters
    ----------
    folder, sha256 : the champion's
    parts : the files of the rows
    layout : the folder of the tables around them; None where there are none
    key : columns to write beside each prediction; none: the number of the row, from 1
    form : csv or parquet
    made_of : what the tables were put together from, where files stay where they are

    Returns
    -------
    dict
        ``n_rows``, ``report`` and ``cost``.

    Raises
    ------
    DataError
        ``corrupt_model``, ``missing_columns``, ``missing_table``.
    """
    from automl.meters.base import measure
    from automl.relations.stored import Stored
    from automl.search.anomaly_files import load_model

    with measure(meter_of(watts)) as reading:
        champion = load_model(folder, sha256=sha256)
        stored = None if layout is None else Stored(Path(layout))
        n_rows = n_alerts = 0
        with (
            tempfile.TemporaryDirectory(dir=destination) as scratch,
            _Writer(Path(destination) / FILES[form], form) as writer,
        ):
            around = champion.tables
            if stored is not None and around is not None:
                stored = for_everybody(stored, made_of, Path(scratch), columns=around.reads())
            for frame, names in _blocks(champion, [Path(one) for one in parts], stored, key):
                values, alert = scored(champion, frame)
                writer.write(_table(names, values, alert, first=n_rows + 1))
                n_rows += len(frame)
                n_alerts += sum(alert)
    read = {} if stored is None else {name: int(n) for name, n in stored.bytes_read.items()}
    report = {"n_rows": n_rows, "n_alerts": n_alerts, "bytes_read": read}
    return {"n_rows": n_rows, "report": report, "cost": reading.cost.to_json()}


def _blocks(
    champion: Champion | AnomalyRanker,
    parts: Sequence[Path],
    stored: Stored | None,
    key: Sequence[str],
) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """The rows as the champion takes them, and their keys, so many at a time."""
    import numpy as np

    from automl.data.versions import Joining

    around, own = champion.tables, champion.own_columns
    if around is not None and stored is None:
        raise DataError(
            "the model reads several tables, and the data set is one; name one that was put "
            "together as that of its training",
            code="missing_table",
        )
    start = 0
    with Joining(parts) as joining:
        absent = [name for name in own if name not in joining.schema.names]
        if absent:
            raise DataError(
                f"{len(absent)} column(s) that the model needs are missing, first {absent[0]!r}",
                code="missing_columns",
                column=absent[0],
                details={"columns": absent},
            )
        for group in joining.groups():
            for at in range(0, group.num_rows, BLOCK_ROWS):
                block = group.slice(at, BLOCK_ROWS)
                frame = _frame(block, own)
                if around is not None and stored is not None:
                    positions = np.arange(start, start + len(frame), dtype=np.int64)
                    relations = stored.relations(positions, columns=around.reads(), rows=frame)
                    frame = around.featured(relations)
                yield frame, {name: block.column(name) for name in key}
                start += block.num_rows


def _frame(table: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    from automl.data.series import to_series

    columns = {name: to_series(table.column(name).combine_chunks()) for name in names}
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def _table(
    names: Mapping[str, Any], values: Mapping[str, list[Any]], alert: list[bool], *, first: int
) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    keys = dict(names) or {"row": np.arange(first, first + len(alert))}
    scores = {name: pa.array(own, pa.float64()) for name, own in values.items()}
    # A key of the data may be called like a column of ours.
    renamed = {f"key_{name}" if name in {*scores, "alert"} else name: keys[name] for name in keys}
    return pa.table({**renamed, **scores, "alert": pa.array(alert, pa.bool_())})


class _Writer:
    """One file, written block by block."""

    def __init__(self, path: Path, form: str) -> None:
        self._path, self._form = path, form
        self._file: Any = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        import pyarrow.csv
        import pyarrow.parquet

        if self._file is None and self._form == "csv":
            self._file = pyarrow.csv.CSVWriter(self._path, table.schema)
        elif self._file is None:
            self._file = pyarrow.parquet.ParquetWriter(self._path, table.schema, compression="zstd")
        self._file.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
