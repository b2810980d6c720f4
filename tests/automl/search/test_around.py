"""What a champion computes of the tables around its rows: kept in files, trimmed, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from automl.data.options import ReadingLimits
from automl.errors import DataError
from automl.features.featurizer import Featurizer
from automl.relations.assembling import assemble
from automl.relations.spec import Spec
from automl.relations.tables import Relations
from automl.search.around import Around

N = 60
SPEC = {
    "key": "id",
    "cut_off": {"now": "2024-02-01"},
    "tables": {
        "people": {"role": "entities"},
        "visits": {"role": "events", "key": "id", "to": "people", "time": "at"},
        "calls": {"role": "events", "key": "who", "to": "people.id", "time": "at"},
    },
}


def tables() -> dict[str, pa.Table]:
    rng = np.random.default_rng(0)
    day = np.datetime64("2024-01-01", "us")

    def times(n: int) -> pa.Array:
        at = day + rng.integers(0, 40 * 86_400, n) * np.timedelta64(1, "s")
        return pa.array(at).cast(pa.timestamp("us", "UTC"))

    return {
        "people": pa.table({"id": np.arange(N), "age": rng.integers(20, 70, N)}),
        "visits": pa.table(
            {"id": rng.integers(0, N, 400), "at": times(400), "spent": rng.gamma(2.0, 5.0, 400)}
        ),
        "calls": pa.table(
            {"who": rng.integers(0, N, 300), "at": times(300), "minutes": rng.gamma(2.0, 5.0, 300)}
        ),
    }


@pytest.fixture(scope="module")
def made() -> tuple[Relations, Around]:
    whole = assemble(Spec.from_json(SPEC), tables())
    featurizer = Featurizer.fit(
        whole.relations, groups=["visits.aggregates", "calls.recency"], seed=0
    )
    around = Around(
        spec=whole.spec,
        about=whole.relations.about,
        featurizer=featurizer,
        made=tuple(featurizer.columns),
        types={"visits": {"id": "integer", "at": "timestamp", "spent": "number"}},
        reading={"visits": {}, "calls": {"log_format": "key_message"}},
    )
    return whole.relations, around


def test_columns_that_no_model_uses_are_unknown_and_their_tables_not_read(
    made: tuple[Relations, Around],
) -> None:
    relations, around = made
    whole = around.columns(relations)
    some = [name for name in around.made if name.startswith("visits.")][:2]
    less = around.using(some)
    found = less.columns(relations)
    assert list(found.columns) == list(around.made)
    assert less.reads() == {"visits": ["spent"]}
    for name in around.made:
        if name in some:
            assert found[name].to_numpy().tobytes() == whole[name].to_numpy().tobytes()
        else:
            assert found[name].isna().all()
    without = {name: one for name, one in relations.tables.items() if name == "visits"}
    trimmed = Relations(
        rows=relations.rows,
        subjects={"visits": relations.subjects["visits"]},
        cut_off=relations.cut_off,
        tables=without,
        gap=relations.gap,
    )
    assert less.columns(trimmed).equals(found), "the other table is needed no more"


def test_what_is_not_read_is_told(made: tuple[Relations, Around]) -> None:
    _, around = made
    assert around.not_read() == {"calls": ["minutes"]}
    only_calls = around.using([one for one in around.made if one.startswith("calls.")])
    assert only_calls.not_read() == {"visits": None, "calls": ["minutes"]}
    assert around.using([]).not_read() == {"visits": None, "calls": None}


def test_it_comes_back_from_its_files(made: tuple[Relations, Around], tmp_path: Path) -> None:
    relations, around = made
    assert sorted(around.write(tmp_path)) == ["featurizer.json", "spec.json"]
    again = Around.read(tmp_path)
    assert (again.spec, again.made, again.reading) == (around.spec, around.made, around.reading)
    assert again.columns(relations).equals(around.columns(relations))


def test_rows_that_are_sent_get_what_they_had_in_the_whole(made: tuple[Relations, Around]) -> None:
    relations, around = made
    whole, sent = around.columns(relations), tables()
    ids = [7, 3, 41]
    order = assemble(Spec.from_json(SPEC), sent).table["id"].to_pylist()
    rows = sent["people"].take(pa.array(ids))
    events = {name: one for name, one in sent.items() if name != "people"}
    asked = around.relations(rows, events, now=None)
    found = around.columns(asked)
    for at, one in enumerate(ids):
        expected = whole.iloc[order.index(one)].to_numpy()
        assert found.iloc[at].to_numpy().tobytes() == expected.tobytes()
    told = around.told(asked, events)
    known = [one for one in sent["visits"]["id"].to_pylist() if one in ids]
    assert told["visits"]["not_used"] == 400 - len(known)
    cut_off = np.datetime64("2024-02-01", "us")
    late = [
        one
        for one, at in zip(
            sent["visits"]["id"].to_pylist(), sent["visits"]["at"].to_numpy(), strict=True
        )
        if one in ids and at >= cut_off
    ]
    assert told["visits"]["at_or_after_cut_off"] == len(late) > 0


def test_a_table_that_did_not_come_is_as_one_without_rows(made: tuple[Relations, Around]) -> None:
    _, around = made
    rows, empty = tables()["people"].slice(0, 4), {"visits": pa.table({}), "calls": pa.table({})}
    nothing, none = around.relations(rows, {}, now=None), around.relations(rows, empty, now=None)
    assert around.columns(nothing).equals(around.columns(none))
    assert "missing" in around.told(nothing, {})["visits"]
    assert "missing" not in around.told(none, empty)["visits"]


def test_the_moment_of_a_request(made: tuple[Relations, Around]) -> None:
    _, around = made
    asked = "2026-05-01T12:00:00+00:00"
    assert around.moment(None, asked=asked) is None, "the spec has its own"
    sent = around.moment("2025-01-01", asked=asked)
    assert sent is not None
    assert sent.isoformat() == "2025-01-01T00:00:00+00:00"
    changes: dict[str, Any] = {**SPEC, "cut_off": {"now": "now"}}
    with_clock = Around(
        spec=Spec.from_json(changes),
        about=around.about,
        featurizer=around.featurizer,
        made=around.made,
    )
    moment = with_clock.moment(None, asked=asked)
    assert moment is not None
    assert moment.isoformat() == asked
    with pytest.raises(DataError, match="no ISO date"):
        around.moment("tomorrow", asked=asked)


def test_lines_are_for_tables_that_were_logs(made: tuple[Relations, Around]) -> None:
    _, around = made
    found = around.lines("calls", "17 asked for a form\n18 hung up\n", limits=ReadingLimits())
    assert found["message"].to_pylist() == ["asked for a form", "hung up"]
    assert around.lines("calls", " \n", limits=ReadingLimits()).num_rows == 0
    with pytest.raises(DataError) as refused:
        around.lines("visits", "17 came", limits=ReadingLimits())
    assert refused.value.code == "not_a_log"
    with pytest.raises(DataError) as unread:
        around.lines("calls", "\x00", limits=ReadingLimits())
    assert unread.value.table == "calls"
