"""SMOTE inside the fold: a candidate, never a default."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from imblearn.over_sampling import SMOTE, SMOTENC

from automl.data.encoding import EncoderInfo
from automl.models.base import Floats, Labels, Valid, X, log_odds, one_thread, positive_rate
from automl.models.boosting import Boosting

# The distance matrix between positives is what it costs; above, SMOTE sees a first part only.
MOST_POSITIVES = 5_000


class SmoteBoosting(Boosting):
    """LightGBM on rows with synthetic positives added, prior-corrected.

    Chawla et al., "SMOTE", JAIR 2002. Synthetic rows never reach validation. It cost 3.5 times
    the CPU and lowered average precision by 2 to 3 % (docs/method.md, Imbalance), so it has to win
    its place.
    ``positives_per_negative`` says how far to go; missing cells are filled by the median first.
    """

    def __init__(
        self,
        *,
        params: Mapping[str, Any],
        info: EncoderInfo,
        seed: int,
        patience: int,
        rounds: int | None = None,
    ) -> None:
        super().__init__(params=params, info=info, seed=seed, patience=patience, rounds=rounds)
        self._share = float(self.params.pop("positives_per_negative", 0.25))

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Add positives, then grow trees; see `FittableModel.fit`."""
        true_rate = positive_rate(y, sample_weight)
        rows, labels, weight = self._resample(X, y, sample_weight)
        super().fit(rows, labels, sample_weight=weight, valid=valid)
        shift = log_odds(true_rate) - log_odds(positive_rate(labels, weight))
        self.details |= {"positive_rate": true_rate, "logit_shift": shift}
        return self

    def decision(self, X: X) -> Floats:
        """Logits, shape (n_rows,)."""
        return super().decision(X) + float(self.details["logit_shift"])

    def _resample(self, X: X, y: Labels, weight: Floats | None) -> tuple[X, Labels, Floats | None]:
        n_positive = int(y.sum())
        n_wanted = int(self._share * (len(y) - n_positive))
        if n_positive < 2 or n_wanted <= n_positive:
            return X, y, weight  # nothing to interpolate between, or positives enough
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a column may be missing throughout
            median = np.nan_to_num(np.nanmedian(X, axis=0)).astype(np.float32)
        filled = np.where(np.isnan(X), median, X)
        kept = np.ones(len(y), dtype=bool)
        kept[np.flatnonzero(y == 1)[MOST_POSITIVES:]] = False
        shared = {
            "sampling_strategy": {1: int(kept[y == 1].sum()) + n_wanted - n_positive},
            "k_neighbors": min(5, n_positive - 1),
            "random_state": self.seed,
        }
        codes = self.info.where("category")
        numeric = len(codes) < X.shape[1]
        smote = SMOTENC(codes, **shared) if codes and numeric else SMOTE(**shared)
        with one_thread():
            made = smote.fit_resample(filled[kept], y[kept])[0][int(kept.sum()) :]
        rows = np.concatenate([X, np.asarray(made, dtype=np.float32)])
        labels = np.concatenate([y, np.ones(len(made), dtype=y.dtype)])
        if weight is None:
            return rows, labels, None
        typical = float(weight[y == 1].mean())
        return rows, labels, np.concatenate([weight, np.full(len(made), typical)])
