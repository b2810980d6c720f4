from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.features.featurizer import Featurizer, groups_of
from automl.relations import tables
from automl.relations.tables import EventTable, Relations
from tests.automl.features.making import event_table, random_relations, relations

KINDS = ("recency", "aggregates", "trends", "categories", "conditional")
GROUPS = [f"trans.{kind}" for kind in KINDS]


@pytest.fixture(scope="module")
def made() -> Relations:
    return random_relations(n_rows=120)


@pytest.fixture(scope="module")
def fitted(made) -> Featurizer:
    return Featurizer.fit(made, GROUPS, seed=0)


def _bytes(featurizer: Featurizer, of: Relations) -> bytes:
    return featurizer.transform(of).to_numpy().tobytes()


def _with_events_of(made: Relations, at: np.ndarray) -> Relations:
    """These entity rows, and a table that holds nobody else's events, on new positions."""
    table, subjects = made.tables["trans"], made.subjects["trans"][at]
    there = np.unique(subjects)
    keep = np.isin(table.subject, there)
    small = EventTable(
        name="trans",
        role=table.role,
        subject=np.searchsorted(there, table.subject[keep]),
        time=table.time[keep].copy(),
        columns=pa.Table.from_pylist(
            table.columns.filter(pa.array(keep)).to_pylist(), schema=table.columns.schema
        ),
    )
    return relations(small, subjects=np.searchsorted(there, subjects), cut_off=made.cut_off[at])


@given(st.lists(st.integers(0, 119), min_size=1, max_size=30))
@settings(max_examples=25)
def test_a_row_gets_the_same_bytes_in_any_company(made, fitted, rows):
    at = np.array(rows)
    expected = fitted.transform(made).to_numpy()[at].tobytes()
    assert _bytes(fitted, made.take(at)) == expected
    assert _bytes(fitted, _with_events_of(made, at)) == expected


def test_blocks_do_not_change_a_byte(made, fitted, monkeypatch):
    whole = _bytes(fitted, made)
    for size in (1, 13, 100):
        monkeypatch.setattr("automl.features.segments.blocks.__kwdefaults__", {"size": size})
        assert _bytes(fitted, made) == whole


def test_json_there_and_back_gives_the_same_bytes(made, fitted):
    again = Featurizer.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.columns == fitted.columns
    assert again.reads() == fitted.reads()
    assert _bytes(again, made) == _bytes(fitted, made)


def _ruined_from_cut_off(made: Relations) -> Relations:
    """One row per subject, and every event at or after its cut-off turned into something else."""
    table = made.tables["trans"]
    cut_off = np.full(int(table.subject.max()) + 1, 30 * 86_400.0)
    late = table.time >= cut_off[table.subject]
    amount = np.where(late, 9e9, table.columns["amount"].to_numpy())
    kind = np.where(late, "loot", np.array(table.columns["kind"].to_pylist(), dtype=object))
    columns = table.columns.set_column(0, "amount", pa.array(amount, from_pandas=True))
    columns = columns.set_column(4, "kind", pa.array(kind.tolist(), type=pa.string()))
    time = np.where(late, table.time + 5.0, table.time)
    return relations(
        replace(table, columns=columns, time=time), subjects=range(len(cut_off)), cut_off=cut_off
    )


def test_what_happens_from_the_cut_off_on_changes_nothing(made):
    ruined = _ruined_from_cut_off(made)
    clean = relations(
        made.tables["trans"], subjects=ruined.subjects["trans"], cut_off=ruined.cut_off
    )
    for trained in (clean, ruined):
        featurizer = Featurizer.fit(trained, GROUPS, seed=0)
        assert _bytes(featurizer, clean) == _bytes(featurizer, ruined)
    assert Featurizer.fit(clean, GROUPS, seed=0) == Featurizer.fit(ruined, GROUPS, seed=0)
    assert "loot" not in json.dumps(Featurizer.fit(ruined, GROUPS, seed=0).to_json())


def test_one_leaked_event_is_noticed(made, monkeypatch):
    ruined = _ruined_from_cut_off(made)
    clean = relations(
        made.tables["trans"], subjects=ruined.subjects["trans"], cut_off=ruined.cut_off
    )
    honest = Relations.spans

    def leaking(self, name):
        spans = honest(self, name)
        ends = self.tables[name].ends(self.subjects[name])
        return replace(spans, end=np.minimum(spans.end + 1, ends))

    monkeypatch.setattr(tables.Relations, "spans", leaking)
    featurizer = Featurizer.fit(clean, GROUPS, seed=0)
    assert _bytes(featurizer, clean) != _bytes(featurizer, ruined)


def test_constants_and_twins_are_left_out(made, fitted):
    found = fitted.transform(made)
    assert found.dtypes.eq(np.float32).all()
    assert (found.nunique() > 1).all()
    assert not found.T.duplicated().any()
    assert list(found.columns) == fitted.columns
    assert list(found.index) == list(made.rows.index)


def test_some_features_are_computed_alone_and_nothing_else_is_read(made, fitted):
    some = ["trans.count.all", "trans.amount.mean.all"]
    fewer = fitted.only(some)
    assert fewer.reads() == {"trans": ["amount"]}
    assert len(fewer.groups) == 2
    assert fewer.transform(made).equals(fitted.transform(made)[some])
    table = made.tables["trans"]
    slim = replace(made, tables={"trans": replace(table, columns=table.columns.select(["amount"]))})
    assert fewer.transform(slim).equals(fewer.transform(made))
    assert fitted.only(["trans.count.all"]).reads() == {"trans": []}
    assert fitted.only([]).reads() == {}
    assert fitted.only([]).transform(made).shape == (made.n_rows, 0)


def test_what_is_not_there_is_named(made, fitted):
    with pytest.raises(DataError) as caught:
        Featurizer.fit(made, ["trans.magic"], seed=0)
    assert caught.value.code == "unknown_feature_group"
    with pytest.raises(DataError) as caught:
        fitted.transform(replace(made, tables={}))
    assert caught.value.code == "missing_table"
    table = made.tables["trans"]
    less = replace(table, columns=table.columns.drop_columns(["amount"]))
    with pytest.raises(DataError) as caught:
        fitted.transform(replace(made, tables={"trans": less}))
    assert (caught.value.code, caught.value.column) == ("missing_columns", "amount")
    with pytest.raises(DataError):
        Featurizer.from_json({"version": 99, "groups": []})


def test_cheap_groups_come_first(made):
    offers = groups_of(made)
    assert {offer.name for offer in offers} >= set(GROUPS)
    costs = [offer.expected_seconds for offer in offers]
    assert costs == sorted(costs)
    assert min(costs) > 0
    words = relations(
        event_table(subject=[0], time=[0], columns={"x": ["a"]}), subjects=[0], cut_off=[5.0]
    )
    names = [offer.name for offer in groups_of(words)]
    assert "trans.categories" in names
    assert "trans.aggregates" not in names


def test_fitting_and_computing_at_once_gives_the_same(made, fitted, monkeypatch):
    for looked_at in (20_000, 50):
        monkeypatch.setattr("automl.features.featurizer.LOOKED_AT", looked_at)
        featurizer, found = Featurizer.fit_transform(made, GROUPS, seed=0)
        assert featurizer == Featurizer.fit(made, GROUPS, seed=0)
        assert found.equals(featurizer.transform(made))


def test_a_table_without_times_is_counted_and_summed_up():
    table = event_table(
        subject=[0, 0, 1],
        time=[-np.inf] * 3,
        columns={"x": [1.0, 2.0, 5.0], "kind": ["a", "b", "a"]},
        role="static",
    )
    made = relations(table, subjects=[0, 1, 2], cut_off=[86_400.0] * 3)
    assert "trans.trends" not in [offer.name for offer in groups_of(made)]
    kinds = [f"trans.{kind}" for kind in KINDS if kind != "trends"]
    found = Featurizer.fit(made, kinds, seed=0).transform(made)
    assert found["trans.count.all"].tolist() == [2, 1, 0]
    assert found["trans.x.sum.all"].tolist() == [3, 5, 0]
    assert found["trans.kind.count[a].all"].tolist() == [1, 1, 0]
    assert not [name for name in list(found.columns) if "since" in name or "days" in name]


def test_nobody_with_events_gives_counts_of_zero(fitted, made):
    lonely = made.take(np.flatnonzero(made.subjects["trans"] >= 20)[:2])
    found = fitted.transform(lonely)
    assert (found["trans.count.all"] == 0).all()
    assert (found["trans.amount.sum.all"] == 0).all()
    assert found["trans.amount.mean.all"].isna().all()
