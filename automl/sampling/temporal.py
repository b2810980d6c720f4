"""Samples of data in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.dataset import Dataset
from automl.sampling.stratified import CaseControl


@dataclass(frozen=True, kw_only=True)
class RecentFirst(CaseControl):
    """Case-control blocks in which recent rows tend to come first.

    A row is drawn with a weight that halves each `half_life` of the rows' ranks in time (1 = the
    whole span), without replacement, each class by itself. Old rows stay in every prefix on
    purpose: validation is later than training, so the training side of an early fold has old
    rows only, and a strictly recent prefix would leave it empty. Within one class the chance to
    be kept depends on the time alone, so the prior correction holds at any one time; over all,
    it is as good as the positives' share is stable.

    Efraimidis & Spirakis, "Weighted random sampling with a reservoir", IPL 2006.
    """

    half_life: float = 0.5

    def order(self, dataset: Dataset, *, seed: int) -> npt.NDArray[np.intp]:
        """Return a permutation of the rows, shape (n_rows,); without time, that of CaseControl."""
        if dataset.time is None:
            return super().order(dataset, seed=seed)
        times, distinct = pd.factorize(pd.Series(dataset.time), sort=True)
        age = 1 - times / max(len(distinct) - 1, 1)  # 0 for the latest time, 1 for the first
        # Sorting E / w ascending, E exponential, draws by weight without replacement.
        draws = np.random.default_rng(seed).exponential(size=dataset.n_rows)
        keys = draws * np.exp2(age / self.half_life)
        order = np.argsort(keys, kind="stable").astype(np.intp)
        positive = np.asarray(dataset.y)[order] == 1
        return self._blocks(order[positive], order[~positive])
