"""Which groups of features a search is to have: cheap ones first, dear ones where they earn it.

A group is a proposal like a model is: it is computed for the screening sample only, one boosting
model is fitted out of fold with and without it on the same folds, and it stays where its gain is
worth what computing it for all rows is expected to take. What no tree split on is dropped at the
end, so that a champion never reads what it does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.cost import Budget, Cost
from automl.data.dataset import Dataset
from automl.errors import BudgetExhausted
from automl.features.featurizer import Featurizer, groups_of
from automl.meters.base import Meter, measure
from automl.relations.tables import Relations
from automl.sampling.base import Sampler
from automl.sampling.stratified import CaseControl
from automl.sampling.temporal import RecentFirst
from automl.search.effort import EFFORTS
from automl.search.feature_audit import suspicions
from automl.search.feature_race import Decision, Race
from automl.search.objective import Objective
from automl.search.purse import Purse
from automl.search.stop import Stop, refused

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The features of a search; `featurizer` is None where no group earned its place."""

    featurizer: Featurizer | None
    decisions: tuple[Decision, ...]
    base_score: float | None  # of the entity table alone, on the same sample and folds
    cost: Cost
    n_rows: int  # of the sample that decided
    warnings: tuple[Mapping[str, Any], ...] = ()  # of features that look too good, and of `stop`
    stop: Stop | None = None  # of a choice that ended before every group was looked at


def chosen(
    relations: Relations,
    dataset: Dataset,
    *,
    meter: Meter,
    seed: int,
    mode: str = "balanced",
    objective: Objective | None = None,
    groups: Sequence[str] | None = None,
    n_final: int | None = None,
    budget: Budget | None = None,
    stop: Callable[[], str | None] | None = None,
    on_group: Callable[[Decision], None] | None = None,
) -> Chosen:
    """Decide which groups of features to compute, on a screening sample of the entities.

    Decisions follow from scores and expected costs alone, so the same data and seed give the same
    features.

    Parameters
    ----------
    relations : entity rows and their tables, as many rows as the dataset and in its order
    dataset : Dataset
        Its columns are those of the entity table.
    objective : what a gain is one of; average precision by default
    groups : names that may be proposed, e.g. ``trans.aggregates``; all by default
    n_final : rows that finalists are fitted on, where the dataset is the sample already
    budget : a hard limit, asked before each group with what trying it, computing it for all rows
        and a first model are expected to take; its trials are those of models and not counted
    stop : asked before each group; a text ends the choice with what it has
    on_group : told each decision as it falls

    Raises
    ------
    BudgetExhausted
        Rows without columns of their own, and not one group of features fits the budget.
    """
    if relations.n_rows != dataset.n_rows:
        raise ValueError(f"{relations.n_rows} entities for {dataset.n_rows} rows")
    sampler: Sampler = CaseControl() if dataset.time is None else RecentFirst()
    n_rows = sampler.screening_rows(dataset)
    rows = np.sort(sampler.order(dataset, seed=seed)[:n_rows])
    n_final = sampler.final_rows(dataset) if n_final is None else n_final
    budget = Budget() if budget is None else budget
    with measure(meter) as reading:
        race = Race(
            relations=relations.take(rows),
            dataset=sampled(dataset, rows),
            effort=EFFORTS[mode],
            n_final=n_final,
            objective=Objective() if objective is None else objective,
            meter=meter,
            seed=seed,
            purse=Purse(budget, meter),
        )
        proposals = [
            one for one in groups_of(race.relations) if groups is None or one.name in groups
        ]
        ended = race.ended
        while proposals and ended is None:
            offer = min(proposals, key=race.turn)
            asked = None if stop is None else stop()
            refusal = race.refusal(offer)
            if asked is not None:
                ended = Stop(reason="stopped", text=f"stopped: {asked}")
            elif refusal is not None:
                ended = refused(refusal)  # dearer ones come later: they do not fit either
            else:
                proposals.remove(offer)
                decision = race.tried(offer) if race.affords(offer) else race.left(offer)
                if on_group is not None:
                    on_group(decision)
        if ended is not None and ended.reason == "budget":
            for one in proposals:
                race.left(one, why=f"not tried: {ended.text}")
        featurizer = race.pruned()
        if featurizer is None and ended is not None and not dataset.X.shape[1]:
            raise BudgetExhausted(f"no feature was computed: {ended.text}")
        warnings = (
            [] if featurizer is None else suspicions(race.relations, race.dataset.y, featurizer)
        )
    if ended is not None:
        detail = f"{ended.text}; {len(proposals)} groups of features were not tried"
        warnings = [*warnings, {"code": "features_stopped", "detail": detail}]
    return Chosen(
        warnings=tuple(warnings),
        featurizer=featurizer,
        decisions=tuple(race.decisions),
        base_score=race.base_score,
        cost=reading.cost,
        n_rows=len(rows),
        stop=ended,
    )


def sampled(dataset: Dataset, rows: Rows) -> Dataset:
    """Some rows of a dataset, weighted so that each class stands for all of its rows."""
    y = dataset.y[rows]
    weight = np.ones(len(rows)) if dataset.weight is None else dataset.weight[rows]
    for label in (0, 1):
        total = dataset.weight[dataset.y == label].sum() if dataset.weight is not None else None
        whole = float((dataset.y == label).sum()) if total is None else float(total)
        weight = np.where(y == label, weight * whole / weight[y == label].sum(), weight)
    return Dataset(
        X=dataset.X.iloc[rows].reset_index(drop=True),
        y=y,
        time=None if dataset.time is None else dataset.time[rows],
        group=None if dataset.group is None else dataset.group[rows],
        weight=None if len(rows) == dataset.n_rows and dataset.weight is None else weight,
        monotone=dataset.monotone,
        gap=dataset.gap,
    )
