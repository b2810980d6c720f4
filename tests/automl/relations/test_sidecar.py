"""Files that stay where they are give the same rows as memory, of the entities looked for."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.errors import DataError
from automl.relations.assembling import Assembled, assemble
from automl.relations.sampled import first_and_positive
from automl.relations.spec import Spec
from automl.relations.stored import Stored
from automl.relations.storing import store
from tests.automl.relations.test_stored import assert_same, only
from tests.automl.relations.test_storing import N_PEOPLE, SPEC, as_files, tables

WITHOUT_LOOKUP: dict = {**SPEC, "tables": {**SPEC["tables"]}}  # type: ignore[dict-item]
del WITHOUT_LOOKUP["tables"]["branch"]
FIRST = 12


def registered(
    folder: Path, *, kind: str, spec: dict = WITHOUT_LOOKUP
) -> tuple[Stored, Assembled, np.ndarray]:
    given = {name: table for name, table in tables().items() if name in spec["tables"]}
    expected = assemble(Spec.from_json(spec), given)
    sample = first_and_positive([1], n_rows=FIRST)
    home = folder / "relations"
    store(Spec.from_json(spec), as_files(given, folder, kind=kind), home, sample=sample)
    return Stored(home), expected, sample(expected)


def test_the_first_rows_and_the_positives_are_looked_for(tmp_path):
    _, expected, sample = registered(tmp_path, kind="parquet")
    bad = np.array(expected.target.to_pylist()) == 1
    assert sample.tolist() == np.flatnonzero(bad | (np.arange(N_PEOPLE) < FIRST)).tolist()


@pytest.mark.parametrize("levels", [("no", "yes"), ("a", "b", "c"), (False, True)])
def test_where_no_value_is_said_to_be_positive_all_but_the_most_frequent_may_be(levels):
    n = 60
    target = pa.array([None if i == 1 else levels[min(i % 7, len(levels) - 1)] for i in range(n)])
    common = Counter(target.drop_null().to_pylist()).most_common(1)[0][0]
    done = SimpleNamespace(relations=SimpleNamespace(n_rows=n), target=target)
    rare = [i for i, one in enumerate(target.to_pylist()) if one not in (None, common)]
    assert 0 < len(rare) < n - 1
    chosen = first_and_positive([], n_rows=4)(done).tolist()
    assert chosen == sorted({0, 1, 2, 3, *rare})
    assert first_and_positive([common], n_rows=0)(done).tolist() == [
        i for i, one in enumerate(target.to_pylist()) if one == common
    ]
    done.target = pa.array(range(n))  # each once: nothing to classify
    assert first_and_positive([], n_rows=4)(done).tolist() == [0, 1, 2, 3]
    done.target = pa.array([None] * n, pa.string())
    assert first_and_positive([], n_rows=4)(done).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("spec", [WITHOUT_LOOKUP, SPEC], ids=["plain", "with a lookup"])
def test_rows_in_place_are_those_of_memory(tmp_path, kind, spec):
    reader, expected, sample = registered(tmp_path, kind=kind, spec=spec)
    table = reader.layout.tables["moves"]
    assert table.is_index == (kind == "parquet" and spec is not SPEC)
    assert len(table.sources) == 3
    for chosen in (sample, sample[[5, 0]], np.array([3])):
        found = reader.relations(chosen)
        for name in ("moves", "swipes", "weather"):
            theirs = expected.relations.tables[name]
            subjects = expected.relations.subjects[name][chosen]
            assert found.subjects[name].tolist() == subjects.tolist()
            assert_same(found.tables[name], only(theirs, subjects))
    kept = reader.keep(sample, tmp_path / "kept", columns={"moves": ["kind"]})
    moves = kept.relations(sample, columns={"moves": ["kind"]}).tables["moves"]
    theirs = only(expected.relations.tables["moves"], sample)
    assert_same(moves, replace(theirs, columns=theirs.columns.select(["kind"])))


def test_only_row_groups_with_such_rows_and_columns_are_read(tmp_path):
    reader, *_ = registered(tmp_path, kind="parquet")
    reader.relations(np.array([0]), columns={"moves": ["kind"]})
    little = reader.bytes_read["moves"]
    reader.relations(np.arange(FIRST), columns={"moves": ["kind", "amount", "branch"]})
    assert 0 < little < reader.bytes_read["moves"] - little


def test_rows_of_others_are_refused(tmp_path):
    reader, _, sample = registered(tmp_path, kind="parquet")
    other = np.setdiff1d(np.arange(N_PEOPLE), sample)[:1]
    with pytest.raises(DataError) as caught:
        reader.relations(other)
    assert caught.value.code == "not_indexed"


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("change", ["touched", "rewritten", "gone"])
def test_a_file_that_changed_is_named(tmp_path, kind, change):
    reader, _, sample = registered(tmp_path, kind=kind)
    path = tmp_path / "moves" / f"1.{kind}"
    if change == "touched":
        os.utime(path, ns=(1, 1))
    elif change == "rewritten":
        pq.write_table(pa.table({"x": [1]}), path)
    else:
        path.unlink()
    with pytest.raises(DataError) as caught:
        reader.relations(sample)
    assert caught.value.code == "source_changed"
    assert caught.value.details == {"file": path.name}
