"""What a request leaves out and a data set of several tables says itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from api.schemas_answers import JsonObject
from api.schemas_jobs import UNSAID
from automl.errors import DataError
from scheduler.records import StoredDataset

# Time formats by which numbers are dates; texts and epochs become timestamps.
DATED = ("iso", "epoch_s", "epoch_ms", "epoch_us", "yymmdd", "yyyymmdd", "month_number")


def completed(asked: JsonObject, dataset: StoredDataset, *, said: Collection[str]) -> JsonObject:
    """The request of a job with what its data set declares of itself.

    Target, positive value, time and group come from the spec unless the request has them; keys
    and cut-offs are not learnt from.

    Parameters
    ----------
    asked : the request, defaults filled in
    said : names of the fields that the client sent

    Raises
    ------
    DataError
        ``invalid_request``: neither names a target.
    """
    about = (dataset.profile or {}).get("relations") or {}
    found = dict(asked)
    if asked["target"] == UNSAID or "target" not in said:
        found["target"] = about.get("target")
        if found["target"] is None:
            raise DataError(
                "target: Field required: a column, or null to rank rows without labels",
                code="invalid_request",
                details={"field": "target"},
            )
    if not about:
        return found
    columns = {one["name"]: one for one in (dataset.profile or {})["columns"]}
    if "positive" not in said and found["target"] == about.get("target"):
        found["positive"] = about.get("positive")
    if found["target"] is not None:
        found |= _roles(about, columns, said=said, n_rows=dataset.n_rows or 0)
    used = {found.get(role) for role in ("target", "time_column", "group_column", "weight_column")}
    roles = about.get("roles") or {}
    own = [*roles.get("key", ()), *roles.get("cut_off", ()), *roles.get("excluded", ())]
    if found["target"] is None:  # labels that are there are no part of what is odd
        own += roles.get("target", ())
    left_out = [name for name in own if name in columns and name not in used]
    found["exclude"] = list(dict.fromkeys([*asked["exclude"], *left_out]))
    return found


def _roles(
    about: JsonObject, columns: dict[str, Any], *, said: Collection[str], n_rows: int
) -> JsonObject:
    """The columns of time and group, where they are told and tell rows apart."""
    found: JsonObject = {}
    key = (about.get("roles") or {}).get("key", ())
    if "group_column" not in said and len(key) == 1 and about["n_entities"] < n_rows:
        found["group_column"] = key[0]
    cut_off = about.get("cut_off") or {}
    time = columns.get(str(cut_off.get("column")))
    dated = cut_off.get("time_format", "iso") in DATED
    if "time_column" not in said and time is not None and dated and time["n_distinct"] > 1:
        found["time_column"] = time["name"]
    return found
