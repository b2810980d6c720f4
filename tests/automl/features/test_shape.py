"""Shapes against the values that the published program gives, and loops over the definitions."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.features.characteristics import CHARACTERISTICS, Series
from automl.features.shape import FittedShape, Shape
from tests.automl.features.series import check_alone, features, last_points, points, walks

# Of the series below, by the paper's own program (release 0.4.5).
PUBLISHED = {
    "mode5": 0.737519,
    "mode10": 0.56362,
    "acf_1e": 5.683847,
    "acf_minimum": 16,
    "low_power": 0.923153,
    "centroid": 0.19635,
    "error3": 0.50739,
    "residual_ratio": 0.125,
    "pnn40": 0.966387,
    "motif_entropy": 1.714137,
    "mutual_information": 0.569992,
    "asymmetry": 0.002904,
    "mutual_minimum": 7,
    "transitions": 0.015306,
}
# That program counts one less or more in runs, by where they lie; ours are the runs' lengths.
RUNS = {"above_run": 18, "falling_run": 8}


def wave() -> np.ndarray:
    at = np.arange(120)
    return np.round(10 * np.sin(at / 5) + 3 * np.cos(at * at / 7) + at / 40, 3)


def run(hits: np.ndarray) -> int:
    longest = now = 0
    for hit in hits:
        now = now + 1 if hit else 0
        longest = max(longest, now)
    return longest


def test_characteristics_are_those_of_the_published_program():
    series = Series.standardised(np.stack([wave(), wave()[::-1].copy()]))
    found = {name: float(of(series)[0]) for name, of in CHARACTERISTICS.items()}
    assert found | PUBLISHED == pytest.approx(found, abs=2e-6)
    assert set(found) == set(PUBLISHED) | set(RUNS)
    x = wave()
    assert found["above_run"] == run(x > x.mean())
    assert found["falling_run"] == run(np.diff(x) < 0)


def test_only_the_last_values_count_whatever_their_level_and_gaps():
    x = wave()
    fitted = FittedShape(table="t", features=[("x", "acf_1e"), ("x", "mean")], most_values=120)
    found = features(fitted, last_points([np.concatenate([np.full(40, 9e9), x]), 5 * x + 7]))
    assert found["t.x.acf_1e"] == pytest.approx([PUBLISHED["acf_1e"]] * 2, abs=1e-5)
    assert found["t.x.mean"] == pytest.approx([x.mean(), 5 * x.mean() + 7])
    gaps = np.insert(x, [3, 50, 51], np.nan)
    again = features(fitted, last_points([gaps]))
    assert again["t.x.acf_1e"][0] == found["t.x.acf_1e"][0]


def test_short_and_constant_series_have_no_shape():
    relations = last_points([wave(), np.arange(7.0), np.full(50, 3.3), np.full(12, 1e-300)])
    fitted = Shape().fit(relations.tables["t"], relations.spans("t"), seed=0)
    found = features(fitted, relations)
    assert np.isnan(found["t.x.pnn40"]).tolist() == [False, True, True, True]
    assert found["t.x.mean"][2] == np.float32(3.3)
    assert np.isnan(found["t.x.mean"][1])


@settings(max_examples=6)
@given(seed=st.integers(0, 100), lengths=st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_a_row_alone_and_among_others_has_the_same_bytes(seed, lengths):
    relations = points(walks(seed, [80, *lengths, 30]), gaps=0.1)
    fitted = Shape(most_values=40).fit(relations.tables["t"], relations.spans("t"), seed=0)
    check_alone(fitted, relations, seed=seed)


def test_json_and_some_of_the_columns_give_the_same_bytes():
    relations = points(walks(2, [120, 40]))
    fitted = Shape().fit(relations.tables["t"], relations.spans("t"), seed=0)
    again = FittedShape.from_json(json.loads(json.dumps(fitted.to_json())))
    some = again.only(["t.x.mode5", "t.x.transitions"])
    assert some.columns == ["t.x.mode5", "t.x.transitions"]
    whole = features(fitted, relations)
    for name, column in features(some, relations).items():
        assert column.tobytes() == whole[name].tobytes()
    flat = last_points([np.full(50, 1.0), np.tile([0.0, 1.0], 25)])
    assert Shape().fit(flat.tables["t"], flat.spans("t"), seed=0) is None
