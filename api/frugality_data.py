"""What the frugality report tells of the data: what was read, and what was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.frugality_facts import Facts
from api.frugality_figures import count, figure
from api.quantities import size
from api.schemas_frugality import DataUsed, Figure, LeftOut


def data_used(facts: Facts) -> DataUsed:
    """Rows, columns, tables and bytes: what the search and the champion read, and what not."""
    admission, less, dataset = facts.admission, facts.less, facts.dataset
    n_rows = admission.get("n_rows") or (None if dataset is None else dataset.n_rows)
    labelled = admission.get("n_labelled")
    used = [
        count("rows", "Rows of the data", n_rows),
        count("rows_labelled", "Rows with a label", labelled, n_rows),
        count("rows_positive", "Positive rows", admission.get("n_positive"), labelled),
        count("rows_champion", "Rows that the champion was fitted on, at most", fitted(facts)),
        count(
            "row_fits",
            "Rows fitted on, summed over all trials",
            less.get("rows_trained_on"),
            less.get("rows_if_every_trial_had_all"),
        ),
        *_columns(facts),
    ]
    tables = facts.receipt.get("storage") or {}
    groups = facts.receipt.get("feature_groups") or ()
    unused = []
    if n_rows is not None and labelled is not None:
        unused.append(count("rows_without_label", "Rows without a label", n_rows - labelled))
    if less.get("rows_if_every_trial_had_all") is not None:
        whole, read = less["rows_if_every_trial_had_all"], less.get("rows_trained_on") or 0
        unused.append(
            count("row_fits_spared", "Rows that trials were not fitted on", whole - read, whole)
        )
    left_out = columns_left_out(facts)
    unused.append(count("columns_unused", "Columns that the model does not read", len(left_out)))
    if groups:
        kept = sum(bool(one["kept"]) for one in groups)
        used.append(count("feature_groups", "Groups of features computed", kept, len(groups)))
        dropped = len(groups) - kept
        unused.append(count("feature_groups_unused", "Groups of features not kept", dropped))
    return DataUsed(
        used=[*used, *_bytes(facts, tables)],
        unused=unused,
        columns_left_out=left_out,
        features_left_out=[
            LeftOut(name=str(one["name"]), why=str(one["why"])) for one in groups if not one["kept"]
        ],
    )


def fitted(facts: Facts) -> int | None:
    """Rows of the champion's fullest fit; None where there is none."""
    rows = [one.get("fitted_rows") for one in facts.card.get("members") or ()]
    return max((one for one in rows if one is not None), default=None)


def _columns(facts: Facts) -> list[Figure]:
    profile = {} if facts.dataset is None else dict(facts.dataset.profile or {})
    named = profile.get("columns") or ()
    found = [count("columns", "Columns of the data", len(named))] if named else []
    found.append(
        count("columns_offered", "Columns offered to the search", facts.admission.get("n_features"))
    )
    if facts.card.get("columns"):
        n_columns = len(facts.card["columns"])
        found.append(count("columns_champion", "Columns and features of the champion", n_columns))
    tables = (facts.dataset.spec or {}).get("tables") if facts.dataset is not None else None
    if tables:
        found.append(count("tables", "Tables put together", len(tables)))
    return found


def columns_left_out(facts: Facts) -> list[LeftOut]:
    """Columns that the model never reads, each with the reason."""
    card = facts.card
    if card:
        named = [*(card.get("excluded") or ()), *(card.get("dropped_columns") or ())]
    else:
        named = [
            {"column": name, "why": "excluded by the request"}
            for name in facts.request.get("exclude") or ()
        ] + list(facts.admission.get("excluded") or ())
    found = [LeftOut(name=str(one["column"]), why=str(one["why"])) for one in named]
    for table, columns in (facts.receipt.get("not_read") or {}).items():
        found += [
            LeftOut(name=f"{table}.{name}", why="no feature that was kept needs it")
            for name in columns
        ]
    return found


def _bytes(facts: Facts, tables: Mapping[str, Any]) -> list[Figure]:
    dataset = facts.dataset
    found = []

    def add(name: str, label: str, value: float | None) -> None:
        if value is not None:
            found.append(figure(name, label, float(value), "bytes", size(value)))

    if dataset is not None:
        add("bytes_in", "Bytes uploaded", dataset.bytes_in)
        add("bytes_stored", "Bytes kept, compressed", dataset.bytes_stored)
    add("bytes_search", "Bytes read by the search", tables.get("bytes_read_by_search"))
    add(
        "bytes_champion",
        "Bytes that the champion reads of all entities",
        tables.get("bytes_read_by_champion"),
    )
    if not tables:
        found.append(
            figure(
                "bytes_search",
                "Bytes read by the search and the champion",
                None,
                "bytes",
                "not counted for a single table, whose columns are each read once"
                + (
                    "" if dataset is None or dataset.bytes_stored is None else ": at most the above"
                ),
            )
        )
    return found
