from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from automl.features.categories import Categories, FittedCategories, find_levels, labels_of
from tests.automl.features.making import compare, event_table, random_relations, relations, visible

DAY = 86_400.0


def truth(made, row, windows, column, levels):
    prefix, whole = f"trans.{column}", visible(made, row)
    found: dict[str, float] = {}
    known = whole[whole[column].notna()]
    share = known[column].value_counts(normalize=True)
    share = share[share > 0]
    last = whole[column].iloc[-1] if len(whole) and whole[column].notna().iloc[-1] else None
    raw = whole[column].astype(object).where(whole[column].notna(), "<missing>").to_list()
    changes = [one != other for one, other in zip(raw[1:], raw[:-1], strict=True)]
    for level in levels:
        at = known[known[column] == level]["time"]
        found[f"{prefix}.count[{level}].all"] = len(at)
        found[f"{prefix}.since_last[{level}]"] = (
            (made.cut_off[row] - at.max()) / DAY if len(at) else np.nan
        )
        found[f"{prefix}.last[{level}]"] = float(last == level) if last is not None else np.nan
        for window in windows:
            inside = visible(made, row, window)[column].dropna()
            found[f"{prefix}.share[{level}].{window.name}"] = (
                (inside == level).mean() if len(inside) else np.nan
            )
    found[f"{prefix}.distinct.all"] = known[column].nunique()
    found[f"{prefix}.entropy.all"] = -(share * np.log(share)).sum() if len(known) else np.nan
    found[f"{prefix}.missing.all"] = whole[column].isna().mean() if len(whole) else np.nan
    found[f"{prefix}.changes.all"] = np.mean(changes) if changes else np.nan
    return found


def computed(group, made):
    columns = group.transform(made.tables["trans"], made.spans("trans"))
    return pd.DataFrame(dict(zip(group.columns, columns, strict=True)))


@pytest.mark.parametrize("encoded", [False, True])
def test_levels_are_counted_as_a_plain_loop_counts_them(encoded):
    made = random_relations(n_rows=80)
    table = made.tables["trans"]
    if encoded:
        kind = pa.chunked_array([table.columns["kind"].combine_chunks().dictionary_encode()])
        columns = {name: table.columns[name] for name in table.columns.column_names}
        columns["kind"] = kind
        table = event_table(subject=table.subject, time=table.time, columns=columns)
        made = relations(table, subjects=made.subjects["trans"], cut_off=made.cut_off)
    group = Categories().fit(table, made.spans("trans"), seed=0)
    (of,) = group.levels
    assert (of.column, sorted(of.levels)) == ("kind", ["fee", "in", "out"])
    expected = [truth(made, row, group.windows, "kind", of.levels) for row in range(made.n_rows)]
    compare(computed(group, made), expected)


def _many(n_subjects=60):
    """One event a day each: a level that all have, whole numbers as codes, a name of one's own."""
    at = np.repeat(np.arange(n_subjects), 30)
    day = np.tile(np.arange(30), n_subjects)
    table = event_table(
        subject=at,
        time=day * DAY,
        columns={
            "code": day % 3,
            "serial": np.arange(len(at)),
            "name": [
                f"person {one}" if two % 2 else "shop" for one, two in zip(at, day, strict=True)
            ],
            "id": [f"{one}" for one in range(len(at))],
            "same": ["x"] * len(at),
        },
    )
    return relations(table, subjects=range(n_subjects), cut_off=[30 * DAY] * n_subjects)


def test_what_one_subject_alone_has_is_never_named():
    made = _many()
    levels = {of.column: of for of in find_levels(made.tables["trans"], made.spans("trans"))}
    assert set(levels) == {"code", "name", "id"}
    assert levels["name"].levels == ("shop",)
    assert labels_of(levels["name"]) == ["shop", "other"]
    assert levels["code"].levels == (0, 1, 2)
    assert levels["id"].levels == ()
    group = Categories().fit(made.tables["trans"], made.spans("trans"), seed=0)
    assert "person" not in json.dumps(group.to_json())


def test_the_rest_is_one_level_and_of_very_many_only_the_number_is_known():
    made = _many()
    group = Categories().fit(made.tables["trans"], made.spans("trans"), seed=0)
    found = computed(group, made)
    assert (found["trans.name.share[shop].all"] == 0.5).all()
    assert (found["trans.name.share[other].all"] == 0.5).all()
    assert (found["trans.name.last[other]"] == 1.0).all()
    assert (found["trans.code.count[1].all"] == 10).all()
    assert (found["trans.id.distinct.all"] == 30).all()
    assert (found["trans.id.distinct_share.all"] == 1.0).all()


def test_a_level_that_is_new_after_fitting_is_another():
    made = _many()
    group = Categories().fit(made.tables["trans"], made.spans("trans"), seed=0)
    later = event_table(
        subject=[0, 0],
        time=[0, DAY],
        columns={
            "code": pa.array([7, None]),
            "name": ["elsewhere", "shop"],
            "id": pa.array([None, None], type=pa.string()),
        },
    )
    found = computed(group, relations(later, subjects=[0, 5], cut_off=[2 * DAY] * 2))
    assert found["trans.name.share[other].all"].tolist()[0] == 0.5
    assert found["trans.code.share[0].all"].tolist()[0] == 0.0
    assert found["trans.id.distinct.all"].tolist() == [0.0, 0.0]
    assert np.isnan(found["trans.name.share[shop].all"].tolist()[1])
    assert found["trans.name.count[shop].all"].tolist()[1] == 0.0


def test_some_columns_read_only_what_they_need():
    made = _many()
    group = Categories().fit(made.tables["trans"], made.spans("trans"), seed=0)
    some = group.only(["trans.name.last[shop]"])
    assert list(some.reads) == ["name"]
    assert FittedCategories.from_json(json.loads(json.dumps(some.to_json()))) == some
    pd.testing.assert_frame_equal(
        computed(some, made), computed(group, made)[["trans.name.last[shop]"]]
    )


def test_a_table_without_levels_offers_nothing():
    table = event_table(subject=[0, 0], time=[0, 1], columns={"x": [0.5, 2.0]})
    spans = relations(table, subjects=[0], cut_off=[5.0]).spans("trans")
    assert Categories().fit(table, spans, seed=0) is None
