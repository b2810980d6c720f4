"""The model that a job starts from, and what stands against it."""

from __future__ import annotations

from api.card import ANOMALY_RANKING
from api.context import parts, project_id
from api.errors import about
from api.schemas_answers import JsonObject
from automl.errors import DataError
from scheduler.errors import UnknownRecord
from scheduler.records import Model, StoredDataset
from scheduler.starts import check_start


def started_from(asked: JsonObject) -> Model | None:
    """The model that a request starts from. Raises UnknownRecord, Gone, Conflict: `get_model`."""
    with about("warm_start_from"):
        return None if asked["warm_start_from"] is None else _named(asked["warm_start_from"])


def _named(reference: str) -> Model:
    """The model of a name or id."""
    name, _, version = reference.partition("/")
    store = parts().store
    try:
        return store.get_model(project_id(), name, version=int(version) if version else None)
    except UnknownRecord:
        model = store.model_by_id(project_id(), name)
        if version and model.version != int(version):
            raise
        return model


def started(
    admission: JsonObject, asked: JsonObject, *, dataset: StoredDataset, model: Model
) -> JsonObject:
    """The admission of a job that starts from a model, which it says in a warning if need be.

    Raises
    ------
    DataError
        ``missing_columns``: the model reads columns that the job would not learn from;
        ``not_a_champion``: it was trained without labels; of several tables
        ``other_target`` and what `scheduler.starts.check_start` raises.
    """
    card = model.card
    if card.get("kind") == ANOMALY_RANKING:
        raise DataError(
            f"model {model.name!r} was trained without labels: there is nothing to start from",
            code="not_a_champion",
            details={"field": "warm_start_from"},
        )
    read = [one["name"] if isinstance(one, dict) else one for one in card.get("columns", ())]
    same = (card.get("target"), card.get("positive")) == (asked["target"], asked["positive"])
    if dataset.spec is not None or card.get("feature_groups") is not None:
        if not same:
            raise DataError(
                f"model {model.name!r} to start from learnt another target or another value of it, "
                "and its features were chosen for that",
                code="other_target",
                details={"field": "warm_start_from"},
            )
        with about("warm_start_from"):
            read = check_start(model, dataset, artifacts=parts().artifacts)
    roles = ("target", "time_column", "group_column", "weight_column")
    left_out = {asked.get(role) for role in roles} | set(asked.get("exclude") or ())
    left_out |= {entry["column"] for entry in admission.get("excluded", ())}
    columns = [one["name"] for one in (dataset.profile or {}).get("columns", ())]
    offered = {name for name in columns if name not in left_out}
    absent = [name for name in read if name not in offered]
    if absent:
        why = "is not in the data" if absent[0] not in columns else "is left out of this job"
        raise DataError(
            f"model {model.name!r} to start from reads {len(absent)} column(s) that this job does "
            f"not learn from; the first, {absent[0]!r}, {why}",
            code="missing_columns",
            column=absent[0],
            details={"columns": absent},
        )
    warnings = [*admission.get("warnings", ())]
    if not same:
        told = (
            f"model {model.name!r} was trained on another target or another value of it: only its "
            "configurations are taken over"
        )
        warnings.append({"code": "other_target", "detail": told})
    start = {"id": model.id, "name": model.name, "version": model.version, "same_target": same}
    return {**admission, "warnings": warnings, "start": start}
