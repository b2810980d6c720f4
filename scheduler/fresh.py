"""What is new to a champion: which rows and labels it never saw, and its columns of some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scheduler.reading import parts_of

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.versions import Source
    from automl.search.champion import Champion
    from scheduler.artifacts import ArtifactStore
    from scheduler.records import StoredDataset
    from scheduler.store import Store

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int8]
Rows = npt.NDArray[np.intp]

# Rows of which scores or histograms are made, at most.
MOST_ROWS = 50_000
# Of several tables so many entities' features are computed at a time.
BLOCK_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """Rows by what is known of their labels, each array of shape (n_rows,).

    y is 1, 0, or -1 without a label; `fresh` rows had none when the champion was trained, and
    `new` ones were not there.
    """

    y: Labels
    fresh: Mask
    new: Mask
    n_corrected: int  # labels that are not what they were

    @property
    def n_new(self) -> int:
        """Rows with a label that the champion did not see."""
        return int(self.fresh.sum())

    @property
    def n_new_positive(self) -> int:
        """Those of them that are positive."""
        return int(self.y[self.fresh].sum())


def fresh_of(
    now: Source, before: Source, request: Mapping[str, Any], *, identity: Sequence[str] = ()
) -> Fresh:
    """Compare the labels of now with those that a champion was trained on.

    Parameters
    ----------
    identity : columns by which a row of now is one of before; none: those of before come first,
        in the same order, as in versions that were appended to
    """
    from automl.data.target import labels, wanted

    positive = wanted(request.get("positive"))
    y = labels(now.target_values(), positive)
    known = labels(before.target_values(), positive)
    old = np.full(len(y), -1, dtype=known.dtype)
    new = np.ones(len(y), dtype=bool)
    if identity:
        at, there = _found(_hashed(now, identity), _hashed(before, identity))
    else:
        at, there = np.arange(len(known)), np.arange(len(known))
    old[at], new[at] = known[there], False
    both = (old >= 0) & (y >= 0)
    return Fresh(
        y=y,
        fresh=(y >= 0) & (old < 0),
        new=new,
        n_corrected=int((y[both] != old[both]).sum()),
    )


def _hashed(source: Source, names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """One hash of each row, by the texts of these columns."""
    from automl.data.versions import Joining
    from automl.relations.hashing import row_hashes

    with Joining(source.parts) as joining:
        columns = [joining.column(name) for name in names]
    return row_hashes(columns, n_rows=len(columns[0]))


def _found(
    now: npt.NDArray[np.uint64], before: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Places in `now` of rows that were there before, and where they were.

    Of rows that are alike the first of now is the first of before, and so on.
    """
    one, other = _numbered(now), _numbered(before)
    _, at, there = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return at, there


def _numbered(hashed: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The hashes, those of equal rows told apart by how many stand before each.

    >>> found = _numbered(np.array([7, 9, 7], dtype=np.uint64))
    >>> len(set(found.tolist())), found[:2].tolist()
    (3, [7, 9])
    """
    from automl.relations.hashing import mix

    order = np.argsort(hashed, kind="stable")
    ordered, places = hashed[order], np.arange(len(hashed))
    is_first = np.ones(len(hashed), dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    nth = places - np.maximum.accumulate(np.where(is_first, places, 0))
    found = hashed.copy()
    again = nth > 0
    found[order[again]] = mix(ordered[again] + nth[again].astype(np.uint64))
    return found


def identity_of(dataset: StoredDataset, before: StoredDataset) -> list[str]:
    """Columns by which a row of several tables is known in two versions of its data set.

    Its entity's key and its cut-off; where there is no key, all columns but the target.
    """
    about = (dataset.profile or {}).get("relations") or {}
    roles = about.get("roles") or {}
    there = {str(one["name"]) for one in (before.profile or {}).get("columns", ())}
    columns = [str(one["name"]) for one in (dataset.profile or {}).get("columns", ())]
    columns = [one for one in columns if one in there]
    named = [one for one in (*roles.get("key", ()), *roles.get("cut_off", ())) if one in columns]
    if roles.get("key") and named:
        return named
    return [one for one in columns if one != about.get("target")]


def parts_before(
    before: Mapping[str, Any],
    dataset: StoredDataset,
    *,
    store: Store,
    artifacts: ArtifactStore,
) -> list[str]:
    """The files of the rows that a champion knew, as `scheduler.appraisal.new_to` keeps them.

    Raises Gone where they were deleted.
    """
    if before.get("dataset") is not None:
        then = store.get_dataset(dataset.project_id, str(before["dataset"]))
        return parts_of([then], artifacts)
    versions = store.versions_of(dataset.project_id, dataset.id)
    return parts_of(versions[: before["n_parts"]], artifacts)


def features(source: Source, names: set[str], rows: Rows) -> pd.DataFrame:
    """Columns of some rows, as `automl.data.loading.load` gives them; without those not there."""
    import pandas as pd
    import pyarrow as pa

    from automl.data.series import to_series
    from automl.data.versions import Joining

    chosen = pa.array(rows)
    with Joining(source.parts) as joining:
        present = [name for name in joining.schema.names if name in names]
        columns = {name: to_series(joining.column(name).take(chosen)) for name in present}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def seen_by(champion: Champion, source: Source, rows: Rows, *, layout: str | None) -> pd.DataFrame:
    """The columns of a champion of some rows, computed as it computes them where it predicts.

    Parameters
    ----------
    layout : the folder of the tables around the rows; None where there are none
    """
    own = features(source, set(champion.own_columns), rows)
    if champion.tables is None or layout is None:
        return own
    import pandas as pd

    from automl.relations.stored import Stored

    stored, around = Stored(Path(layout)), champion.tables
    reads = around.reads()
    parts = []
    for at in range(0, len(rows), BLOCK_ROWS):
        some = own.iloc[at : at + BLOCK_ROWS].reset_index(drop=True)
        positions = rows[at : at + BLOCK_ROWS].astype(np.int64)
        parts.append(around.featured(stored.relations(positions, columns=reads, rows=some)))
    return pd.concat(parts, ignore_index=True) if parts else own


def indexed(rows: Rows, *, layout: str | None) -> Rows:
    """Those of the rows whose events can surely be read.

    Of files that stay where they are only the first entities' are looked for beforehand; the
    order is that of a hash, so they are a sample of all.
    """
    if layout is None:
        return rows
    from automl.relations.sampled import SAMPLED_ROWS

    return rows[rows < SAMPLED_ROWS]


def at_most(rows: Rows) -> Rows:
    """At most `MOST_ROWS` of the rows, evenly spread: the share of positives stays about the same.

    >>> len(at_most(np.arange(60_000)))
    50000
    """
    if len(rows) <= MOST_ROWS:
        return rows
    places = np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.intp)
    return np.asarray(rows[places])
