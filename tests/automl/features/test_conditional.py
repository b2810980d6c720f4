from __future__ import annotations

import json

import numpy as np
import pandas as pd

from automl.features.conditional import Conditional, FittedConditional
from tests.automl.features.making import compare, event_table, random_relations, relations, visible


def truth(made, row, windows):
    found = {}
    for window in windows:
        events = visible(made, row, window)
        for name in ("amount", "balance"):
            size = events[name].abs().sum()
            for level in ("in", "out", "fee"):
                values = events.loc[events["kind"] == level, name].dropna()
                end = f"[kind={level}].{window.name}"
                found[f"trans.{name}.sum{end}"] = values.sum()
                found[f"trans.{name}.mean{end}"] = values.mean() if len(values) else np.nan
                found[f"trans.{name}.portion{end}"] = values.sum() / size if size > 0 else np.nan
    return found


def computed(group, made):
    columns = group.transform(made.tables["trans"], made.spans("trans"))
    return pd.DataFrame(dict(zip(group.columns, columns, strict=True)))


def test_numbers_of_each_level_are_those_of_a_plain_loop():
    made = random_relations(n_rows=80)
    group = Conditional().fit(made.tables["trans"], made.spans("trans"), seed=0)
    assert (group.numbers, len(group.windows)) == (("amount", "balance"), 2)
    compare(computed(group, made), [truth(made, row, group.windows) for row in range(made.n_rows)])


def test_some_columns_read_only_what_they_need():
    made = random_relations()
    group = Conditional().fit(made.tables["trans"], made.spans("trans"), seed=0)
    some = group.only(["trans.amount.sum[kind=in].all"])
    assert sorted(some.reads) == ["amount", "kind"]
    assert FittedConditional.from_json(json.loads(json.dumps(some.to_json()))) == some
    pd.testing.assert_frame_equal(computed(some, made), computed(group, made)[some.columns])


def test_numbers_without_levels_and_levels_without_numbers_offer_nothing():
    for columns in ({"x": [0.5, 2.0]}, {"x": ["a", "b"]}):
        table = event_table(subject=[0, 0], time=[0, 1], columns=columns)
        spans = relations(table, subjects=[0], cut_off=[5.0]).spans("trans")
        assert Conditional().fit(table, spans, seed=0) is None
