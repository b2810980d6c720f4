"""Early stopping, refits and bags of LightGBM."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from automl.data.encoding import EncoderInfo
from automl.errors import DataError
from automl.meta.portfolio import NAMED
from automl.models.boosting import Boosting, continued
from automl.models.catalog import build
from automl.models.resampling import SmoteBoosting
from automl.models.rounds import MOST_ROUNDS, default_rounds, most_rounds
from tests.contracts.test_models import INFO, rows

L15 = NAMED["L15"].params


def boosting(params: Any = L15, *, patience: int = 12, rounds: int | None = None) -> Boosting:
    return Boosting(params=params, info=INFO, seed=0, patience=patience, rounds=rounds)


def test_stops_where_the_average_precision_of_the_fold_was_best() -> None:
    X, y = rows()
    Xv, yv = rows(seed=1)
    weight = np.where(yv == 1, 1.0, 3.0)
    model = boosting().fit(X, y, valid=(Xv, yv, weight))
    best = model.details["best_iteration"]
    assert model.booster.num_trees() == best
    # The same trees again, all of them, scored by LightGBM after each.
    scores: dict[str, dict[str, list[float]]] = {}
    params = {
        **L15,
        "objective": "binary",
        "metric": "average_precision",
        "seed": 0,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    train = lgb.Dataset(X, y, params=params)
    lgb.train(
        params,
        train,
        num_boost_round=best + 12,  # the patience of the race
        valid_sets=[train.create_valid(Xv, yv, weight=weight)],
        callbacks=[lgb.record_evaluation(scores)],
    )
    # Of the rounds that were scored: every fourth at this learning rate.
    curve = scores["valid_0"]["average_precision"][3::4]
    assert 4 * (int(np.argmax(curve)) + 1) == best


def test_more_patience_never_stops_sooner() -> None:
    X, y = rows()
    valid = (*rows(seed=1), None)
    short, long = (boosting(patience=p).fit(X, y, valid=valid).details for p in (3, 40))
    assert short["n_rounds"] <= long["n_rounds"]
    assert short["best_iteration"] <= long["best_iteration"]


def test_rungs_differ_in_patience_only() -> None:
    models = {
        rung: build(NAMED["L15"], encoder_info=INFO, seed=0, rung=rung)
        for rung in ("screening", "refinement", "final")
    }
    patience = {rung: getattr(model, "patience", None) for rung, model in models.items()}
    assert patience == {"screening": 12, "refinement": 12, "final": 20}


def test_a_refit_grows_as_many_trees_as_told() -> None:
    X, y = rows()
    assert boosting(rounds=37).fit(X, y).booster.num_trees() == 37
    assert boosting().fit(X, y).details["best_iteration"] == default_rounds(L15) == 160


def test_fixed_rounds_ignore_the_fold() -> None:
    X, y = rows()
    default = NAMED["LightGBM default"].params
    model = boosting(default).fit(X, y, valid=(*rows(seed=1), None))
    assert model.details["best_iteration"] == 100
    plain = lgb.LGBMClassifier(n_jobs=1, verbose=-1, random_state=0, deterministic=True)
    plain.fit(X, y)
    booster = plain.booster_
    assert np.allclose(model.decision(X), booster.predict(X, raw_score=True), atol=1e-9)


def test_rounds_follow_the_learning_rate() -> None:
    assert most_rounds({"learning_rate": 0.05}) == MOST_ROUNDS
    assert most_rounds({"learning_rate": 0.025}) == 2 * MOST_ROUNDS
    assert most_rounds({"learning_rate": 1e-6}) == 4 * MOST_ROUNDS
    assert default_rounds({"learning_rate": 0.05}, 0) == 1


def test_negatives_are_bagged_only_where_they_are_many() -> None:
    X, y = rows()  # 11.5 negatives each
    few = boosting({"negatives_per_positive": 3, "learning_rate": 0.05, "num_leaves": 15})
    params = few._lightgbm(y)
    assert params["neg_bagging_fraction"] == pytest.approx(3 * y.sum() / (y == 0).sum())
    assert (params["pos_bagging_fraction"], params["bagging_freq"]) == (1.0, 1)
    many = boosting({"negatives_per_positive": 30, "learning_rate": 0.05, "num_leaves": 15})
    assert "neg_bagging_fraction" not in many._lightgbm(y)
    assert np.isfinite(few.fit(X, y).decision(X)).all()


def test_the_text_is_lightgbms_own(tmp_path: Path) -> None:
    X, y = rows()
    model = boosting(rounds=20).fit(X, y)
    model.save(tmp_path, "m")
    plain = lgb.Booster(model_file=str(tmp_path / "m.txt"))
    assert np.array_equal(plain.predict(X, raw_score=True), model.decision(X))
    assert plain.feature_name() == INFO.names


def test_a_fold_of_one_class_cannot_stop_it() -> None:
    X, y = rows()
    with pytest.raises(DataError) as caught:
        boosting().fit(X, y, valid=(X, np.zeros_like(y), None))
    assert caught.value.code == "fold_without_class"


def test_not_fitted_is_said() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        _ = boosting().booster


def test_openmp_waits_passively_before_lightgbm_is_loaded() -> None:
    code = (
        "import os, sys; import automl.models.boosting;"
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])"
    )
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["PASSIVE", "0"]


def smote(share: float, info: EncoderInfo = INFO) -> SmoteBoosting:
    params = {"learning_rate": 0.05, "num_leaves": 15, "positives_per_negative": share}
    return SmoteBoosting(params=params, info=info, seed=0, patience=12)


def test_smote_adds_positives_between_positives_and_keeps_codes() -> None:
    X, y = rows()
    weight = np.linspace(1, 2, len(y))
    made, labels, weights = smote(0.25)._resample(X, y, weight)
    assert np.array_equal(made[: len(X)], X, equal_nan=True)
    assert labels.sum() == int(0.25 * (y == 0).sum())
    assert labels[len(X) :].all()
    assert weights is not None
    assert np.allclose(weights[len(X) :], weight[y == 1].mean())
    new = made[len(X) :]
    assert set(new[:, 3]) <= {0, 1, 2, 3}
    filled = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)[y == 1]
    numeric = [0, 1, 2, 6]
    assert (new[:, numeric] >= filled[:, numeric].min(axis=0) - 1e-5).all()
    assert (new[:, numeric] <= filled[:, numeric].max(axis=0) + 1e-5).all()


def test_smote_leaves_balanced_rows_alone() -> None:
    X, y = rows()
    assert smote(0.05)._resample(X, y, None)[0] is X
    one = (np.arange(len(y)) == 0).astype(np.int8)
    assert smote(0.5)._resample(X, one, None)[0] is X


UNDRAWN = {"learning_rate": 0.1, "num_leaves": 15, "path_smooth": 5.0}


def go_on(old: Boosting, X: np.ndarray, y: np.ndarray, **changes: Any) -> Boosting:
    given: dict[str, Any] = {"params": UNDRAWN, "info": INFO, "seed": 0, "rounds": 25} | changes
    return continued(old, X, y, **given)


def test_going_on_for_some_rounds_is_the_same_as_growing_all_at_once(tmp_path: Path) -> None:
    X, y = rows()
    weight = np.where(y == 1, 2.0, 1.0)
    at_once = boosting(UNDRAWN, rounds=65).fit(X, y, sample_weight=weight)
    first = boosting(UNDRAWN, rounds=40).fit(X, y, sample_weight=weight)
    first.save(tmp_path, "first")
    for old in (first, Boosting.load(tmp_path, "first")):
        model = go_on(old, X, y, sample_weight=weight)
        assert np.array_equal(model.decision(X), at_once.decision(X))
        assert model.details["best_iteration"] == 65
        assert model.details["n_continued"] == 25
    model.save(tmp_path, "on")
    assert np.array_equal(Boosting.load(tmp_path, "on").decision(X), at_once.decision(X))


def test_going_on_keeps_the_older_trees_and_learns_the_new_rows() -> None:
    X, y = rows()
    old = boosting(rounds=20).fit(X, y)
    grown_X, grown_y = np.concatenate([X, rows(seed=1)[0]]), np.concatenate([y, rows(seed=1)[1]])
    model = go_on(old, grown_X, grown_y, params=L15, seed=20)
    kept = model.booster.predict(X, raw_score=True, num_iteration=20, num_threads=1)
    assert np.array_equal(kept, old.decision(X))
    again = go_on(old, grown_X, grown_y, params=L15, seed=20)
    assert np.array_equal(model.decision(X), again.decision(X))

    def loss(one: Boosting) -> float:
        return float(
            np.mean(np.logaddexp(0.0, np.where(grown_y == 1, -1, 1) * one.decision(grown_X)))
        )

    assert loss(model) < loss(old)


def test_trees_of_other_columns_are_not_gone_on_with() -> None:
    X, y = rows()
    old = boosting(rounds=5).fit(X, y)
    fewer = replace(INFO, kinds=INFO.kinds[1:], cardinality=INFO.cardinality[1:])
    with pytest.raises(ValueError, match="other columns"):
        go_on(old, X[:, 1:], y, info=fewer)
    with pytest.raises(ValueError, match="columns are needed"):
        go_on(old, X[:, 1:], y)
    with pytest.raises(DataError):
        go_on(old, X, np.zeros_like(y))
