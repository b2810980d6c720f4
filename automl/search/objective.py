"""What a good model is: the score that every choice of a search is made by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.search.metrics import (
    Bootstrap,
    Steps,
    average_precisions,
    cost_savings,
    interval,
    least_costs,
    precisions_at_recall,
    recalls_at_alert_rate,
    roc_aucs,
    steps_of,
)

Floats = npt.NDArray[np.float64]
Metric = Callable[[Steps], Floats]

METRICS = (
    "average_precision",
    "roc_auc",
    "recall_at_alert_rate",
    "precision_at_recall",
    "expected_cost",
)
# The score under its own name beside the other scores of a trial: a cost is no score, since less
# of it is better.
SCORE_NAMES = {"expected_cost": "cost_saving"}
# Beyond, a sum of costs or the probability that they say to alert at is no number any more.
MOST_COST = 1e12
NUMBERS = (
    "alert_rate",
    "recall",
    "missed_cost",
    "alert_cost",
    "predictions_per_day",
    "horizon_days",
    "retrains",
)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The metric to be best at, and the numbers that it needs.

    Parameters
    ----------
    metric : str
        One of `METRICS`. Scores are higher for the better and in [0, 1]; ``expected_cost`` is
        scored as the share of the cost saved against the better of alerting nobody and everybody.
    alert_rate : float
        Share of the rows that can be looked at: for ``recall_at_alert_rate``, and for the threshold
        unless the metric sets its own.
    recall : float, optional
        Share of the positives that must be found: ``precision_at_recall`` needs it.
    missed_cost, alert_cost : float, optional
        Cost of a positive that is not alerted and of an alert on a negative, in one unit of any
        kind: ``expected_cost`` needs both.
    predictions_per_day, horizon_days, retrains : float, optional
        How much and for how long the model is going to be used (a year, where only the first is
        given), and how often it is expected to be fitted again in that time: the front then
        weighs quality against the energy of the model's whole life (`automl.search.lifetime`).

    Raises
    ------
    ValueError
        An unknown metric, a number outside its range, or one that the metric needs and is None.
    """

    metric: str = "average_precision"
    alert_rate: float = 0.01
    recall: float | None = None
    missed_cost: float | None = None
    alert_cost: float | None = None
    predictions_per_day: float | None = None
    horizon_days: float | None = None
    retrains: float | None = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"metric {self.metric!r} is not one of {', '.join(METRICS)}")
        for name in NUMBERS:
            value = getattr(self, name)
            absent = value is None and name != "alert_rate"
            if not absent and not isinstance(value, Real):
                raise ValueError(f"{name} is a {type(value).__name__}; it must be a number")
        if not 0 < self.alert_rate < 1:
            raise ValueError(f"alert_rate is {self.alert_rate}; it must be between 0 and 1")
        if self.recall is not None and not 0 < self.recall <= 1:
            raise ValueError(f"recall is {self.recall}; it must be above 0 and at most 1")
        for name in ("predictions_per_day", "retrains"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; it must be a finite number, 0 or above")
        for name in ("missed_cost", "alert_cost", "horizon_days"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}; it must be a finite number above 0")
        if (self.missed_cost is None) != (self.alert_cost is None):
            raise ValueError("missed_cost and alert_cost go together; one of them is not given")
        if self.missed_cost is not None and self.alert_cost is not None:
            costs = self.missed_cost, self.alert_cost
            if max(costs) > MOST_COST or max(costs) / MOST_COST > min(costs):
                raise ValueError(
                    f"missed_cost is {costs[0]:g} and alert_cost {costs[1]:g}; each must be at "
                    f"most {MOST_COST:g}, and neither more than {MOST_COST:g} times the other"
                )
        for name in self.needs:
            if getattr(self, name) is None:
                raise ValueError(f"metric {self.metric} needs {name}")

    def to_json(self) -> dict[str, Any]:
        """Its parameters without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the parameters that the metric cannot do without."""
        return NEEDS.get(self.metric, ())

    @property
    def score_name(self) -> str:
        """The name of the score among `scores`.

        >>> Objective(metric="expected_cost", missed_cost=50, alert_cost=1).score_name
        'cost_saving'
        """
        return SCORE_NAMES.get(self.metric, self.metric)

    @property
    def fair_probability(self) -> float:
        """Where an alert costs what none does; ValueError without costs.

        >>> Objective(metric="expected_cost", missed_cost=9, alert_cost=1).fair_probability
        0.1
        """
        if self.missed_cost is None or self.alert_cost is None:
            raise ValueError("missed_cost and alert_cost are not given")
        return self.alert_cost / (self.alert_cost + self.missed_cost)

    def cost(
        self, y: npt.NDArray[Any], alerted: npt.NDArray[np.bool_], weight: Floats
    ) -> float | None:
        """Cost per row of these alerts; None without costs."""
        if self.missed_cost is None or self.alert_cost is None:
            return None
        missed, false = (y == 1) & ~alerted, (y == 0) & alerted
        return float(
            np.average(self.missed_cost * missed + self.alert_cost * false, weights=weight)
        )

    @property
    def sets_threshold(self) -> bool:
        """Whether alerts begin where the metric says, whatever `alert_rate` is."""
        return self.metric in ("precision_at_recall", "expected_cost")

    @property
    def chance(self) -> float:
        """What a random order of many rows scores at the rarest: half an area, else nothing."""
        return 0.5 if self.metric == "roc_auc" else 0.0

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric that is reported, by name; the score is among them."""
        found: dict[str, Metric] = {
            "average_precision": average_precisions,
            "roc_auc": roc_aucs,
            "recall_at_alert_rate": partial(recalls_at_alert_rate, alert_rate=self.alert_rate),
        }
        if self.recall is not None:
            found["precision_at_recall"] = partial(precisions_at_recall, recall=self.recall)
        if self.missed_cost is not None and self.alert_cost is not None:
            missed, alert = self.missed_cost, self.alert_cost
            found["cost_saving"] = partial(cost_savings, missed_cost=missed, alert_cost=alert)
            found["expected_cost"] = partial(least_costs, missed_cost=missed, alert_cost=alert)
        return found

    def score(
        self, y: npt.ArrayLike, logit: npt.ArrayLike, weight: npt.ArrayLike | None = None
    ) -> float:
        """How good a ranking is, higher is better, in [0, 1]; nan with one class only."""
        return float(self.metrics[self.score_name](steps_of(y, logit, weight))[0])

    def scores(
        self, y: npt.ArrayLike, logit: npt.ArrayLike, weight: npt.ArrayLike | None = None
    ) -> dict[str, float]:
        """All that is reported, by name; those that are no numbers are left out."""
        steps = steps_of(y, logit, weight)
        found = {name: float(metric(steps)[0]) for name, metric in self.metrics.items()}
        return {name: score for name, score in found.items() if np.isfinite(score)}

    def replicates(self, bootstrap: Bootstrap, logit: npt.ArrayLike) -> Floats:
        """The score in every replicate, shape (n,): paired over logits of the same rows."""
        name = self.score_name
        return bootstrap.replicates(logit, {name: self.metrics[name]})[name]

    def intervals(
        self, bootstrap: Bootstrap, logit: npt.ArrayLike
    ) -> dict[str, tuple[float, float]]:
        """The 90 % interval of all that is reported, by name."""
        replicates = bootstrap.replicates(logit, self.metrics)
        found = {name: interval(values) for name, values in replicates.items()}
        return {name: spread for name, spread in found.items() if spread is not None}


NEEDS: Mapping[str, tuple[str, ...]] = {
    "precision_at_recall": ("recall",),
    "expected_cost": ("missed_cost", "alert_cost"),
}
