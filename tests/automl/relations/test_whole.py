"""Tables in place, written out for everybody, are the tables that memory holds."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl.errors import DataError
from automl.relations import whole
from automl.relations.spec import Spec
from automl.relations.stored import Stored
from automl.relations.whole import looked_for, not_for_all, not_looked_for, written_out
from tests.automl.relations.test_sidecar import WITHOUT_LOOKUP, registered
from tests.automl.relations.test_stored import assert_same, only
from tests.automl.relations.test_storing import N_PEOPLE, SPEC, tables

READ = {"moves": ["kind"], "swipes": ["euros"], "weather": ["rain"]}


def given(folder: Path, spec: dict) -> dict:
    """What the tables were put together from: two folders of files, the others in memory."""
    short = {name: table for name, table in tables().items() if name in spec["tables"]}
    return short | {name: folder / name for name in ("moves", "swipes")}


def out(folder: Path, stored: Stored, spec: dict = WITHOUT_LOOKUP) -> Stored:
    made_of = given(folder, spec)
    return written_out(stored, Spec.from_json(spec), made_of, folder / "out", columns=READ)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("spec", [WITHOUT_LOOKUP, SPEC], ids=["plain", "with a lookup"])
def test_everybody_gets_what_memory_has(tmp_path, kind, spec):
    stored, expected, sample = registered(tmp_path, kind=kind, spec=spec)
    assert len(sample) < N_PEOPLE
    assert not_for_all(stored, list(READ)) == ["moves", "swipes"]
    shutil.copy(tmp_path / "moves" / f"0.{kind}", tmp_path / "moves" / f"new.{kind}")  # came later
    found = out(tmp_path, stored, spec)
    assert not not_for_all(found, list(READ))
    for block, relations in found.blocks(7, columns=READ):
        for name, columns in READ.items():
            theirs = expected.relations.tables[name]
            subjects = expected.relations.subjects[name][block]
            at = np.flatnonzero(np.isin(theirs.subject, subjects))
            mine = replace(
                theirs,
                subject=theirs.subject[at],
                time=theirs.time[at],
                columns=theirs.columns.take(at).select(columns),
            )
            assert relations.subjects[name].tolist() == subjects.tolist()
            assert_same(relations.tables[name], mine)
        assert relations.cut_off.tolist() == expected.relations.cut_off[block].tolist()
    assert found.layout.tables["moves"].columns == ("kind",)
    assert found.bytes_read["moves"] >= stored.layout.tables["moves"].bytes_before


def test_where_all_are_there_nothing_is_written_out_unless_an_index_is_asked_often(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tests.automl.relations.test_sidecar.FIRST", N_PEOPLE)
    stored, *_ = registered(tmp_path, kind="parquet")
    # Only people without a move, or none of whom is wanted, have no rows.
    names = [name for name in READ if stored.layout.tables[name].is_partial]
    short = not_for_all(stored, names)
    monkeypatch.setattr(whole, "MOST_BLOCKS", 0)
    assert set(not_for_all(stored, names)) == {*short, *names}


@pytest.mark.parametrize("change", ["touched", "gone"])
def test_a_file_that_changed_is_named(tmp_path, change):
    stored, *_ = registered(tmp_path, kind="parquet")
    path = tmp_path / "moves" / "1.parquet"
    if change == "touched":
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()
    with pytest.raises(DataError) as caught:
        out(tmp_path, stored)
    assert (caught.value.code, caught.value.details["file"]) == ("source_changed", "1.parquet")


def test_other_entities_are_refused(tmp_path):
    stored, *_ = registered(tmp_path, kind="parquet")
    made_of = given(tmp_path, WITHOUT_LOOKUP)
    made_of["people"] = made_of["people"].slice(1)
    spec = Spec.from_json(WITHOUT_LOOKUP)
    spec = replace(spec, tables={**spec.tables})
    with pytest.raises(DataError) as caught:
        written_out(stored, spec, made_of, tmp_path / "out", columns=READ)
    assert caught.value.code == "source_changed"


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("spec", [WITHOUT_LOOKUP, SPEC], ids=["plain", "with a lookup"])
def test_others_are_looked_for_beside_those_that_were(tmp_path, kind, spec):
    stored, expected, sample = registered(tmp_path, kind=kind, spec=spec)
    others = np.setdiff1d(np.arange(N_PEOPLE), sample)[-3:]
    assert not_looked_for(stored, sample) == []
    assert not_looked_for(stored, others) == ["moves", "swipes"]
    shutil.copy(tmp_path / "moves" / f"0.{kind}", tmp_path / "moves" / f"new.{kind}")  # came later
    made_of = given(tmp_path, spec)
    home = tmp_path / "more"
    found = looked_for(stored, Spec.from_json(spec), made_of, home, positions=others)
    assert not_looked_for(found, np.append(sample, others)) == []
    assert found.layout.tables["moves"].is_index == stored.layout.tables["moves"].is_index
    for chosen in (others, sample, np.append(sample[:2], others)):
        relations = found.relations(chosen)
        for name in ("moves", "swipes", "weather"):
            theirs = expected.relations.tables[name]
            subjects = expected.relations.subjects[name][chosen]
            assert relations.subjects[name].tolist() == subjects.tolist()
            assert_same(relations.tables[name], only(theirs, subjects))
    with pytest.raises(DataError) as caught:
        found.relations(np.setdiff1d(np.arange(N_PEOPLE), np.append(sample, others))[:1])
    assert caught.value.code == "not_indexed"
