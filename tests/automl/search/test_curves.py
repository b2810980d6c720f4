"""Curves against scikit-learn's and against plain loops over thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from automl.meters.cpu_time import CpuTimeMeter
from automl.search.curves import MOST_MEMBERS, MOST_POINTS, curves, curves_of, reliability
from automl.search.run import search
from tests.automl.search.problems import rare

Floats = npt.NDArray[np.float64]


def sample(
    n_rows: int = 6000, *, seed: int = 0, rate: float = 0.05, digits: int | None = None
) -> tuple[Floats, Floats, Floats]:
    """Labels that come true at their probability, and weights of thinned negatives."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.3, 0.3 / rate, n_rows)
    if digits is not None:
        probability = np.round(probability, digits)
    y = (rng.random(n_rows) < probability).astype(float)
    y[:2] = 0, 1
    return y, probability, np.where(y == 1, 1.0, rng.uniform(1, 4, n_rows))


@pytest.mark.parametrize("digits", [None, 2, 1])
def test_points_are_those_of_scikit_learn(digits: int | None) -> None:
    y, probability, weight = sample(digits=digits)
    precision, recall, threshold = precision_recall_curve(y, probability, sample_weight=weight)
    true = {
        float(f"{t:.7g}"): (r, p) for t, r, p in zip(threshold, recall, precision, strict=False)
    }
    drawn = curves_of(y, probability, weight)["precision_recall"]
    points = list(zip(drawn["threshold"], drawn["recall"], drawn["precision"], strict=True))
    assert len(points) <= MOST_POINTS
    for at, found_recall, found_precision in points:
        assert (found_recall, found_precision) == pytest.approx(true[at], abs=1e-6)
    assert drawn["recall"] == sorted(drawn["recall"])
    assert drawn["recall"][-1] == 1
    # Drawn as steps, what was left out hardly changes the area.
    area = np.sum(np.diff(drawn["recall"], prepend=0) * drawn["precision"])
    expected = average_precision_score(y, probability, sample_weight=weight)
    assert area == pytest.approx(expected, abs=0.01)
    assert curves_of(y, probability, weight)["average_precision"] == pytest.approx(expected)


@pytest.mark.parametrize("digits", [None, 2])
def test_gain_is_what_alerting_finds(digits: int | None) -> None:
    y, probability, weight = sample(digits=digits)
    found = curves_of(y, probability, weight)
    gain = found["gain"]
    assert 20 < len(gain["threshold"]) <= MOST_POINTS
    for at, alerted, recall, lift in zip(*gain.values(), strict=True):
        above = probability >= at * (1 - 1e-6)
        hits = (weight * y)[above].sum()
        assert alerted == pytest.approx(weight[above].sum() / weight.sum(), rel=1e-5)
        assert recall == pytest.approx(hits / (weight * y).sum(), rel=1e-5)
        assert lift == pytest.approx(hits / weight[above].sum() / found["prevalence"], rel=1e-5)
    assert gain["alerted"][-1] == gain["recall"][-1] == gain["lift"][-1] == 1
    assert found["prevalence"] == pytest.approx(np.average(y, weights=weight))
    small = [share for share in gain["alerted"] if share < 0.02]
    assert len(small) > (20 if digits is None else 2), "few alerts are where it matters"


@pytest.mark.parametrize("digits", [None, 2])
def test_bins_hold_every_row_once_and_expect_equally_many_positives(digits: int | None) -> None:
    y, probability, weight = sample(digits=digits)
    bins = reliability(y, probability, weight)
    assert sum(bins["n_rows"]) == len(y)
    assert sum(bins["n_positive"]) == y.sum()
    expected = []
    for i in range(len(bins["low"])):
        low, high = bins["low"][i] * (1 - 1e-6), bins["high"][i] * (1 + 1e-6)
        inside = (probability >= low) & (probability <= high)
        assert bins["n_rows"][i] == inside.sum()
        assert bins["n_positive"][i] == y[inside].sum()
        rate = np.average(y[inside], weights=weight[inside])
        assert bins["observed"][i] == pytest.approx(rate, rel=1e-5)
        mean = np.average(probability[inside], weights=weight[inside])
        assert bins["predicted"][i] == pytest.approx(mean, rel=1e-5)
        assert bins["observed_low"][i] <= rate <= bins["observed_high"][i]
        expected.append((weight * probability)[inside].sum())
    if digits is None:
        assert len(expected) == 10
        assert max(expected) < 1.1 * min(expected)


def test_intervals_hold_the_true_rate_nine_times_of_ten() -> None:
    """Weights are thinned negatives', which is what makes plain counting too sure of itself."""
    held, n_bins = 0, 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        probability = rng.choice([0.1, 0.2, 0.3], 3000)
        y = (rng.random(3000) < probability).astype(float)
        kept = (y == 1) | (rng.random(3000) < 0.25)
        weight = np.where(y == 1, 1.0, 4.0)[kept]
        bins = reliability(y[kept], probability[kept], weight)
        for low, at, high in zip(
            bins["observed_low"], bins["low"], bins["observed_high"], strict=True
        ):
            held, n_bins = held + (low <= at <= high), n_bins + 1
    assert n_bins == 360
    assert held / n_bins == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(
    "probability", [[0.5] * 4, [0.0] * 4, [1.0] * 4, [0.0, 0.0, 1.0, 1.0]], ids=str
)
def test_few_and_equal_probabilities(probability: list[float]) -> None:
    y = np.array([0.0, 1.0, 0.0, 1.0])
    found = curves_of(y, np.array(probability), np.ones(4))
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert sum(found["calibration"]["n_rows"]) == 4
    assert found["gain"]["alerted"][-1] == 1


def test_members_come_before_other_finalists() -> None:
    y, probability, weight = sample(800)
    logit = np.log(probability + 1e-9)
    arrays: dict[str, Any] = {"y": y, "weight": weight, "probability": probability}
    arrays |= {f"logit_{n}": logit for n in range(4, 14)}
    arrays["logit_2"], arrays["logit_3"] = -logit, np.zeros(800)
    found = curves(arrays, members=[2, 12])
    assert len(found["members"]) == MOST_MEMBERS
    assert {"2", "12"} < set(found["members"])
    assert "3" not in found["members"]


def test_a_saved_champion_has_its_curves(tmp_path: Path) -> None:
    champion = search(rare(), meter=CpuTimeMeter(), mode="eco").champion
    champion.save(tmp_path / "model")
    kept = json.loads((tmp_path / "model" / "curves.json").read_text())
    assert kept["champion"]["average_precision"] == pytest.approx(
        champion.scores["average_precision"], abs=1e-6
    )
    assert {str(member.trial) for member in champion.members} <= set(kept["members"])
    assert (tmp_path / "model" / "curves.json").stat().st_size < 200_000
