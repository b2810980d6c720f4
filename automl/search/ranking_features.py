"""Features of the tables around rows that are ranked without labels.

Nothing tells there which group is worth its joules, so no group is raced: for each table the cheap
ones that count what happened are computed, and no others. Each further column that has nothing to
do with what is looked for makes other rows odd.

Measured 2026-11-23 as the average precision of the ranking, labels unused: hdfs 0.526 of
`templates`, 0.244 of `sequences`; berka 0.275 of `recency` and `aggregates`, 0.121 of all groups;
credit_card_approval 0.081 of `categories`, 0.016 of its table alone; nasa_msl 0.146 of `rolling`,
0.128 with `recency`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from automl.cost import ZERO
from automl.features.featurizer import Featurizer, groups_of
from automl.relations.tables import Relations
from automl.search.feature_race import Decision

# The first of a table's kinds that it offers tells what happened; `recency`, how often and when.
TELLING = ("templates", "aggregates", "categories")
POINTS = "rolling"  # of the points of a series, each against those before it
KEPT = "there are no labels: it is computed of all rows, untried"
LEFT = "there are no labels: nothing could tell whether it is worth its joules"


@dataclass(frozen=True, kw_only=True)
class Usual:
    """The features of a ranking, as columns of the rows too, and what was decided of each group."""

    featurizer: Featurizer
    columns: pd.DataFrame
    decisions: tuple[Decision, ...]


def usual_groups(relations: Relations) -> list[str]:
    """Names of the groups that are computed where there are no labels.

    Returns
    -------
    list of str
        ``table.recency`` and one of ``templates``, ``aggregates`` and ``categories`` of each table;
        of a series whose points are the rows, ``rolling`` alone.
    """
    by_table: dict[str, list[str]] = {}
    for one in groups_of(relations):
        by_table.setdefault(one.table, []).append(one.kind)
    found = []
    for table, kinds in by_table.items():
        if POINTS in kinds and _has_points(relations, table):
            found.append(f"{table}.{POINTS}")
            continue
        first = next((kind for kind in TELLING if kind in kinds), None)
        found += [f"{table}.{kind}" for kind in ("recency", first) if kind in kinds]
    return found


def usual_features(relations: Relations, *, seed: int) -> Usual:
    """Compute the groups of `usual_groups`; a feature that is the same for all rows is left out."""
    names = usual_groups(relations)
    featurizer, computed = Featurizer.fit_transform(relations, names, seed=seed)
    columns = {f"{one.table}.{one.kind}": len(one.columns) for one in featurizer.groups}
    decisions = [
        Decision(
            name=offer.name,
            kept=offer.name in columns,
            why=_why(offer.name, names, columns),
            n_columns=columns.get(offer.name, 0),
            n_used=columns.get(offer.name, 0),
            score=None,
            gain=None,
            error=None,
            share=0.0,
            cost=ZERO,
        )
        for offer in groups_of(relations)
    ]
    return Usual(featurizer=featurizer, columns=computed, decisions=tuple(decisions))


def _why(name: str, wanted: list[str], columns: dict[str, int]) -> str:
    if name not in wanted:
        return LEFT
    return KEPT if name in columns else "all of its columns are the same for every row"


def _has_points(relations: Relations, table: str) -> bool:
    """Whether each row is one point of this series, as windows of one row are."""
    made = relations.about.get("windows") or {}
    return made.get("table") == table and not made.get("by_time") and (made.get("length") or 1) <= 1
