"""Further families that `benchmarks.families` tries, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.meta.portfolio import NAMED
from automl.trial import Candidate
from benchmarks.family_base import Tried
from benchmarks.family_columns import Linear, Widened
from benchmarks.family_ensembles import BalancedBag, CatBoost, EasyEnsemble, Histogram
from benchmarks.family_models import Gaussian, Kernel, Neighbours, Perceptron, SupportVectors


@dataclass(frozen=True, kw_only=True)
class Addition:
    """One more first model, or another one in place of a first model.

    `kind` is its class where the catalog has none; `as_boosting` gives it boosting's end, the
    mean of its parts' models and a refit; otherwise it is refitted. `DECISIONS` has what the table
    led to.
    """

    what: str
    candidate: Candidate
    kind: type[Tried] | None = None
    as_boosting: bool = False
    instead: str | None = None
    needs: str | None = None  # a package


def _tried(
    what: str,
    kind: type[Tried],
    *,
    name: str,
    as_boosting: bool = False,
    needs: str | None = None,
    **params: Any,
) -> Addition:
    return Addition(
        what=what,
        candidate=Candidate(model=name, params=params),
        kind=kind,
        as_boosting=as_boosting,
        needs=needs,
    )


ADDITIONS: Mapping[str, Addition] = {
    "catboost": _tried(
        "CatBoost, depth 6",
        CatBoost,
        name="catboost",
        as_boosting=True,
        needs="catboost",
        depth=6,
    ),
    "catboost_shallow": _tried(
        "CatBoost, depth 4",
        CatBoost,
        name="catboost",
        as_boosting=True,
        needs="catboost",
        depth=4,
        learning_rate=0.1,
        rsm=0.7,
    ),
    "catboost_ordered": _tried(
        "CatBoost, ordered boosting",
        CatBoost,
        name="catboost",
        as_boosting=True,
        needs="catboost",
        depth=5,
        boosting_type="Ordered",
    ),
    "histogram": _tried(
        "scikit-learn HistGradientBoosting", Histogram, name="histogram", as_boosting=True
    ),
    "target_encoding": _tried(
        "L15 with cross-fitted target encoding",
        Widened,
        name="widened_boosting",
        as_boosting=True,
        model="L15",
        columns="targets",
    ),
    "linear_target_encoding": _tried(
        "LRq with cross-fitted target encoding",
        Widened,
        name="widened_linear",
        model="LRq",
        columns="targets",
    ),
    "neighbours": _tried("30 nearest neighbours", Neighbours, name="neighbours"),
    "neighbours_linear": _tried(
        "30 nearest neighbours, columns weighed",
        Neighbours,
        name="neighbours",
        metric="linear",
    ),
    "neighbours_nca": _tried(
        "NCA and 30 nearest neighbours", Neighbours, name="neighbours", metric="nca"
    ),
    "balanced_forest": Addition(what="balanced random forest", candidate=NAMED["balanced forest"]),
    "easy_ensemble": _tried("EasyEnsemble", EasyEnsemble, name="easy_ensemble"),
    "balanced_bag": _tried("balanced bag of five boostings", BalancedBag, name="balanced_bag"),
    "boosting_outliers": _tried(
        "L15 with outlier scores as columns",
        Widened,
        name="widened_boosting",
        as_boosting=True,
        model="L15",
        columns="outliers",
    ),
    "boosting_isolation": _tried(
        "L15 with the isolation score as a column",
        Widened,
        name="widened_boosting",
        as_boosting=True,
        model="L15",
        columns="isolation",
    ),
    "linear_outliers": _tried(
        "LRq with outlier scores as columns",
        Widened,
        name="widened_linear",
        model="LRq",
        columns="outliers",
    ),
    "perceptron": _tried("perceptron, 32 units", Perceptron, name="perceptron"),
    "linear_bins": _tried("logistic on ten bins a column", Linear, name="wide", more="bins"),
    "linear_splines": _tried("logistic on splines", Linear, name="wide", more="splines"),
    "linear_pairs": _tried(
        "logistic with products of twelve columns", Linear, name="wide", more="pairs"
    ),
    "gaussian": _tried("Gaussian classes", Gaussian, name="gaussian", shape="quadratic"),
    "naive_bayes": _tried("naive Bayes", Gaussian, name="gaussian", shape="naive"),
    "kernel": _tried("kernel logistic (Nystroem)", Kernel, name="kernel"),
    "support_vectors": _tried("radial support vectors", SupportVectors, name="svm"),
    "additive": Addition(
        what="boosted trees of three leaves",
        candidate=Candidate(
            model="lightgbm",
            params={
                "learning_rate": 0.1,
                "num_leaves": 3,
                "feature_fraction": 0.5,
                "lambda_l2": 1.0,
            },
        ),
    ),
    "deep_extra_trees": Addition(
        what="extra trees: half of the columns a split, leaves of one",
        candidate=Candidate(
            model="extra_trees", params={"min_samples_leaf": 1, "max_features": 0.5}
        ),
    ),
    "deep_instead": Addition(
        what="the same in place of ETs",
        candidate=Candidate(
            model="extra_trees", params={"min_samples_leaf": 1, "max_features": 0.5}
        ),
        instead="ETs",
    ),
}


# What the table led to, with docs/method.md, Families.
DECISIONS: Mapping[str, str] = {
    "catboost": "out: no gain, 2.8 times the CPU",
    "catboost_shallow": "out: no steady gain for half as much CPU again, a heavy package",
    "catboost_ordered": "out: 3.9 times the CPU",
    "histogram": "out: LightGBM again",
    "target_encoding": "not where levels are few",
    "linear_target_encoding": "not where levels are few",
    "neighbours": "out: never a member",
    "neighbours_linear": "out",
    "neighbours_nca": "out: never a member, 2.9 times the CPU",
    "balanced_forest": "out: never a member",
    "easy_ensemble": "out: never a member",
    "balanced_bag": "out",
    "boosting_outliers": "out: twice the CPU",
    "boosting_isolation": "out: twice the CPU",
    "linear_outliers": "out",
    "perceptron": "out: never a member",
    "linear_bins": "out",
    "linear_splines": "out",
    "linear_pairs": "out",
    "gaussian": "out: never a member",
    "naive_bayes": "out: never a member",
    "kernel": "races on tables of few rows (KLR)",
    "support_vectors": "out: the kernel in its place, which predicts at a third of the cost",
    "additive": "out",
    "deep_extra_trees": "races on tables of few rows (ETd)",
    "deep_instead": "out: noisy tables want ETs",
}
