"""What choosing a window by a forecast saves, in shares of what perfect knowledge would.

A job of some hours may start in any hour up to its slack after it came; the forecast chooses the
window with the lowest mean, the first of equals. Every hour of a year has such a job come in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler.planner import WORST

Floats = npt.NDArray[np.float64]
JOB_HOURS = (1, 2, 4)
SLACKS = (8, 12, 24)
# Hours of a forecast that every case here needs, and what the last start hours of a year leave.
HORIZON = max(JOB_HOURS) + max(SLACKS)
TAIL = HORIZON - 1


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Of all jobs of one length and slack in one zone and year."""

    n_jobs: int
    grams_at_once: float  # mean g/kWh of starting at once
    grams_chosen: float
    grams_oracle: float
    worst_grams: float  # of one job, g/kWh dirtier than at once; 0 where none is
    dirtier_share: float  # of the jobs
    n_late: int  # jobs that would have ended after their deadline

    @property
    def percent(self) -> float:
        """Of the oracle's saving."""
        possible = self.grams_at_once - self.grams_oracle
        return 100 * (self.grams_at_once - self.grams_chosen) / possible


def saving(truth: Floats, forecast: Floats, *, hours: int, slack: int) -> Saving:
    """What one forecast saves.

    Parameters
    ----------
    truth : (n,) g/kWh of each hour.
    forecast : (n,) what every start hour expects of each hour, or (n - TAIL, HORIZON) what start
        hour i expects of hour i + j.
    """
    n = len(truth) - TAIL
    starts = np.arange(n)[:, None] + np.arange(slack + 1)
    real = _means(truth, hours)[starts]
    if forecast.ndim == 1:
        expected = _means(forecast, hours)[starts]
    else:
        expected = _means(forecast[:n], hours)[:, : slack + 1]
    chosen = expected.argmin(1)
    got = real[np.arange(n), chosen]
    ends = chosen + hours
    return Saving(
        n_jobs=n,
        grams_at_once=float(real[:, 0].mean()),
        grams_chosen=float(got.mean()),
        grams_oracle=float(real.min(1).mean()),
        worst_grams=float(max((got - real[:, 0]).max(), 0.0)),
        dirtier_share=float((got > real[:, 0] + 1e-9).mean()),
        n_late=int((ends > slack + hours).sum()),
    )


def kept_share(truth: Floats, forecast: Floats, error: Floats, *, slack: int) -> float:
    """Share of the waits of 1 h jobs that saved at least what 95 of 100 should, by their error.

    Parameters
    ----------
    error : (n - TAIL,) standard deviation of the error of a difference, in g/kWh.
    """
    n = len(truth) - TAIL
    here = np.arange(n)
    expected = forecast[:n, : slack + 1]
    chosen = expected.argmin(1)
    promised = expected[:, 0] - expected[here, chosen] - WORST * error
    saved = truth[:n] - truth[here + chosen]
    return float((saved >= promised)[chosen > 0].mean())


def _means(values: Floats, hours: int) -> Floats:
    """Mean of each `hours` values that follow one another, along the last axis."""
    zero = np.zeros((*values.shape[:-1], 1))
    total = np.concatenate([zero, np.cumsum(values, axis=-1)], axis=-1)
    return (total[..., hours:] - total[..., :-hours]) / hours
