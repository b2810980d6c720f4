"""A budget that features are paid from, with the room kept that a first model needs."""

from __future__ import annotations

from dataclasses import replace

from automl.cost import ZERO, Budget, Cost, Refusal
from automl.meters.base import Meter
from automl.models.expected import CostModel
from automl.search.speed import MOST_OFF, probed


class Purse:
    """A budget, by what was measured and by what more is expected to take."""

    def __init__(self, budget: Budget, meter: Meter) -> None:
        self._budget, self._spent, self._expected = budget, ZERO, 0.0
        self._costs = CostModel.shipped()
        self._speed = probed(meter, self._costs) if budget.is_limited else None

    def charge(self, cost: Cost, *, expected: float) -> None:
        """Take off what a step took; `expected` CPU-seconds were."""
        self._spent += cost
        self._expected += expected

    def refusal(self, seconds: float) -> Refusal | None:
        """Why so many expected CPU-seconds more, to the first model, do not fit; None if they do.

        They are counted as late as they are in one case of twenty: a feature can be left out and
        a model cannot, so an unlucky step does not take the model's room.
        """
        if self._speed is None:
            return None
        # Where steps took longer than expected, the next is taken to do so as well.
        ratio = self._spent.cpu_seconds / self._expected if self._expected else 0.0
        seconds_each = max(self._speed.seconds, min(ratio, MOST_OFF))
        late = self._costs.error["*"][-1]
        more = replace(self._speed, seconds=seconds_each).cost(late * seconds)
        return self._budget.refusal(self._spent, n_trials=-1, expected=more)
