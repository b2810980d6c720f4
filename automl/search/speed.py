"""How fast this machine is beside the one that costs were fitted on. Imports no model.

For budgets only. Choices go by expected costs themselves, since measured ones differ from run to
run and would make the champion differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from automl.cost import ZERO, Cost, Speed
from automl.meters.base import Meter
from automl.meters.cpu_time import WATTS_PER_CORE
from automl.meters.probe import probe
from automl.models.expected import CostModel
from automl.trial import Trial

# A ratio of measured to expected cost beyond this is a fault of one reading, not of the machine.
MOST_OFF = 20.0
# No machine is so many times as fast as the one of the coefficients; a probe may misread itself.
MOST_FASTER = 4.0
# The probe counts as much as so many trials: of 0, 1, 2, 4 and the probe alone, two predicted the
# next trial best (root mean square error of log(measured / expected) 0.45, the trials alone 0.50,
# the first trial alone 0.57; python -m benchmarks.cost_model, 2026-11-23).
PROBE_TRIALS = 2.0


def probed(meter: Meter, costs: CostModel) -> Speed:
    """This machine's speed before any trial, by a probe of 10 ms."""
    took = probe(meter)
    seconds = took.cpu_seconds / costs.probe_seconds
    return Speed(
        seconds=min(max(seconds, 1 / MOST_FASTER), MOST_OFF),
        watts=took.joules / took.cpu_seconds if took.cpu_seconds > 0 else WATTS_PER_CORE,
        wall=_waiting(took),
    )


def _waiting(cost: Cost) -> float:
    """Wall seconds for a CPU-second, 1 at least: one thread cannot be faster than itself."""
    return min(max(cost.wall_seconds / max(cost.cpu_seconds, 1e-9), 1.0), MOST_OFF)


def speed_of(trials: Sequence[Trial], before: Speed) -> Speed:
    """The same after trials that were measured; stored ones, so that a resumed search agrees."""
    measured = [trial for trial in trials if trial.cost.meter != "expected"]
    if not measured:
        return before
    expected = sum(trial.expected.cpu_seconds for trial in measured)
    cost = sum((trial.cost for trial in measured), start=ZERO)
    prior = PROBE_TRIALS * expected / len(measured)
    seconds = (before.seconds * prior + cost.cpu_seconds) / max(prior + expected, 1e-9)
    return Speed(
        seconds=min(max(seconds, 1 / MOST_OFF), MOST_OFF),
        watts=cost.joules / cost.cpu_seconds if cost.cpu_seconds > 0 else before.watts,
        wall=max(_waiting(cost), _waiting(measured[-1].cost)),
    )
