from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from benchmarks.running import cpu_budget, scores
from benchmarks.systems import SYSTEMS
from benchmarks.systems.brute import fit
from benchmarks.systems.brute_wide import chosen
from benchmarks.systems.columns import Categories
from benchmarks.systems.task import Task


def test_levels_are_those_of_the_training_rows():
    X = pd.DataFrame({"c": ["b", None, "a"], "n": [1.0, 2.0, np.nan]})
    categories = Categories(X)
    later = pd.DataFrame({"c": ["a", "new", None], "n": [3.0, np.nan, 4.0]})
    assert np.array_equal(
        categories.codes(later), [[0, 3], [np.nan, np.nan], [np.nan, 4]], equal_nan=True
    )
    native = categories.native(later)
    assert list(native["c"].cat.categories) == ["a", "b"]
    assert native["c"].isna().tolist() == [False, True, True]


def test_many_levels_become_numbers():
    X = pd.DataFrame({"c": list("abcd"), "d": list("aabb")})
    native = Categories(X).native(X, most=3)
    assert native["c"].tolist() == [0, 1, 2, 3]
    assert native["d"].dtype == "category"


def test_alerts_are_counted_where_there_is_a_threshold():
    y, p = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.6, 0.9])
    assert scores(y, p, threshold=0.6)["alert_share"] == 0.5
    assert "alert_share" not in scores(y, p, threshold=None)
    assert scores(y, p, threshold=None)["ap"] == 1.0


def test_a_budget_is_a_multiple_of_what_was_measured():
    rows: dict[Any, Any] = {("a", 0, "frugal"): {"measured_cpu_seconds": 2.0, "cpu_seconds": 12.0}}
    assert cpu_budget(SYSTEMS["flaml-10x"], rows, name="a", seed=0) == 20.0
    assert cpu_budget(SYSTEMS["brute"], rows, name="a", seed=0) is None
    with pytest.raises(LookupError, match="frugal has no result on a, seed 1"):
        cpu_budget(SYSTEMS["flaml-1x"], rows, name="a", seed=1)
    rows["a", 0, "frugal"]["error"] = "exit 1"
    with pytest.raises(LookupError):
        cpu_budget(SYSTEMS["flaml-1x"], rows, name="a", seed=0)


def test_greedy_choice_is_never_worse_than_the_best_alone():
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.2).astype(int)
    logits = [y + rng.normal(scale=s, size=400) for s in (1.0, 1.2, 3.0)]
    counts = chosen(y, logits, average_precision_score)
    mixed = sum(c * logit for c, logit in zip(counts, logits, strict=True))
    alone = max(average_precision_score(y, logit) for logit in logits)
    assert average_precision_score(y, mixed) > alone


def brute_task(tmp_path, **options):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"n": rng.normal(size=300), "c": rng.choice(list("abc"), size=300)})
    y = ((X["n"] + (X["c"] == "a") + rng.normal(size=300)) > 1.5).to_numpy().astype(np.int8)
    path = tmp_path / "trials.jsonl"
    return Task(name="made", X=X, y=y, options={"n_rows": 300, "trials": 3, **options}, trials=path)


def test_brute_learns_and_its_trials_are_kept_and_not_run_again(tmp_path):
    task = brute_task(tmp_path)
    first = fit(task)
    assert set(first.predict) == {"brute", "brute-bag"}
    for predict in first.predict.values():
        assert average_precision_score(task.y, predict(task.X)) > 2 * task.y.mean()
    assert len(task.trials.read_text().splitlines()) == 3
    second = fit(task)
    assert len(task.trials.read_text().splitlines()) == 3
    assert second.details["best_params"] == first.details["best_params"]
    assert second.details["trial_cpu_seconds"] == pytest.approx(
        first.details["trial_cpu_seconds"], abs=0.01
    )
    for name, predict in first.predict.items():
        assert np.allclose(predict(task.X), second.predict[name](task.X))


def test_brute_goes_on_where_it_was_stopped(tmp_path):
    task = brute_task(tmp_path, trials=2)
    fit(task)
    longer = brute_task(tmp_path, trials=4)
    fit(longer)
    assert len(task.trials.read_text().splitlines()) == 4
