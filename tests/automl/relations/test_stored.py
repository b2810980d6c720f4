"""What is read from buckets on disk is what sorting everything in memory gives."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.relations import buckets, spill
from automl.relations.buckets import write_table
from automl.relations.entities import write_entities
from automl.relations.events import EventRows, in_order
from automl.relations.layout import Layout, TableLayout
from automl.relations.spec import TableSpec
from automl.relations.spill import Rows
from automl.relations.stored import Stored
from automl.relations.tables import EventTable, Relations

N_SUBJECTS = 40
WORDS = ["", "a", "bb", "ccc", "é", None]


def some_rows(n_rows: int, *, seed: int, n_words: int = 6, orphans: bool = True) -> Rows:
    rng = np.random.default_rng(seed)
    words = WORDS if n_words <= len(WORDS) else [f"w{i}" for i in range(n_words)]
    amount = np.round(rng.normal(size=n_rows), 1)
    return Rows(
        subject=rng.integers(-1 if orphans else 0, N_SUBJECTS, n_rows),
        time=rng.integers(0, 4, n_rows).astype(float),
        columns=pa.table(
            {
                "amount": pa.array(amount, mask=rng.random(n_rows) < 0.2),
                "kind": pa.array([words[i] for i in rng.integers(0, len(words), n_rows)]),
                "count": pa.array(rng.integers(-3, 3, n_rows)),
                "seen": pa.array(rng.integers(0, 3, n_rows) * 10**6, pa.timestamp("us", "UTC")),
                "flag": pa.array(rng.random(n_rows) < 0.5),
            }
        ),
    )


def cut(rows: Rows, sizes: int) -> list[Rows]:
    return [
        Rows(
            subject=rows.subject[at : at + sizes],
            time=rows.time[at : at + sizes],
            columns=rows.columns.slice(at, sizes),
        )
        for at in range(0, len(rows.subject), sizes)
    ]


def in_memory(rows: Rows, *, first: int | None = None) -> EventTable:
    """The truth: assembling's own sorting, written apart."""
    known = np.flatnonzero(rows.subject >= 0)
    spec = TableSpec(name="events", role="events", time="at", first=first)
    events = EventRows(
        subject=rows.subject[known],
        time=rows.time[known],
        columns=rows.columns.take(pa.array(known)),
        dated=True,
    )
    return in_order(events, spec)


def only(table: EventTable, subjects: np.ndarray) -> EventTable:
    at = np.flatnonzero(np.isin(table.subject, subjects))
    return replace(
        table,
        subject=table.subject[at],
        time=table.time[at],
        columns=table.columns.take(pa.array(at)),
    )


def assert_same(found: EventTable, expected: EventTable) -> None:
    assert found.subject.tolist() == expected.subject.tolist()
    assert found.time.tolist() == expected.time.tolist()
    assert found.columns.column_names == expected.columns.column_names
    for name in expected.columns.column_names:
        column = found.columns[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        assert column.type == expected.columns[name].type, name
        assert column.to_pylist() == expected.columns[name].to_pylist(), name


def stored(folder: Path, batches: list[Rows], *, n_rows: int, **options: object) -> Stored:
    about = TableLayout(name="events", role="events", n_subjects=N_SUBJECTS, columns=())
    layout = Layout(n_entities=N_SUBJECTS, own=("events",), gap=0.5)
    written = write_table(folder, batches, table=about, expected_rows=n_rows, **options)
    layout.having(written).write(folder)
    cut_off = np.linspace(0.5, 4, N_SUBJECTS)
    write_entities(folder, cut_off=cut_off, subjects={})
    return Stored(folder)


@settings(max_examples=25, deadline=None)
@given(
    n_rows=st.integers(1, 300),
    sizes=st.integers(1, 80),
    bucket_rows=st.integers(1, 400),
    group_rows=st.integers(1, 50),
    first=st.sampled_from([None, 1, 3]),
    n_words=st.sampled_from([6, 30]),
    few=st.sampled_from([2, 1024]),
    most=st.sampled_from([4, 65_536]),
    dealt=st.sampled_from([7, 10_000]),
    too_large=st.sampled_from([0, 4]),
    seed=st.integers(0, 10_000),
)
def test_any_batches_buckets_and_input_order_give_the_rows_that_memory_gives(
    n_rows, sizes, bucket_rows, group_rows, first, n_words, few, most, dealt, too_large, seed
):
    rows = some_rows(n_rows, seed=seed, n_words=n_words)
    expected = in_memory(rows, first=first)
    order = np.random.default_rng(seed).permutation(n_rows)
    shuffled = Rows(
        subject=rows.subject[order],
        time=rows.time[order],
        columns=rows.columns.take(pa.array(order)),
    )
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(spill, "FEW_WORDS", few)
        patch.setattr(spill, "MOST_WORDS", most)
        patch.setattr(spill, "TOO_LARGE", too_large)
        patch.setattr(buckets, "DEALT_ROWS", dealt)
        reader = stored(
            Path(folder),
            cut(shuffled, sizes),
            n_rows=n_rows,
            bucket_rows=bucket_rows,
            group_rows=group_rows,
            first=first,
        )
        everything = reader.relations(N_SUBJECTS)
        assert_same(everything.tables["events"], expected)
        assert everything.subjects["events"].tolist() == list(range(N_SUBJECTS))
        chosen = np.random.default_rng(seed).permutation(N_SUBJECTS)[: 1 + seed % 9]
        some = reader.relations(chosen)
        assert some.subjects["events"].tolist() == chosen.tolist()
        assert_same(some.tables["events"], only(expected, chosen))
        kept = reader.keep(chosen, Path(folder) / "kept")
        assert_same(kept.relations(chosen).tables["events"], only(expected, chosen))
        pieces = [one for _, one in reader.blocks(7)]
        found = np.concatenate([one.tables["events"].subject for one in pieces])
        assert found.tolist() == expected.subject.tolist()


def test_what_a_row_may_see_is_the_same_from_disk_and_from_memory(tmp_path):
    rows = some_rows(500, seed=1, orphans=False)
    reader = stored(tmp_path, cut(rows, 90), n_rows=500, bucket_rows=60, group_rows=16)
    found = reader.relations(np.array([9, 3, 30]))
    everything = in_memory(rows)
    expected = Relations(
        rows=found.rows,
        subjects={"events": np.array([9, 3, 30])},
        cut_off=reader.cut_off(np.array([9, 3, 30])),
        tables={"events": everything},
        gap=reader.layout.gap,
    )
    here, there = found.spans("events"), expected.spans("events")
    assert (here.end - here.start).tolist() == (there.end - there.start).tolist()
    assert here.cut_off.tolist() == there.cut_off.tolist()


def test_only_what_is_asked_for_is_read(tmp_path):
    rows = some_rows(4_000, seed=2)
    reader = stored(tmp_path, [rows], n_rows=4_000, bucket_rows=400, group_rows=50)
    assert len(reader.layout.tables["events"].parts) > 5
    one = reader.relations(1, columns={"events": ["amount"]})
    assert one.tables["events"].columns.column_names == ["amount"]
    little = reader.bytes_read["events"]
    reader.relations(N_SUBJECTS)
    assert little < (reader.bytes_read["events"] - little) / 10
    assert reader.storage()["bytes_read"] == reader.bytes_read["events"]
    nothing = reader.relations(5, columns={})
    assert nothing.tables == {}


def test_what_was_not_kept_is_refused_instead_of_being_empty(tmp_path):
    reader = stored(tmp_path, [some_rows(300, seed=5)], n_rows=300)
    kept = reader.keep(np.array([3, 9]), tmp_path / "kept")
    assert kept.relations(np.array([9])).tables["events"].n_rows > 0
    with pytest.raises(DataError) as caught:
        kept.relations(np.array([9, 10]))
    assert caught.value.code == "not_indexed"


def test_blocks_read_each_row_group_once(tmp_path):
    rows = some_rows(3_000, seed=3)
    reader = stored(tmp_path, [rows], n_rows=3_000, bucket_rows=900, group_rows=64)
    reader.relations(N_SUBJECTS)
    whole = reader.bytes_read["events"]
    again = Stored(tmp_path)
    assert sum(one.n_rows for _, one in again.blocks(1)) == N_SUBJECTS
    assert again.bytes_read["events"] == whole


def test_a_table_without_a_row_of_anybody(tmp_path):
    rows = some_rows(20, seed=4)
    nobody = replace(rows, subject=np.full(20, -1))
    reader = stored(tmp_path, [nobody], n_rows=20)
    assert reader.layout.tables["events"].n_orphans == 20
    found = reader.relations(N_SUBJECTS)
    assert found.tables["events"].n_rows == 0
    assert (found.spans("events").end == 0).all()
