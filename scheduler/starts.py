"""What a search on several tables may start from: a champion of tables put together alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.errors import DataError
from scheduler.alike import check_alike
from scheduler.artifacts import ArtifactStore
from scheduler.errors import Gone
from scheduler.records import Model, StoredDataset

# In a champion's folder, as `automl.search.around` writes them.
SPEC, FEATURIZER, CHOSEN = "spec.json", "featurizer.json", "chosen.json"


def check_start(model: Model, dataset: StoredDataset, *, artifacts: ArtifactStore) -> list[str]:
    """Raise where a search cannot have the features of a champion; the columns that are its own.

    Every table that its features are computed of is to be there, put together in the same way and
    with all of its columns; tables of which its search computed nothing may be missing or others.

    Returns
    -------
    list of str
        Columns of the entity table, or looked up from it, that the champion reads.

    Raises
    ------
    DataError
        ``other_spec`` with `details.field`; ``missing_columns`` and ``wrong_type`` with table and
        column.
    Gone
        The model's files were deleted.
    """
    relational = model.card.get("feature_groups") is not None
    if relational != (dataset.spec is not None):
        told = ["one table", "several tables"]
        raise DataError(
            f"model {model.name!r} to start from learnt from {told[relational]}, and the data set "
            f"is of {told[not relational]}",
            code="other_spec",
            details={"field": "dataset"},
        )
    if not artifacts.exists(model.artifact):
        raise Gone("the model was deleted")
    folder = artifacts.path(model.artifact)
    learnt = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    check_alike(learnt, _not_computed(folder, learnt), dict((dataset.profile or {})["relations"]))
    made = set(learnt["made"])
    return [one["name"] for one in model.card.get("columns", ()) if one["name"] not in made]


def _not_computed(folder: Path, learnt: Mapping[str, Any]) -> dict[str, Sequence[str] | None]:
    """The tables of which the champion's search computed nothing, as `check_alike` takes them."""
    file = folder / CHOSEN
    file = file if file.exists() else folder / FEATURIZER
    computed = json.loads(file.read_text(encoding="utf-8"))
    tables = {group["table"] for group in computed["groups"]}
    kinds = learnt["about"]["kinds"]
    return {name: None for name, kind in kinds.items() if kind != "lookup" and name not in tables}
