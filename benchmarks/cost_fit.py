"""Coefficients of the cost model from measured trials, and how far off they are.

Every function takes rows as `benchmarks.cost_model` measures them: one trial each, with the shape
of its fits, the rounds that they ran, and the CPU-seconds of all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear, nnls

from automl.models.expected import CostModel, FitShape, is_boosted, rounds_terms, score_terms, terms
from automl.trial import Candidate

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]

ERROR_LEVELS = (0.05, 0.5, 0.95)
REWEIGHTED = 30
LEAST_SHARE = 0.1  # of a trial that its fits take, whatever scoring is expected to
LEAST_SETS = 10  # from which a model's early stopping is told apart from the others'
# Of the weights of `rounds_terms`. Sets are few and their shapes correlate, so that free weights
# would let a slower learning rate stop sooner; the best round grows with rows and positives, with
# nearly the inverse of the learning rate, and falls with the leaves.
ROUNDS_BOUNDS = (
    (-np.inf, np.inf),
    (0.0, 0.6),
    (0.0, 0.6),
    (0.4, 1.0),
    (-0.6, 0.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (0.0, 1.0),
)


def candidate_of(row: Row) -> Candidate:
    """The candidate that a row is of."""
    return Candidate(model=row["model"], params=row["params"])


def shapes_of(row: Row, *, known: bool) -> list[FitShape]:
    """The fits of a trial; `known` gives them the rounds that they ran."""
    return [
        FitShape(
            n_rows=part["n_rows"],
            n_columns=row["n_columns"],
            n_wide=row["n_wide"],
            n_bins=row["n_bins"],
            n_positive=part["n_positive"],
            n_stopping=part["n_stopping"],
            n_valid=part["n_valid"],
            n_trees=row["n_trees"],
            patience=row["patience"],
            rounds=part["n_rounds"] if known else None,
        )
        for part in row["parts"]
    ]


def expected(model: CostModel, row: Row) -> float:
    """What the model expects of a trial."""
    candidate = candidate_of(row)
    fits = sum(model.seconds(candidate, shape) for shape in shapes_of(row, known=False))
    return fits + model.score_seconds(sum(part["n_valid"] for part in row["parts"]))


def fit(rows: Sequence[Row], *, source: str = "", kept: CostModel | None = None) -> CostModel:
    """The coefficients that suit the trials best; those of `kept` for what was not measured.

    Each model's terms are fitted to its trials without their scoring, on the rounds that were
    run. Errors are relative and count up as much as down.
    """
    trials = [row for row in rows if row.get("step") == "trial"]
    models = list(dict.fromkeys(row["model"] for row in trials))
    rounds = {"*": _rounds(trials)}
    for name in models:
        own = [row for row in trials if row["model"] == name]
        if is_boosted(name) and len({row["set"] for row in own}) >= LEAST_SETS:
            rounds[name] = _rounds(own)
    steps: dict[str, Floats] = {}
    for step, columns in STEPS.items():
        own = [row for row in rows if row.get("step") == step]
        if own:
            B = np.array([columns(row) for row in own], dtype=float)
            steps[step] = _nonnegative(B, np.array([row["cpu_seconds"] for row in own]))
        elif kept is not None:
            steps[step] = np.array(kept.steps[step])
    found = {}
    for name in models:
        own = [row for row in trials if row["model"] == name]
        seconds = [max(_fits(row, steps["score"]), LEAST_SHARE * row["cpu_seconds"]) for row in own]
        found[name] = _nonnegative(np.array([_terms(row) for row in own]), np.array(seconds))
    model = CostModel(
        models={"*": _general(trials), **(kept.models if kept else {}), **_plain(found)},
        steps=_plain(steps),
        rounds=_plain(rounds),
        error=dict(kept.error) if kept else {},
        source=source,
    )
    return _centred(model, trials)


STEPS = {
    "features": lambda row: [1, row["n_rows"] * row["n_columns"]],
    "score": lambda row: score_terms(row["n_valid"]),
    "closing": lambda row: [1, row["n_valid"], row["n_valid"] * row["n_columns"]],
    "probe": lambda row: [1],
}


def left_out(rows: Sequence[Row]) -> list[tuple[Row, float]]:
    """Every trial with what a model fitted without its set expects of it."""
    found = []
    for name in dict.fromkeys(row["set"] for row in rows):
        model = fit([row for row in rows if row["set"] != name])
        found += [
            (row, expected(model, row))
            for row in rows
            if row["set"] == name and row.get("step") == "trial"
        ]
    return found


def errors(judged: Iterable[tuple[Row, float]]) -> dict[str, tuple[float, ...]]:
    """Percentiles of measured / expected by model, and over all (``*``)."""
    ratios: dict[str, list[float]] = {}
    for row, value in judged:
        for name in (row["model"], "*"):
            ratios.setdefault(name, []).append(row["cpu_seconds"] / value)
    return {
        name: tuple(round(float(q), 3) for q in np.quantile(own, ERROR_LEVELS))
        for name, own in ratios.items()
    }


def _fits(row: Row, score: Floats) -> float:
    """A trial's CPU-seconds without the scoring."""
    scored = score_terms(sum(part["n_valid"] for part in row["parts"]))
    return float(row["cpu_seconds"] - score @ np.array(scored))


def _terms(row: Row) -> Floats:
    candidate = candidate_of(row)
    return np.sum(
        [
            terms(candidate, shape, rounds=float(shape.rounds or 0))
            for shape in shapes_of(row, known=True)
        ],
        axis=0,
    )


def _rounds(trials: Sequence[Row]) -> Floats:
    """Weights of the logarithm of the best round, those that met no early stopping left out."""
    X, y = [], []
    for row in trials:
        candidate = candidate_of(row)
        if not is_boosted(candidate.model) or "rounds" in candidate.params:
            continue
        for part, shape in zip(row["parts"], shapes_of(row, known=False), strict=True):
            X.append(rounds_terms(candidate, shape))
            y.append(np.log(max(part["n_rounds"] - row["patience"], 1)))
    low, high = np.array(ROUNDS_BOUNDS).T
    return np.asarray(lsq_linear(np.array(X), np.array(y), bounds=(low, high)).x)


def _general(trials: Sequence[Row]) -> tuple[float, ...]:
    """Coefficients for a model that nobody measured: the average over all that were."""
    A = np.array(
        [
            np.sum(
                [
                    terms(Candidate(model="*"), shape, rounds=0.0)
                    for shape in shapes_of(row, known=True)
                ],
                axis=0,
            )
            for row in trials
        ]
    )
    beta = _nonnegative(A, np.array([row["cpu_seconds"] for row in trials]))
    return tuple(_short(value) for value in beta)


def _nonnegative(A: Floats, seconds: Floats) -> Floats:
    """Weights, none below 0, by relative errors that count up as much as down.

    Least squares on (expected - measured) / sqrt(expected x measured), reweighted: dividing by
    the measured seconds alone would rather expect too little than too much.
    """
    beta = nnls(A / seconds[:, None], np.ones(len(seconds)))[0]
    for _ in range(REWEIGHTED):
        scale = np.sqrt(np.maximum(A @ beta, 0.05 * seconds) * seconds)
        beta = nnls(A / scale[:, None], seconds / scale)[0]
    return np.asarray(beta)


def _centred(model: CostModel, trials: Sequence[Row]) -> CostModel:
    """The same with each model's median error at 1, rounds being expected as well."""
    models = dict(model.models)
    for name in dict.fromkeys(row["model"] for row in trials):
        own = [row for row in trials if row["model"] == name]
        scores = [model.score_seconds(sum(p["n_valid"] for p in row["parts"])) for row in own]
        factor = float(
            np.median(
                [
                    max(row["cpu_seconds"] - score, 0.1 * row["cpu_seconds"])
                    / max(expected(model, row) - score, 1e-9)
                    for row, score in zip(own, scores, strict=True)
                ]
            )
        )
        models[name] = tuple(_short(factor * value) for value in models[name])
    return CostModel(
        models=models,
        steps=model.steps,
        rounds=model.rounds,
        error=model.error,
        source=model.source,
    )


def _plain(weights: Mapping[str, Floats]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(_short(value) for value in values) for name, values in weights.items()}


def _short(value: float) -> float:
    return float(f"{value:.3g}") if abs(value) > 1e-12 else 0.0
