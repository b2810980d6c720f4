"""A proposal of what several tables are to each other, from their columns and values.

Every guess is told with its reason, and a person confirms it: nothing is assembled by a guess.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.errors import DataError
from automl.relations.guessed_keys import covers, links_of, n_orphans, own_key
from automl.relations.guessed_tables import MESSAGE, GuessedTable, looked_at
from automl.relations.guessed_windows import windows_of
from automl.relations.spec import Spec
from automl.relations.times import read_times

# More rows than this that belong to nothing are refused, unless they are said to be left out.
ORPHANS = 0.05
MOST_ORPHANS = 0.05  # of a table's keys; more of them are a choice to be made
TARGET_NAMES = re.compile(
    r"(target|label|class|outcome|default|churn|fraud|y|.*_flag|status)$", re.I
)
LINE = "line"  # a column that every raw log is read into
RARE = 0.4  # a column called like a target, whose rarest value is rarer than this, may be one
RARE_FLAG = 0.2  # ... and a flag by any name
# A row is known from the last of its times on: that is the one to date it by.
LAST_TIMES = re.compile(r".*(closed|end|complet|posted|recorded|settled|paid).*", re.I)
MOST_LEVELS_OF_TARGET = 6
# Readings share their times, or this share of the steps from one to the next is the same.
REGULAR = 0.5


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A spec as JSON, why each part of it was chosen, and what remains open."""

    spec: dict[str, Any]
    reasons: tuple[dict[str, str], ...]
    open_questions: tuple[str, ...] = ()


def infer(
    tables: Mapping[str, pa.Table], *, target: str | None = None, logs: Collection[str] = ()
) -> Proposal:
    """Propose the spec of these tables.

    Parameters
    ----------
    tables : by name
        Whole, or a sample of the children; keys of lookups and entities should be whole.
    target : column that is to be predicted, where it is known
    logs : tables that were raw logs: their lines are numbered, which says nothing of an entity

    Raises
    ------
    DataError
        ``target_not_found``; ``no_entities``: no table could be that of the entities.
    """
    numbered = [name for name in logs if LINE in tables[name].column_names]
    seen = [
        looked_at(name, data.drop_columns([LINE]) if name in numbered else data)
        for name, data in tables.items()
    ]
    if len(seen) == 1 and (target is None or target in seen[0].data.column_names):
        raw = seen[0].name in logs
        made = windows_of(seen[0], raw=raw, target=target, is_series=_is_series)
        if made is not None:
            proposed, because, asked = made
            return Proposal(
                spec=Spec.from_json(proposed).to_json(),
                reasons=tuple(because),
                open_questions=tuple(asked),
            )
    entity, label, why = _entity(seen, target)
    links = links_of(seen, entity)
    reasons = [{"field": "entities", "reason": why}]
    about: dict[str, Any] = {}
    questions: list[str] = []
    cut_off = _cut_off(entity, label)
    for table in seen:
        if table is entity:
            about[table.name] = {"role": "entities"}
            continue
        told, why_so = _other(table, links.get(table.name), {one.name: one for one in seen})
        if table.name in logs and "time" not in told and MESSAGE in table.data.column_names:
            told |= {"role": "log", "time_format": "order", "message": MESSAGE}
            why_so[""] = "it was read from a raw log"
            why_so[".time_format"] = (
                "a log without times: the order of its lines stands in for them"
            )
        about[table.name] = told
        reasons += [
            {"field": f"tables.{table.name}{part}", "reason": one} for part, one in why_so.items()
        ]
        if table.name in numbered:
            told["exclude"] = [LINE]
            why = f"{LINE} is where a line stands in its file: it would tell files apart"
            reasons.append({"field": f"tables.{table.name}.exclude", "reason": why})
        if len(table.times) > 1 and "time" in told:
            questions.append(
                f"{table.name}: is a row known at its {told['time']}, or at another of its times: "
                f"{', '.join(sorted(set(table.times) - {told['time']}))}?"
            )
        if table.name not in links:
            questions.append(
                f"{table.name}: no column was found in another table; as proposed, all entities "
                "share its rows"
            )
    spec: dict[str, Any] = {"tables": about}
    key = own_key(entity, links)
    if key is not None:
        spec["key"] = key
        n_pointing = sum(other == entity.name for _, other, _, _ in links.values())
        why = f"{n_pointing} tables are found by it" if n_pointing else "its values are different"
        reasons.append({"field": "key", "reason": why})
    if label is not None:
        spec["target"] = label
        positive = _rarer(entity.column(label))
        if positive is None:
            questions.append(f"which values of {label} are positive?")
        else:
            spec["positive"] = positive
            reasons.append({"field": "positive", "reason": f"the rarer of two values of {label}"})
    else:
        questions.append("which column is to be predicted?")
    timed = [one for one in about.values() if "time" in one or one.get("time_format") == "order"]
    if cut_off is not None:
        spec["cut_off"] = {"column": cut_off}
        if entity.times[cut_off] != "iso":
            spec["cut_off"]["time_format"] = entity.times[cut_off]
        reasons.append({"field": "cut_off", "reason": f"{cut_off} is a time of {entity.name}"})
        why = f"the values of {cut_off} look like it"
        reasons.append({"field": "cut_off.time_format", "reason": why})
    elif timed:
        questions.append("when is each entity to be predicted? Without a cut-off all is known")
    return Proposal(
        spec=Spec.from_json(spec).to_json(),
        reasons=tuple(reasons),
        open_questions=tuple(questions),
    )


def _entity(
    seen: Sequence[GuessedTable], target: str | None
) -> tuple[GuessedTable, str | None, str]:
    if target is not None:
        holding = [one for one in seen if target in one.data.column_names]
        if not holding:
            raise DataError(
                f"no table has a column {target!r}", code="target_not_found", column=target
            )
        chosen = min(holding, key=lambda one: one.data.num_rows)
        return chosen, target, f"{chosen.name} has the target"
    scored: list[tuple[int, int, int, str | None]] = []
    for at, table in enumerate(seen):
        labels = [name for name in table.data.column_names if _may_be_target(table, name)]
        named = [name for name in labels if TARGET_NAMES.match(name)]
        scored.append(
            (
                2 * bool(named) + bool(labels),
                -table.data.num_rows,
                -at,
                (named or labels or [None])[0],
            )
        )
    best = max(scored, key=lambda one: one[:3])
    if best[0] == 0:
        keyed = [one for one in seen if one.unique]
        if not keyed:
            raise DataError(
                "no table could be that of the entities: none has a column of different values "
                "that others refer to; say which column is the target, or make them by `windows`",
                code="no_entities",
            )
        return keyed[0], None, f"{keyed[0].name} has one row for each {sorted(keyed[0].unique)[0]}"
    table = seen[-best[2]]
    return table, best[3], f"{table.name} has a column of few values, {best[3]!r}, like a target"


def _may_be_target(table: GuessedTable, name: str) -> bool:
    column = table.column(name)
    if name in table.times or pa.types.is_floating(column.type):
        return False
    counts = pc.value_counts(column.drop_null())
    if len(counts) < 2:
        return False
    rarest = min(counts.field("counts").to_pylist()) / len(column)
    if TARGET_NAMES.match(name):
        return len(counts) <= MOST_LEVELS_OF_TARGET and rarest <= RARE
    return len(counts) == 2 and rarest <= RARE_FLAG and not pa.types.is_string(column.type)


def _rarer(column: pa.Array) -> Any:
    """The rarer of two values; None of more."""
    counts = pc.value_counts(column.drop_null())
    if len(counts) != 2:
        return None
    return min(counts.to_pylist(), key=lambda one: (one["counts"], str(one["values"])))["values"]


def _other(
    table: GuessedTable, link: tuple[str, str, str, str] | None, seen: Mapping[str, GuessedTable]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a table is, and why: by the part of it that a reason is of, "" for its role."""
    about: dict[str, Any] = {"role": "static"}
    reasons = {"": "without a time: what it says holds always"}
    own, other, theirs, why = link or ("", "", "", "")
    single = link is not None and own in table.unique
    if table.times and single and covers(table, own, seen[other], theirs):
        reasons[""] = "one row for each: its dates are columns (events, if it may be written later)"
    elif table.times:
        name = min(table.times, key=lambda one: (not LAST_TIMES.match(one), one))
        about = {"role": "events", "time": name}
        if table.times[name] != "iso":
            about["time_format"] = table.times[name]
        reasons = {
            "": "its rows have a time",
            ".time": f"rows are dated by {name}",
            ".time_format": f"the values of {name} look like it",
        }
        if table.message is not None:
            about |= {"role": "log", "message": table.message}
            reasons[""] += ", and a column of text"
            reasons[".message"] = f"{table.message} is text"
        elif link is not None and not single and _is_series(table, own, name):
            about["role"] = "series"
            reasons[""] += f", one row for each {own} and time, which is shared or regular"
    if link is not None:
        about |= {"key": own, "to": f"{other}.{theirs}"}
        reasons[".to"] = why
        orphans = []
        if n_orphans(table, own, seen[other], theirs) > ORPHANS * table.data.num_rows:
            about["orphans"] = "drop"
            orphans.append(f"rows that belong to nothing in {other} are left out")
        if single and about["role"] == "static":
            reasons[".to"] += ", once each: its columns are looked up"
        elif not covers(seen[other], theirs, table, own, share=1 - MOST_ORPHANS):
            about["orphans"] = "drop"
            orphans.append(f"it also has rows of others than those of {other}, which are left out")
        if orphans:
            reasons[".orphans"] = "; ".join(orphans)
    return about, reasons


def _is_series(table: GuessedTable, key: str, time: str) -> bool:
    """Whether rows are readings: one for each key and time, at times that are shared or regular.

    Payments to the microsecond do not repeat one either, but come when they come.
    """
    n_rows = table.data.num_rows
    pairs = table.data.select([key, time]).group_by([key, time]).aggregate([])
    if pairs.num_rows < n_rows:
        return False
    if len(table.distinct(time)) <= REGULAR * n_rows:
        return True
    times = read_times(table.column(time), table.times[time], n_rows=n_rows, name=time).values
    codes = pc.dictionary_encode(table.column(key)).indices.fill_null(-1).to_numpy()
    order = np.lexsort((times, codes))
    gaps = np.diff(times[order])[np.diff(codes[order]) == 0]
    _, counts = np.unique(gaps[~np.isnan(gaps)], return_counts=True)
    return bool(counts.max(initial=0) >= REGULAR * len(gaps) > 0)


def _cut_off(entity: GuessedTable, label: str | None) -> str | None:
    times = [one for one in entity.times if one != label]
    return min(times, key=lambda one: (not re.search(r"cut.?off", one, re.I), one), default=None)
