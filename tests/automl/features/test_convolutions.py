"""Convolutions against a plain loop over places and weights, padding, and bytes of one or many."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.features.convolutions import (
    KERNELS,
    Convolution,
    Convolutions,
    FittedConvolutions,
    dilations,
)
from tests.automl.features.series import check_alone, features, last_points, points, walks


def plain(series: np.ndarray, feature: Convolution, length: int) -> float:
    """Share of places above the bias: nine products at each place."""
    series = series[-length:]
    series = np.concatenate([np.full(length - len(series), series[0]), series])
    series = series - series.mean()
    weights = np.full(9, -1.0)
    weights[list(KERNELS[feature.kernel])] = 2.0
    above = []
    for at in range(length):
        places = [at + (tap - 4) * feature.dilation for tap in range(9)]
        within = [0 <= one < length for one in places]
        if not all(within) and not feature.padded:
            continue
        answer = sum(
            w * series[one] for w, one, ok in zip(weights, places, within, strict=True) if ok
        )
        above.append(answer > feature.bias)
    return float(np.mean(above))


@pytest.mark.parametrize("n_features", [40, 300])
def test_every_feature_against_a_plain_loop(n_features):
    rng = np.random.default_rng(0)
    # Multiples of 1/8 with a mean that is one as well: sums are exact in float32.
    series = [rng.integers(-64, 64, n) / 8 for n in (64, 64, 64, 128, 32, 3, 2)]
    relations = last_points(series)
    fitted = Convolutions(n_features=n_features, most_values=64).fit(
        relations.tables["t"], relations.spans("t"), seed=0
    )
    assert fitted.length == 64
    assert len(fitted.features) == (40 if n_features == 40 else 252)
    found = features(fitted, relations)
    for feature in fitted.features:
        wanted = [plain(one, feature, 64) for one in series[:-1]]
        got = found[f"t.{feature.name}"]
        # Rounding of the mean may move one place across the bias.
        assert np.abs(got[:-1] - wanted).max() <= 1 / 64 + 1e-6
        assert np.mean(np.abs(got[:-1] - wanted) > 1e-6) <= 0.2
        assert np.isnan(got[-1])


def test_kernels_are_84_and_add_up_to_nothing():
    assert len(set(KERNELS)) == 84
    level = last_points([np.full(50, 7.0), *walks(0, [60])])
    fitted = Convolutions().fit(level.tables["t"], level.spans("t"), seed=0)
    for feature, column in zip(
        fitted.features, fitted.transform(level.tables["t"], level.spans("t")), strict=True
    ):
        assert column[0] == (1.0 if feature.bias < 0 else 0.0)


def test_dilations_reach_to_the_ends_and_features_add_up():
    for length in (9, 20, 100, 256):
        for per_kernel in (1, 3, 6, 40):
            found = dilations(length, per_kernel)
            assert sum(n for _, n in found) == per_kernel
            assert max(d for d, _ in found) * 8 < length


@settings(max_examples=6)
@given(seed=st.integers(0, 100), lengths=st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_a_row_alone_and_among_others_has_the_same_bytes(seed, lengths):
    relations = points(walks(seed, [80, *lengths]), gaps=0.1)
    fitted = Convolutions(n_features=100).fit(
        relations.tables["t"], relations.spans("t"), seed=seed
    )
    check_alone(fitted, relations, seed=seed)


def test_json_and_some_of_the_columns_give_the_same_bytes_and_seeds_repeat():
    relations = points(walks(2, [120, 40]))
    table, spans = relations.tables["t"], relations.spans("t")
    fitted = Convolutions(n_features=90).fit(table, spans, seed=3)
    assert Convolutions(n_features=90).fit(table, spans, seed=3) == fitted
    again = FittedConvolutions.from_json(json.loads(json.dumps(fitted.to_json())))
    some = again.only(["t.x.ppv3", "t.x.ppv77"])
    assert some.columns == ["t.x.ppv3", "t.x.ppv77"]
    whole = features(fitted, relations)
    for name, column in features(some, relations).items():
        assert column.tobytes() == whole[name].tobytes()


def test_series_that_are_too_short_or_flat_offer_nothing():
    short = last_points([np.arange(8.0), np.arange(5.0)])
    assert Convolutions().fit(short.tables["t"], short.spans("t"), seed=0) is None
    flat = last_points([np.tile([0.0, 1.0], 25)])
    assert Convolutions().fit(flat.tables["t"], flat.spans("t"), seed=0) is None
    huge = last_points([np.array([1e15, -1e15, 3.0] * 10)])
    fitted = Convolutions(n_features=12).fit(huge.tables["t"], huge.spans("t"), seed=0)
    assert all(np.isfinite(one).all() for one in features(fitted, huge).values())
