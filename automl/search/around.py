"""The tables around a champion's rows: what it computes from them, and what it never reads."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from automl.data.options import ReadingLimits, ReadingOptions
from automl.data.tables import ROWS_FILE, ingest
from automl.errors import DataError
from automl.features.featurizer import Featurizer
from automl.relations.asking import request_relations
from automl.relations.audit import n_unseen
from automl.relations.came import needed_columns, refuse_strangers
from automl.relations.spec import Spec
from automl.relations.tables import Relations

FEATURIZER, SPEC = "featurizer.json", "spec.json"
CHOSEN = "chosen.json"  # only where no model uses all that was chosen
NOW = "now"  # a cut-off that is the moment of the prediction


@dataclass(frozen=True, kw_only=True)
class Around:
    """How rows with tables around them become the columns of a champion.

    Parameters
    ----------
    spec : what the tables are and how their rows find their entity
    about : what the tables looked like when they were put together, as `Relations.about`
    featurizer : the features that any of its models uses
    made : names of all columns that were computed for the search, also those that no model uses:
        they are unknown when it predicts, which no split notices
    types : by table, the types of its columns as they were read in
    reading : by table, the options by which its file was read
    chosen : all features that its search had, also those that no model uses: a search that starts
        from the champion has the same columns, and knows the rows that it saw by them
    """

    spec: Spec
    about: Mapping[str, Any]
    featurizer: Featurizer
    made: tuple[str, ...]
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reading: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    chosen: Featurizer | None = None

    @property
    def entities(self) -> str:
        """The name of the table whose rows are predicted."""
        return str(self.spec.entities)

    @property
    def whole(self) -> Featurizer | None:
        """What makes all columns that its search had; None where it was not kept."""
        found = self.chosen or self.featurizer
        return found if list(found.columns) == list(self.made) else None

    def columns(self, relations: Relations) -> pd.DataFrame:
        """All computed columns of these rows, float32; those that no model uses are unknown."""
        found = self.featurizer.transform(relations)
        unused = [name for name in self.made if name not in found.columns]
        nothing = np.full(len(found), np.nan, dtype=np.float32)
        empty = pd.DataFrame(dict.fromkeys(unused, nothing), index=found.index)
        return pd.concat([found, empty], axis=1)[list(self.made)]

    def featured(self, relations: Relations) -> pd.DataFrame:
        """The rows with the columns computed of their tables, as a champion takes them."""
        return pd.concat([relations.rows, self.columns(relations)], axis=1)

    def using(self, columns: Collection[str]) -> Self:
        """The same, computing only those of the columns."""
        wanted = [name for name in self.featurizer.columns if name in columns]
        return replace(
            self, featurizer=self.featurizer.only(wanted), chosen=self.chosen or self.featurizer
        )

    def reads(self) -> dict[str, list[str]]:
        """By table, the columns that are read of it, key and time apart."""
        return self.featurizer.reads()

    def not_read(self) -> dict[str, list[str] | None]:
        """By table, the columns that are never read; None where nothing of the table is.

        The entity table and what is looked up from it are told by the champion's columns.
        """
        read = self.reads()
        found: dict[str, list[str] | None] = {}
        for name, kind in self.about["kinds"].items():
            if kind == "lookup":
                continue
            if name not in read:
                found[name] = None
                continue
            table = self.spec.tables[name]
            roles = {*table.link.columns, table.time, *read[name]}
            left = [column for column in self.about["columns"][name] if column not in roles]
            if left:
                found[name] = left
        return found

    def readable(self) -> dict[str, dict[str, str]]:
        """By table, what the columns of rows that are sent are read as."""
        return {name: dict(self.types.get(name, {})) for name in self.spec.tables}

    def needed(self, own: Collection[str]) -> list[str]:
        """Columns that a row has to bring: those of these that are its own, not looked up."""
        there = self.about["columns"][self.entities]
        return [name for name in own if name in there]

    def lines(self, name: str, text: str, *, limits: ReadingLimits) -> pa.Table:
        """The lines of a raw log as a table, read as those that were learnt from.

        Raises
        ------
        DataError
            ``not_a_log``: that table was no log; and those of reading.
        """
        options = dict(self.reading.get(name) or {})
        if options.get("log_format") is None:
            raise DataError(
                f"the table {name!r} was no raw log: send its rows as a list of objects",
                code="not_a_log",
                table=name,
                details={"field": f"tables.{name}"},
            )
        if not text.strip():
            return pa.table({})
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "lines"
            source.write_text(text, encoding="utf-8")
            try:
                ingest(
                    source, Path(folder), options=ReadingOptions.from_json(options), limits=limits
                )
            except DataError as error:
                error.table = error.table or name
                raise
            return pq.read_table(Path(folder) / ROWS_FILE)

    def moment(self, sent: str | None, *, asked: str) -> datetime | None:
        """The cut-off of a request where all rows have one: as sent, else as the spec means it.

        Raises
        ------
        DataError
            ``cut_off``: it is no ISO date and time.
        """
        if sent is None:
            return datetime.fromisoformat(asked) if self.spec.cut_off.now == NOW else None
        try:
            found = datetime.fromisoformat(sent)
        except ValueError:
            raise DataError(
                "now: no ISO date and time", code="cut_off", details={"field": "now"}
            ) from None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    def keys(self) -> dict[str, set[str]]:
        """By table, the columns by which it is found or finds another."""
        found: dict[str, set[str]] = {name: set() for name in self.spec.tables}
        for name, one in self.spec.tables.items():
            if one.link.table is not None:
                found[name] |= set(one.link.columns)
                found[one.link.table] |= set(one.link.to)
        return found

    def relations(
        self,
        rows: pa.Table,
        tables: Mapping[str, pa.Table],
        *,
        now: datetime | None,
        own: Collection[str] = (),
        kinds: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Relations:
        """Rows that were sent with their tables, in the order in which they came.

        Parameters
        ----------
        own : columns of the rows that the champion reads, looked-up ones among them
        kinds : by table and key column, whether text or numbers were sent

        Raises
        ------
        DataError
            ``missing_columns``: of a table that came; ``key_type_mismatch``: none of its rows
            finds what it points to, since their keys are of different types.
        """
        # An empty list has no columns either.
        sent = {name: one for name, one in tables.items() if one.num_rows}
        needed = needed_columns(self.spec, self.reads(), own=own, columns=self.about["columns"])
        found = request_relations(self.spec, rows, sent, about=self.about, needed=needed, now=now)
        refuse_strangers(self.spec, found.about["counts"], kinds or {})
        return found

    def told(self, relations: Relations, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
        """What became of the rows of each table: sent, of no row, and not before the cut-off.

        `came.warned` says the same in words, where it is more than a count.
        """
        found: dict[str, Any] = {}
        for name, kind in self.about["kinds"].items():
            one: dict[str, Any] = {"rows": tables[name].num_rows if name in tables else 0}
            if name not in tables:
                one["missing"] = "no rows came: as if nothing had happened"
            elif kind != "lookup":
                events = relations.tables[name]
                one["not_used"] = one["rows"] - events.n_rows
                counts = relations.about["counts"][name]
                one["no_entity"] = counts["orphans"] + counts["unrelated"]
                one["at_or_after_cut_off"] = n_unseen(relations, name)
            found[name] = one
        return found

    def write(self, folder: Path) -> list[str]:
        """Write its files into a champion's folder; returns their names."""
        about = {
            "spec": self.spec.to_json(),
            "about": dict(self.about),
            "made": list(self.made),
            "types": {name: dict(one) for name, one in self.types.items()},
            "reading": {name: dict(one) for name, one in self.reading.items()},
        }
        files = {FEATURIZER: self.featurizer.to_json(), SPEC: about}
        if self.chosen is not None and self.chosen.columns != self.featurizer.columns:
            files[CHOSEN] = self.chosen.to_json()
        for name, value in files.items():
            text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
            (folder / name).write_text(text + "\n", encoding="utf-8")
        return list(files)

    @classmethod
    def read(cls, folder: Path, *, files: Collection[str] = (FEATURIZER, SPEC)) -> Self:
        """Read what `write` wrote, which are these files."""
        about = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        featurizer = Featurizer.from_json(json.loads((folder / FEATURIZER).read_text("utf-8")))
        chosen = None
        if CHOSEN in files:
            chosen = Featurizer.from_json(json.loads((folder / CHOSEN).read_text("utf-8")))
        return cls(
            spec=Spec.from_json(about["spec"]),
            about=about["about"],
            featurizer=featurizer,
            chosen=chosen,
            made=tuple(about["made"]),
            types=about["types"],
            reading=about["reading"],
        )
