"""The last value against earlier ones: a plain loop, strictly the past, bytes of one or many."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.features.rolling import FittedRolling, Rolling
from automl.features.seasons import Season
from automl.relations.tables import EventTable, Floats
from tests.automl.features.series import HOUR, check_alone, points, walks


def plain(past: Floats, what: str, window: int, season: int) -> float:
    """By the definition, of the known values up to and with the last."""
    if not len(past):
        return np.nan
    last, before = past[-1], past[:-1][-window:] if window else past[:-1]
    if what == "last":
        return last
    if what == "mean":
        return before.mean() if len(before) else np.nan
    if what.startswith("season"):
        changes = past[season:] - past[:-season] if len(past) > season else np.array([])
        if not len(changes) or what == "seasonal":
            return changes[-1] if len(changes) else np.nan
        before = changes[:-1][-window:]
        # Only those of the last rows, as they lie `window` rows back.
        return (changes[-1] - before.mean()) / before.std() if len(before) >= 2 else np.nan
    if what == "shift":
        recent = min(8, window // 4)
        old = past[-window - 1 : -recent]
        return (past[-recent:].mean() - old.mean()) / old.std() if len(old) >= 2 else np.nan
    if len(before) < 2:
        return np.nan
    if what == "std":
        return before.std()
    if what == "z":
        return (last - before.mean()) / before.std()
    if what == "robust":
        away = np.abs(before - np.median(before))
        spread = 1.4826 * np.median(away) or 1.2533 * away.mean()
        return (last - np.median(before)) / spread
    if what == "jump":
        return (last - before[-1]) / (1.4826 * np.median(np.abs(np.diff(before))))
    assert what == "ewma"
    weights = (1 - 2 / 17) ** np.arange(len(before))[::-1]
    centre = np.average(before, weights=weights)
    return (last - centre) / np.sqrt(np.average((before - centre) ** 2, weights=weights))


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_every_feature_against_a_plain_loop(gaps):
    series = walks(0, [200, 5, 1, 90])
    relations = points(series, gaps=gaps)
    table, spans = relations.tables["t"], relations.spans("t")
    fitted = Rolling(windows=(4, 16, 64)).fit(table, spans, seed=0)
    assert fitted.seasons["x"].length == pytest.approx(24 * HOUR)
    found = fitted.transform(table, spans)
    values = np.asarray(table.columns["x"].to_numpy())
    for feature, column in zip(fitted.features, found, strict=True):
        seasonal = feature.what.startswith("season")
        if seasonal and gaps:  # a season is so long in time, not in known rows
            continue
        for at, (start, end) in enumerate(zip(spans.start, spans.end, strict=True)):
            past = values[start:end][~np.isnan(values[start:end])]
            with np.errstate(all="ignore"):
                wanted = plain(past, feature.what, feature.window, 24)
            if feature.what in ("last", "mean", "std", "seasonal"):
                assert column[at] == pytest.approx(wanted, rel=1e-5, abs=1e-5, nan_ok=True)
            else:
                clipped = np.clip(wanted, -100, 100)
                assert column[at] == pytest.approx(clipped, rel=1e-4, abs=1e-4, nan_ok=True), (
                    feature,
                    at,
                )


@settings(max_examples=8)
@given(seed=st.integers(0, 100), lengths=st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_a_row_alone_and_among_others_has_the_same_bytes(seed, lengths):
    relations = points(walks(seed, [80, *lengths]), gaps=0.1)
    fitted = Rolling(windows=(4, 16)).fit(relations.tables["t"], relations.spans("t"), seed=0)
    check_alone(fitted, relations, seed=seed)


def test_what_is_at_or_after_the_cut_off_changes_nothing():
    series = walks(1, [150])
    before = points(series)
    changed = points([np.where(np.arange(150) >= 100, 1e9, series[0])])
    fitted = Rolling(windows=(8,)).fit(before.tables["t"], before.spans("t"), seed=0)
    some = np.arange(100)
    for one, other in zip(
        fitted.transform(before.tables["t"], before.take(some).spans("t")),
        fitted.transform(changed.tables["t"], changed.take(some).spans("t")),
        strict=True,
    ):
        assert one.tobytes() == other.tobytes()


def test_json_and_some_of_the_columns_give_the_same_bytes():
    relations = points(walks(2, [120, 40]))
    table, spans = relations.tables["t"], relations.spans("t")
    fitted = Rolling().fit(table, spans, seed=0)
    again = FittedRolling.from_json(json.loads(json.dumps(fitted.to_json())))
    kept = ["t.x.z8", "t.x.seasonal_z32", "t.x.ewma32"]
    some = again.only(kept)
    assert [name for name in fitted.columns if name in kept] == some.columns
    whole = dict(zip(fitted.columns, fitted.transform(table, spans), strict=True))
    for name, column in zip(some.columns, some.transform(table, spans), strict=True):
        assert column.tobytes() == whole[name].tobytes()
    assert again.only(["t.x.z8"]).seasons == {}


def test_columns_that_never_change_are_left_out_and_truth_values_get_means_only():
    relations = points(walks(3, [50]))
    table = relations.tables["t"]
    columns = pa.table(
        {"flat": np.ones(50), "on": np.arange(50) % 7 == 0, "word": pa.array(["a"] * 50)}
    )
    table = EventTable(
        name="t", role="series", subject=table.subject, time=table.time, columns=columns
    )
    fitted = Rolling(windows=(4,)).fit(table, relations.spans("t"), seed=0)
    assert fitted.columns == ["t.on.last", "t.on.mean4"]
    assert (
        Rolling().fit(
            EventTable(
                name="t",
                role="series",
                subject=table.subject,
                time=table.time,
                columns=columns.select(["flat", "word"]),
            ),
            relations.spans("t"),
            seed=0,
        )
        is None
    )


def test_a_season_is_found_without_a_calendar_and_none_in_noise():
    rng = np.random.default_rng(4)
    wave = [np.sin(np.arange(300) / 17 * 2 * np.pi) + rng.normal(0, 0.2, 300) for _ in range(4)]
    relations = points(wave, step=1.0)
    fitted = Rolling().fit(relations.tables["t"], relations.spans("t"), seed=0)
    assert fitted.seasons["x"] == Season(length=17.0, tolerance=0.5)
    noise = points([rng.normal(size=300) for _ in range(4)], step=1.0)
    assert not Rolling().fit(noise.tables["t"], noise.spans("t"), seed=0).seasons
