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
from automl.relations.tables import EventTable, Relations, Spans

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
        offers = {offer.name: offer for offer in groups_of(relations)}
        names = list(offers) if groups is None else list(groups)
        if unknown := [name for name in names if name not in offers]:
            raise DataError(
                f"there is no feature group {unknown[0]!r}; there are: {', '.join(offers)}",
                code="unknown_feature_group",
                details={"group": unknown[0], "known": list(offers)},
            )
        some = (
            relations if relations.n_rows <= LOOKED_AT else relations.take(_some(relations, seed))
        )
        spans = {name: some.spans(name) for name in {offers[name].table for name in names}}
        fitted = []
        for name in names:
            offer = offers[name]
            table, seen = some.tables[offer.table], spans[offer.table]
            group = group_of(offer.kind).fit(table, seen, seed=seed)
            if group is not None and (group := _varying(group, some, seen)).columns:
                fitted.append(group)
        return cls(groups=tuple(fitted))

    def transform(self, relations: Relations) -> pd.DataFrame:
        """Features of shape (n_entities, n_features), float32, in the order of the rows.

        Raises
        ------
        DataError
            ``missing_table`` or ``missing_columns`` where something that is read is not there.
        """
        self._check(relations)
        spans = {name: relations.spans(name) for name in self.reads()}
        found: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
        for group in self.groups:
            columns = _computed(group, relations.tables[group.table], spans[group.table])
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
        spans = relations.spans(name)
        lengths = spans.end - spans.start
        for kind in kinds_for(table):
            group = group_of(kind)
            # Some groups look at the last values of a stretch only.
            most = getattr(group, "most_values", None)
            seen = lengths if most is None else np.minimum(lengths, most)
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


def _some(relations: Relations, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    chosen = np.random.default_rng(seed).choice(relations.n_rows, size=LOOKED_AT, replace=False)
    return np.sort(chosen).astype(np.int64)


def _computed(group: FittedGroup, table: EventTable, spans: Spans) -> list[Column]:
    """A group's features, once for all rows that see the same stretch at the same cut-off.

    Rows that share a subject, such as all of a day with its weather, are many times fewer.
    """
    seen = np.stack([spans.start, spans.end, spans.cut_off.view(np.int64)])
    distinct, at = np.unique(seen, axis=1, return_inverse=True)
    if 2 * distinct.shape[1] > seen.shape[1]:
        return group.transform(table, spans)
    few = Spans(
        start=distinct[0], end=distinct[1], cut_off=np.ascontiguousarray(distinct[2]).view(float)
    )
    return [column[at] for column in group.transform(table, few)]


def _varying(group: FittedGroup, relations: Relations, spans: Spans) -> FittedGroup:
    """Without features that are the same where they are known, and the second of two alike.

    That there are no events is told by their count, not by the NaN of everything else.
    """
    seen: dict[bytes, str] = {}
    computed = _computed(group, relations.tables[group.table], spans)
    for name, values in zip(group.columns, computed, strict=True):
        known = values[~np.isnan(values)]
        if len(known) and (known != known[0]).any():
            seen.setdefault(values.tobytes(), name)
    return group.only(list(seen.values()))
