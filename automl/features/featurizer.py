"""Features of entity rows from the tables around them: decided once, then the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from automl.errors import DataError
from automl.features.catalog import KINDS, fitted_of, group_of, kinds_for
from automl.features.group import Column, FittedGroup
from automl.features.windows import most_seen
from automl.relations.tables import EventTable, Integers, Relations, Spans

VERSION = 1
# Constants are looked for in at most so many rows.
LOOKED_AT = 20_000


@dataclass(frozen=True, kw_only=True)
class GroupOffer:
    """A group that could be computed: `name` is its table and kind, e.g. ``trans.aggregates``."""

    name: str
    table: str
    kind: str
    expected_seconds: float


@dataclass(frozen=True, kw_only=True)
class Featurizer:
    """Fitted feature groups; what a row gets depends on that row and its events alone."""

    groups: tuple[FittedGroup, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the features, in order."""
        return [name for group in self.groups for name in group.columns]

    @classmethod
    def fit(cls, relations: Relations, groups: Sequence[str] | None = None, *, seed: int) -> Self:
        """Decide the features of some groups (None: all there are) on training rows.

        A feature that is the same for all of them is left out.

        Raises
        ------
        DataError
            ``unknown_feature_group`` where the tables do not offer one.
        """
        found = _fitted(_for_fitting(relations, seed), groups, seed=seed)
        return cls(groups=tuple(group for group, _ in found))

    @classmethod
    def fit_transform(
        cls, relations: Relations, groups: Sequence[str] | None = None, *, seed: int
    ) -> tuple[Self, pd.DataFrame]:
        """As `fit` and then `transform`, without computing a feature twice."""
        some = _for_fitting(relations, seed)
        found = _fitted(some, groups, seed=seed)
        featurizer = cls(groups=tuple(group for group, _ in found))
        if some is not relations:
            return featurizer, featurizer.transform(relations)
        columns = [
            of for group, computed in found for of in zip(group.columns, computed, strict=True)
        ]
        return featurizer, pd.DataFrame(dict(columns), index=relations.rows.index, copy=False)

    def transform(self, relations: Relations) -> pd.DataFrame:
        """Features of shape (n_entities, n_features), float32, in the order of the rows.

        Raises
        ------
        DataError
            ``missing_table`` or ``missing_columns`` where something that is read is not there.
        """
        self._check(relations)
        seen = {name: _Seen.of(relations.spans(name)) for name in self.reads()}
        found: dict[str, Column] = {}
        for group in self.groups:
            columns = seen[group.table].transform(group, relations.tables[group.table])
            found |= zip(group.columns, columns, strict=True)
        return pd.DataFrame(found, index=relations.rows.index, columns=self.columns, copy=False)

    def reads(self) -> dict[str, list[str]]:
        """The columns that are read of each table, besides its key and time."""
        found: dict[str, list[str]] = {}
        for group in self.groups:
            of = found.setdefault(group.table, [])
            of += [name for name in group.reads if name not in of]
        return found

    def only(self, columns: Sequence[str]) -> Self:
        """The same with some of its features; groups and tables without any are dropped."""
        kept = [group.only(columns) for group in self.groups]
        return replace(self, groups=tuple(group for group in kept if group.columns))

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it; no value of one entity."""
        return {"version": VERSION, "groups": [group.to_json() for group in self.groups]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            ``bad_featurizer`` where a newer version wrote it.
        """
        if data.get("version") != VERSION:
            raise DataError(
                f"features of version {data.get('version')}; this program reads {VERSION}",
                code="bad_featurizer",
            )
        return cls(groups=tuple(fitted_of(one["kind"]).from_json(one) for one in data["groups"]))

    def _check(self, relations: Relations) -> None:
        for name, columns in self.reads().items():
            if name not in relations.tables:
                raise DataError(
                    f"the features read table {name!r}, which is not there",
                    code="missing_table",
                    details={"table": name},
                )
            there = set(relations.tables[name].columns.column_names)
            if missing := [column for column in columns if column not in there]:
                raise DataError(
                    f"the features read column {missing[0]!r} of {name!r}, which is not there",
                    code="missing_columns",
                    column=missing[0],
                    details={"table": name, "columns": missing},
                )


def groups_of(relations: Relations) -> list[GroupOffer]:
    """The feature groups that tables offer, the cheap ones first, with expected CPU-seconds."""
    found = []
    for name, table in relations.tables.items():
        spans = _Seen.of(relations.spans(name)).spans
        lengths, widest = spans.end - spans.start, most_seen(spans)
        for kind in kinds_for(table):
            group = group_of(kind)
            # Some groups look at the last values of a stretch only.
            most = getattr(group, "most_values", None)
            seen = lengths if most is None else np.minimum(lengths, most)
            seen = widest if KINDS[kind].windowed else seen
            millions = float(seen.sum()) / 1e6 * KINDS[kind].columns(table)
            found.append(
                GroupOffer(
                    name=f"{name}.{kind}",
                    table=name,
                    kind=kind,
                    expected_seconds=group.seconds_per_million * millions,
                )
            )
    return sorted(found, key=lambda one: one.expected_seconds)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What rows see; where many see the same at the same cut-off it is computed once for them.

    Rows that share a subject, such as all of a day with its weather, are many times fewer.
    """

    spans: Spans
    at: Integers | None

    @classmethod
    def of(cls, spans: Spans) -> Self:
        n = len(spans.start)
        if 2 * len(np.unique(spans.start)) > n:
            return cls(spans=spans, at=None)
        keys = (spans.cut_off.view(np.int64), spans.end, spans.start)
        order = np.lexsort(keys)
        fresh = np.zeros(n, dtype=np.bool_)
        fresh[:1] = True
        for key in keys:
            fresh[1:] |= np.diff(key[order]) != 0
        if 2 * int(fresh.sum()) > n:
            return cls(spans=spans, at=None)
        at = np.empty(n, dtype=np.int64)
        at[order] = np.cumsum(fresh) - 1
        first = order[fresh]
        few = Spans(start=spans.start[first], end=spans.end[first], cut_off=spans.cut_off[first])
        return cls(spans=few, at=at)

    def transform(self, group: FittedGroup, table: EventTable) -> list[Column]:
        columns = group.transform(table, self.spans)
        return columns if self.at is None else [column[self.at] for column in columns]


def _for_fitting(relations: Relations, seed: int) -> Relations:
    if relations.n_rows <= LOOKED_AT:
        return relations
    chosen = np.random.default_rng(seed).choice(relations.n_rows, size=LOOKED_AT, replace=False)
    return relations.take(np.sort(chosen).astype(np.int64))


def _fitted(
    relations: Relations, groups: Sequence[str] | None, *, seed: int
) -> list[tuple[FittedGroup, list[Column]]]:
    """Groups with their features of these rows."""
    offers = {offer.name: offer for offer in groups_of(relations)}
    names = list(offers) if groups is None else list(groups)
    if unknown := [name for name in names if name not in offers]:
        raise DataError(
            f"there is no feature group {unknown[0]!r}; there are: {', '.join(offers)}",
            code="unknown_feature_group",
            details={"group": unknown[0], "known": list(offers)},
        )
    spans = {name: relations.spans(name) for name in {offers[name].table for name in names}}
    seen = {name: _Seen.of(of) for name, of in spans.items()}
    found = []
    for name in names:
        of = offers[name].table
        table = relations.tables[of]
        group = group_of(offers[name].kind).fit(table, spans[of], seed=seed)
        if group is not None:
            group, columns = _varying(group, seen[of].transform(group, table))
            if columns:
                found.append((group, columns))
    return found


def _varying(group: FittedGroup, columns: list[Column]) -> tuple[FittedGroup, list[Column]]:
    """Without features that are the same where they are known, and the second of two alike.

    That there are no events is told by their count, not by the NaN of everything else.
    """
    kept: dict[bytes, tuple[str, Column]] = {}
    for name, values in zip(group.columns, columns, strict=True):
        known = values[~np.isnan(values)]
        if len(known) and (known != known[0]).any():
            kept.setdefault(values.tobytes(), (name, values))
    fewer = group.only([name for name, _ in kept.values()])
    by_name = dict(kept.values())
    return fewer, [by_name[name] for name in fewer.columns]
