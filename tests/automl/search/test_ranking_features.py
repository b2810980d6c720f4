"""Without labels each table gives what counts and tells, and nothing that has to be tried."""

import numpy as np
import pyarrow as pa

from automl.relations.assembling import assemble
from automl.relations.spec import Spec
from automl.search.ranking_features import LEFT, usual_features, usual_groups

N = 60
TIMES = np.tile(np.arange(4.0), N)
IDS = np.repeat(np.arange(N), 4)


def events(**columns) -> pa.Table:
    return pa.table({"id": IDS, "t": TIMES, **columns})


def made():
    rng = np.random.default_rng(0)
    about = {"key": "id", "to": "people", "time": "t", "time_format": "number"}
    spec = Spec.from_json(
        {
            "tables": {
                "people": {"role": "entities"},
                "paid": {"role": "events", **about},
                "seen": {"role": "events", **about},
                "said": {"role": "log", "message": "text", **about},
            },
            "key": "id",
        }
    )
    words = np.array(["opened a file", "closed a file", "failed to open"])
    return assemble(
        spec,
        {
            "people": pa.table({"id": np.arange(N), "age": rng.integers(20, 60, N)}),
            "paid": events(amount=rng.normal(size=len(IDS)), kind=words[rng.integers(0, 2, 240)]),
            "seen": events(place=words[rng.integers(0, 3, len(IDS))]),
            "said": events(text=words[rng.integers(0, 3, len(IDS))]),
        },
    ).relations


def test_the_first_telling_kind_of_each_table_and_how_often_it_happened():
    assert sorted(usual_groups(made())) == [
        "paid.aggregates",
        "paid.recency",
        "said.recency",
        "said.templates",
        "seen.categories",
        "seen.recency",
    ]


def test_what_is_left_and_what_is_the_same_for_all_is_told():
    relations = made()
    found = usual_features(relations, seed=0)
    told = {one.name: one for one in found.decisions}
    assert (told["paid.categories"].kept, told["paid.categories"].why) == (False, LEFT)
    assert told["paid.aggregates"].n_columns == sum(
        str(name).startswith("paid.") and "amount" in str(name) for name in found.columns
    )
    assert all(one.score is None for one in found.decisions), "nothing was tried"
    assert list(found.columns) == found.featurizer.columns
    again = found.featurizer.transform(relations)
    assert again.to_numpy().tobytes() == found.columns.to_numpy().tobytes()


def test_points_of_a_series_are_held_against_those_before_them():
    windows = {"table": "sensor", "length": 1, "step": 1}
    spec = {
        "tables": {"sensor": {"role": "series", "key": "id", "time": "t", "time_format": "number"}},
        "windows": windows,
    }
    rows = events(x=np.random.default_rng(1).normal(size=len(IDS)))
    points = assemble(Spec.from_json(spec), {"sensor": rows}).relations
    assert usual_groups(points) == ["sensor.rolling"]
    longer = {**spec, "windows": {**windows, "length": 3}}
    stretches = assemble(Spec.from_json(longer), {"sensor": rows}).relations
    assert usual_groups(stretches) == ["sensor.recency", "sensor.aggregates"]
