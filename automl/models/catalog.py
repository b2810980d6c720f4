"""Names to models, with what each is expected to cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from automl.data.encoding import EncoderInfo
from automl.models import refine
from automl.models.base import FittableModel, load_details
from automl.models.boosting import TUNABLE, Boosting
from automl.models.expected import CostModel, FitShape
from automl.models.kernel import KernelLogistic
from automl.models.linear import Logistic
from automl.models.rated import RatedBoosting
from automl.models.resampling import SmoteBoosting
from automl.models.rounds import N_TREES, PATIENCE
from automl.models.rows import MANY_ROWS, RowsOf
from automl.models.self_training import SelfTraining
from automl.models.trees import BalancedForest, ExtraTrees, Forest, RandomForest
from automl.models.unlabelled import Unlabelled
from automl.trial import Candidate

if TYPE_CHECKING:
    import optuna


class Build(Protocol):
    """Makes an unfitted model of params; takes what `build` takes."""

    def __call__(
        self,
        params: Mapping[str, Any],
        *,
        info: EncoderInfo,
        seed: int,
        rung: str,
        rounds: int | None,
        n_trees: int | None,
        unlabelled: Unlabelled | None,
    ) -> FittableModel: ...


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """How to build a model and what it may be told.

    `refine` suggests a neighbour of a candidate to an Optuna trial; `monotone` says that the
    model keeps to monotone columns.
    """

    family: str  # "boosting", "rated", "linear", "kernel", "forest", "balanced" or "resampled"
    kind: type[Any]
    params: frozenset[str]
    build: Build
    refine: Callable[[Candidate, optuna.trial.Trial], Candidate]
    monotone: bool = False


def _boosting(kind: type[Boosting]) -> Build:
    def made(
        params: Mapping[str, Any],
        *,
        info: EncoderInfo,
        seed: int,
        rung: str,
        rounds: int | None,
        n_trees: int | None,
        unlabelled: Unlabelled | None,
    ) -> FittableModel:
        return kind(params=params, info=info, seed=seed, patience=PATIENCE[rung], rounds=rounds)

    return made


def _forest(kind: type[Forest]) -> Build:
    def made(
        params: Mapping[str, Any],
        *,
        info: EncoderInfo,
        seed: int,
        rung: str,
        rounds: int | None,
        n_trees: int | None,
        unlabelled: Unlabelled | None,
    ) -> FittableModel:
        return kind(params=params, info=info, seed=seed, n_trees=n_trees or N_TREES[rung])

    return made


def _logistic(
    params: Mapping[str, Any],
    *,
    info: EncoderInfo,
    seed: int,
    rung: str,
    rounds: int | None,
    n_trees: int | None,
    unlabelled: Unlabelled | None,
) -> FittableModel:
    return Logistic(params=params, info=info, seed=seed)


def _kernel(
    params: Mapping[str, Any],
    *,
    info: EncoderInfo,
    seed: int,
    rung: str,
    rounds: int | None,
    n_trees: int | None,
    unlabelled: Unlabelled | None,
) -> FittableModel:
    return KernelLogistic(params=params, info=info, seed=seed)


def _self_trained(
    params: Mapping[str, Any],
    *,
    info: EncoderInfo,
    seed: int,
    rung: str,
    rounds: int | None,
    n_trees: int | None,
    unlabelled: Unlabelled | None,
) -> FittableModel:
    return SelfTraining(
        params=params,
        info=info,
        seed=seed,
        patience=PATIENCE[rung],
        rounds=rounds,
        unlabelled=unlabelled,
    )


_BOOSTING_PARAMS = frozenset({*TUNABLE, "rounds", "negatives_per_positive"})
_FOREST_PARAMS = frozenset({"min_samples_leaf", "max_features"})

CATALOG: dict[str, ModelSpec] = {
    "lightgbm": ModelSpec(
        family="boosting",
        kind=Boosting,
        params=_BOOSTING_PARAMS,
        build=_boosting(Boosting),
        refine=refine.boosting,
        monotone=True,
    ),
    "rated_lightgbm": ModelSpec(
        family="rated",
        kind=RatedBoosting,
        params=_BOOSTING_PARAMS,
        build=_boosting(RatedBoosting),
        refine=refine.boosting,
    ),
    "self_trained_lightgbm": ModelSpec(
        family="boosting",
        kind=SelfTraining,
        params=_BOOSTING_PARAMS,
        build=_self_trained,
        refine=refine.boosting,
        monotone=True,
    ),
    "logistic": ModelSpec(
        family="linear",
        kind=Logistic,
        params=frozenset({"C", "n_quantiles"}),
        build=_logistic,
        refine=refine.linear,
        monotone=True,
    ),
    "kernel_logistic": ModelSpec(
        family="kernel",
        kind=KernelLogistic,
        params=frozenset({"C", "n_landmarks", "width"}),
        build=_kernel,
        refine=refine.kernel,
    ),
    "extra_trees": ModelSpec(
        family="forest",
        kind=ExtraTrees,
        params=_FOREST_PARAMS,
        build=_forest(ExtraTrees),
        refine=refine.forest,
        monotone=True,
    ),
    "random_forest": ModelSpec(
        family="forest",
        kind=RandomForest,
        params=_FOREST_PARAMS,
        build=_forest(RandomForest),
        refine=refine.forest,
        monotone=True,
    ),
    "balanced_forest": ModelSpec(
        family="balanced",
        kind=BalancedForest,
        params=_FOREST_PARAMS,
        build=_forest(BalancedForest),
        refine=refine.forest,
        monotone=True,
    ),
    "smote_lightgbm": ModelSpec(
        family="resampled",
        kind=SmoteBoosting,
        params=_BOOSTING_PARAMS | {"positives_per_negative"},
        build=_boosting(SmoteBoosting),
        refine=refine.boosting,
        monotone=True,
    ),
}


def build(
    candidate: Candidate,
    *,
    encoder_info: EncoderInfo,
    seed: int,
    rung: str = "final",
    rounds: int | None = None,
    n_trees: int | None = None,
    unlabelled: Unlabelled | None = None,
) -> FittableModel:
    """An unfitted model of the candidate.

    The rung sets the patience of boosting and the trees of a forest; `n_trees` overrides the
    latter, since a rung's trees are shared over its folds, and `rounds` is boosting's number of
    trees where it is fitted without `valid`. `unlabelled` rows are for the models that learn
    from them.

    Raises
    ------
    ValueError
        The model, a parameter or the rung is unknown.
    """
    if candidate.model not in CATALOG:
        raise ValueError(f"model {candidate.model!r} is not in the catalog {sorted(CATALOG)}")
    spec = CATALOG[candidate.model]
    if encoder_info.monotone and not spec.monotone:
        raise ValueError(f"{candidate.model} cannot keep to monotone columns")
    unknown = sorted(set(candidate.params) - spec.params)
    if unknown:
        raise ValueError(
            f"{candidate.model} has no parameter {unknown}; it has {sorted(spec.params)}"
        )
    if rung not in PATIENCE:
        raise ValueError(f"rung {rung!r} is not one of {sorted(PATIENCE)}")
    return spec.build(
        candidate.params,
        info=encoder_info,
        seed=seed,
        rung=rung,
        rounds=rounds,
        n_trees=n_trees,
        unlabelled=unlabelled,
    )


def load(folder: Path, stem: str) -> FittableModel:
    """A fitted model from the files that its `save` wrote.

    Raises
    ------
    ValueError
        The files are of a class that the catalog does not have.
    """
    name = load_details(folder, stem)["class"]
    for spec in CATALOG.values():
        if spec.kind.__name__ == name:
            model: FittableModel = spec.kind.load(folder, stem)
            return model
    raise ValueError(f"model class {name!r} is not in the catalog")


# Models that read many rows block by block, as long as no column is monotone; for any other the
# rows are copied.
_BY_BLOCKS = (Boosting, Logistic, ExtraTrees, RandomForest, BalancedForest)


def rows_for(
    model: FittableModel,
    matrix: npt.NDArray[np.float32],
    rows: npt.NDArray[np.intp],
    *,
    info: EncoderInfo,
) -> Any:
    """Rows of the matrix as the model is to be fitted on them."""
    if len(rows) > MANY_ROWS and type(model) in _BY_BLOCKS and not info.monotone:
        return RowsOf(matrix=matrix, rows=rows)
    return matrix[rows]


def monotone(candidate: Candidate) -> bool:
    """Whether a candidate's model can keep to monotone columns."""
    return CATALOG[candidate.model].monotone


def family(candidate: Candidate) -> str:
    """The family of a candidate's model."""
    return CATALOG[candidate.model].family


def expected_cpu_seconds(
    candidate: Candidate, n_rows: int, n_columns: int, *, n_trees: int = N_TREES["final"]
) -> float:
    """CPU-seconds that one fit of the candidate is expected to take, validated on a quarter.

    By the coefficients that come with the package, for a table of which no more is known; a
    search asks the cost model of its `Problem`. `n_trees` is of a forest, as given to `build`.
    """
    shape = FitShape(
        n_rows=n_rows,
        n_columns=n_columns,
        n_stopping=n_rows // 4,
        n_valid=n_rows // 4,
        n_trees=n_trees,
    )
    return CostModel.shipped().seconds(candidate, shape)
