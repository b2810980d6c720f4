"""Columns that a job was asked to be judged by, in the order of the rows it learns from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.dataset import Dataset
    from automl.search.champion import Champion

NOT_ALIGNED = (
    "not told: part of the rows was kept from the training to judge it beside the champion"
)


def named(request: Mapping[str, Any]) -> list[str]:
    """The columns; also such that are not learnt from."""
    return list(request.get("subgroups") or ())


def columns_of(
    rows: Path, request: Mapping[str, Any], dataset: Dataset, *, relational: bool
) -> pd.DataFrame | None:
    """Their cells, one row for each row that is learnt from; None where none was named.

    `dataset` is what was loaded, before features of other tables are added.
    """
    names = named(request)
    if not names:
        return None
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from automl.data.loading import places
    from automl.data.series import to_series
    from automl.data.stored import StoredColumns
    from scheduler.featuring import taken

    keep, _ = places(rows, request)
    part = taken(dataset) if relational else None
    chosen = pa.array(keep if part is None else keep[part])
    with pq.ParquetFile(rows) as file:
        stored = StoredColumns(file)
        series = {name: to_series(stored.read(name).take(chosen)) for name in names}
    return pd.DataFrame(series, index=pd.RangeIndex(len(chosen)))


def judged(champion: Champion, columns: pd.DataFrame | None, *, n_rows: int) -> dict[str, Any]:
    """What a card says of subgroups; nothing where none was named."""
    if columns is None:
        return {}
    from automl.search.subgroups import LEAST_COUNT, LEAST_ROWS, subgroups

    if len(columns) != n_rows:
        return {"subgroups": {"note": NOT_ALIGNED, "columns": []}}
    arrays = champion.out_of_fold
    found = subgroups(arrays, columns.iloc[arrays["rows"]], threshold=champion.threshold)
    note = (
        "On the validation rows, which the judged models were not fitted to, weighted to the true "
        f"prevalence; 90 % intervals. Parts of fewer than {LEAST_ROWS} rows, and figures that rest "
        f"on fewer than {LEAST_COUNT} positives or alerts, are not told: they would say little, "
        "and of few people."
    )
    return {"subgroups": {"note": note, "columns": found}}
