"""What a fit is expected to take: CPU-seconds as a function of candidate and shape.

A sum of terms that follow the algorithms, with one coefficient each, fitted offline: deterministic
and free of this run's noise. Nothing heavy is imported, so that a service can ask it too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from math import ceil, exp, log, log2, sqrt
from types import MappingProxyType
from typing import Any

from automl.models.rounds import default_rounds, most_rounds, rounds_between_scores
from automl.trial import Candidate

FITTED_TREES = 60  # of a forest where nothing else is said
FITTED_PATIENCE = 20  # rounds, likewise
SHIPPED = "costs.json"
SELF_TRAINED = "self_trained_lightgbm"
# Of the rows without a label, those that a first model gives a positive's copy as well.
LIKELY_SHARE = 0.25
SMOOTHING = 2.0  # looking for a split with path_smooth takes as many times as long

Values = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class FitShape:
    """How much one fit looks at: its rows, and those that it stops by and that it predicts.

    `n_stopping` is 0 where nothing tells when to stop (a refit), `n_valid` where nothing is
    predicted. `n_wide` counts the columns with every level of a category as one of its own, as
    models without a notion of categories get them. `rounds` is of boosting where it is known.
    """

    n_rows: int
    n_columns: int
    n_positive: int | None = None  # None: a tenth of the rows
    n_wide: int | None = None  # None: as many as columns
    n_bins: int | None = None  # different values of all columns, at most 255 each; None: that
    n_stopping: int = 0
    n_valid: int = 0
    n_trees: int = FITTED_TREES
    patience: int = FITTED_PATIENCE
    rounds: int | None = None
    n_unlabelled: int = 0  # for a model that learns from them

    @property
    def width(self) -> int:
        return self.n_columns if self.n_wide is None else self.n_wide

    @property
    def bins(self) -> float:
        """Bins of boosting's histograms: of at least three rows each."""
        most = self.n_columns * min(255.0, self.n_rows / 3)
        return most if self.n_bins is None else min(float(self.n_bins), most)

    @property
    def positives(self) -> float:
        return self.n_rows / 10 if self.n_positive is None else float(self.n_positive)


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """Coefficients of the expected CPU-seconds, by model and by step of a search.

    `models` has the weights of each model's terms (`terms`), `steps` those of the work around
    the fits: ``score`` a trial's validation rows, ``features`` (encoding, ordering), ``closing``,
    and what ``probe`` took (`automl.meters.probe`).
    `rounds` says when early stopping ends (`rounds_terms`); `error` has, for each model, the 5th,
    50th and 95th percentile of measured over expected on tables that were left out of the fit.

    Its seconds are those of the machine it was fitted on: only their ratios mean the same
    elsewhere. A `Speed` brings them to another machine.
    """

    models: Values
    steps: Values
    rounds: Values
    error: Values
    source: str

    @classmethod
    def shipped(cls) -> CostModel:
        """The coefficients that come with the package."""
        return _shipped()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CostModel:
        """From what `to_json` gave.

        Raises
        ------
        ValueError
            A part is missing, or a coefficient is not a finite number of at least 0.
        """
        parts: dict[str, Values] = {}
        for name in ("models", "steps", "rounds", "error"):
            if not isinstance(value.get(name), Mapping):
                raise ValueError(f"a cost model needs {name!r}")
            parts[name] = MappingProxyType(
                {str(k): tuple(float(one) for one in v) for k, v in value[name].items()}
            )
        for name in ("models", "steps"):
            for key, weights in parts[name].items():
                if not all(0 <= one < float("inf") for one in weights):
                    raise ValueError(f"a coefficient of {key!r} is not a number of at least 0")
        return cls(**parts, source=str(value.get("source", "")))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        parts = ("models", "steps", "rounds", "error")
        plain = {name: {k: list(v) for k, v in getattr(self, name).items()} for name in parts}
        return {**plain, "source": self.source}

    def seconds(self, candidate: Candidate, shape: FitShape) -> float:
        """CPU-seconds of one fit with its early stopping and the prediction of `n_valid` rows.

        A model without coefficients is taken for an average one.
        """
        if candidate.model == SELF_TRAINED:
            return self._self_trained(replace(candidate, model="lightgbm"), shape)
        weights = self.models.get(candidate.model)
        if weights is None and is_boosted(candidate.model):
            weights = self.models["lightgbm"]  # its trees are what it costs
        if weights is None:
            weights, values = self.models["*"], general_terms(candidate, shape, 0.0)
        else:
            values = terms(candidate, shape, rounds=self.expected_rounds(candidate, shape))
        return float(sum(weight * term for weight, term in zip(weights, values, strict=True)))

    def _self_trained(self, boosting: Candidate, shape: FitShape) -> float:
        """Two fits: of the labelled rows, which predicts the others, and of them all."""
        n_others = shape.n_unlabelled
        if not n_others:
            return self.seconds(boosting, shape)
        likely = round(LIKELY_SHARE * n_others)
        first = replace(shape, n_valid=n_others, n_unlabelled=0)
        second = replace(
            shape,
            n_rows=shape.n_rows + n_others + likely,
            n_positive=round(shape.positives) + likely,
            n_unlabelled=0,
        )
        return self.seconds(boosting, first) + self.seconds(boosting, second)

    def expected_rounds(self, candidate: Candidate, shape: FitShape) -> float:
        """Trees that boosting grows until early stopping ends, or the fixed number; else 0."""
        params = candidate.params
        if not is_boosted(candidate.model):
            return 0.0
        if shape.rounds is not None:
            return float(shape.rounds)
        if "rounds" in params or not shape.n_stopping:
            return float(default_rounds(params))
        weights = self.rounds.get(candidate.model) or self.rounds["*"]
        values = rounds_terms(candidate, shape)
        wanted = exp(sum(weight * term for weight, term in zip(weights, values, strict=True)))
        return min(wanted + shape.patience, float(most_rounds(params)))

    def score_seconds(self, n_valid: int) -> float:
        """CPU-seconds of scoring a trial's validation rows, with the bootstrap."""
        return self._step("score", score_terms(n_valid))

    def features_seconds(self, n_rows: int, n_columns: int) -> float:
        """CPU-seconds of encoding a table and choosing who validates."""
        return self._step("features", [1, n_rows * n_columns])

    def closing_seconds(self, n_valid: int, n_columns: int) -> float:
        """CPU-seconds of weighing, calibrating and setting the threshold after the last fit."""
        return self._step("closing", [1, n_valid, n_valid * n_columns])

    @property
    def probe_seconds(self) -> float:
        """What the probe took where the coefficients were fitted."""
        return self._step("probe", [1])

    def _step(self, name: str, values: Sequence[float]) -> float:
        return float(sum(w * term for w, term in zip(self.steps[name], values, strict=True)))


def is_boosted(model: str) -> bool:
    """Whether a model's trees are grown until early stopping."""
    return model.endswith("lightgbm")


def terms(candidate: Candidate, shape: FitShape, *, rounds: float) -> list[float]:
    """The work of one fit in the units that its model's coefficients price."""
    return _terms_of(candidate.model)(candidate, shape, rounds)


def _terms_of(model: str) -> Callable[[Candidate, FitShape, float], list[float]]:
    if is_boosted(model):
        return boosting_terms
    return TERMS.get(model, general_terms)


def boosting_terms(candidate: Candidate, shape: FitShape, rounds: float) -> list[float]:
    """A start, binning, and per round: a start, histograms, bins, scores, and the stopping.

    Stopping predicts its rows in every round and sorts them in every few; the kept trees are
    written out once and predict the validation rows.
    """
    n_rows = float(shape.n_rows)
    fraction = float(candidate.params.get("feature_fraction", 1.0))
    bagged = _bagged(candidate.params, shape)
    fewest = float(candidate.params.get("min_data_in_leaf", 20))
    leaves = min(float(candidate.params.get("num_leaves", 31)), 1 + bagged / max(fewest, 1.0))
    smoothing = SMOOTHING if candidate.params.get("path_smooth") else 1.0
    depth = log2(1 + leaves)
    stopping = 0.0 if "rounds" in candidate.params else float(shape.n_stopping)
    return [
        1,
        n_rows * shape.n_columns,
        rounds,
        rounds * bagged * shape.n_columns * fraction * sqrt(depth),
        rounds * leaves * shape.bins * fraction * smoothing,
        rounds * n_rows,
        rounds * stopping * depth,
        rounds / rounds_between_scores(candidate.params) * stopping * log2(2 + stopping),
        rounds * leaves,
        rounds * shape.n_valid * depth,
    ]


def _bagged(params: Mapping[str, Any], shape: FitShape) -> float:
    """Rows that one tree sees."""
    negatives = params.get("negatives_per_positive")
    if negatives:
        return min(float(shape.n_rows), shape.positives * (1 + float(negatives)))
    return shape.n_rows * (float(params.get("bagging_fraction", 1)) if bags(params) else 1.0)


def bags(params: Mapping[str, Any]) -> bool:
    """Whether each tree sees its own rows."""
    return bool(params.get("bagging_freq") or params.get("negatives_per_positive"))


def linear_terms(candidate: Candidate, shape: FitShape, rounds: float) -> list[float]:
    """A start, a start per column, cells for the quantiles and the iterations, and predicting."""
    n_rows, width = float(shape.n_rows), shape.width
    return [1, shape.n_columns, n_rows * width, width * width, float(shape.n_valid) * width]


def forest_terms(candidate: Candidate, shape: FitShape, rounds: float) -> list[float]:
    """A start, one per tree, filled cells, cells looked at for splits, leaves, and predicting.

    Cells of a column with few values are sorted sooner, and its trees end sooner.
    """
    wanted = candidate.params.get("max_features", "sqrt")
    tried = sqrt(shape.width) if wanted == "sqrt" else float(wanted) * shape.width
    leaf = float(candidate.params.get("min_samples_leaf", 2))
    depth = log2(2 + shape.n_rows / leaf)
    return [
        1,
        shape.n_trees,
        shape.n_rows * shape.width,
        shape.n_trees * shape.n_rows * depth * tried,
        shape.n_trees * shape.n_rows * depth * tried * shape.bins / (255 * shape.n_columns),
        shape.n_trees * shape.n_rows / leaf,
        shape.n_valid * shape.width,
        shape.n_trees * shape.n_valid * depth,
    ]


def balanced_terms(candidate: Candidate, shape: FitShape, rounds: float) -> list[float]:
    """As a forest's, of which every tree sees twice the positives; drawing them looks at all."""
    seen = replace(shape, n_rows=max(2, ceil(2 * shape.positives)))
    own = forest_terms(candidate, seen, rounds)
    return [*own, shape.n_rows * shape.width, shape.n_trees * shape.n_rows]


def general_terms(candidate: Candidate, shape: FitShape, rounds: float) -> list[float]:
    """Of a model nobody described: a start, cells once, cells to be sorted, pairs of rows."""
    n_rows, width = float(shape.n_rows), shape.width
    return [1, n_rows * width, n_rows * width * log2(2 + n_rows), n_rows * shape.n_valid * width]


TERMS: Mapping[str, Callable[[Candidate, FitShape, float], list[float]]] = MappingProxyType(
    {
        "logistic": linear_terms,
        "extra_trees": forest_terms,
        "random_forest": forest_terms,
        "balanced_forest": balanced_terms,
    }
)


def rounds_terms(candidate: Candidate, shape: FitShape) -> list[float]:
    """What the best round depends on: logarithms of rows, positives and so on, then flags."""
    rate = float(candidate.params.get("learning_rate", 0.1))
    leaves = float(candidate.params.get("num_leaves", 31))
    return [
        1,
        log(1 + shape.n_rows),
        log(1 + shape.positives),
        log(0.05 / rate),
        log(leaves / 31),
        log(shape.patience / FITTED_PATIENCE),
        float(bool(candidate.params.get("path_smooth"))),
        float(bags(candidate.params)),
    ]


def score_terms(n_valid: int) -> list[float]:
    """A start, rows, and rows to be sorted."""
    return [1, n_valid, n_valid * log2(2 + n_valid)]


@cache
def _shipped() -> CostModel:
    text = files("automl.models").joinpath(SHIPPED).read_text(encoding="utf-8")
    return CostModel.from_json(json.loads(text))
