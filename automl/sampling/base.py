"""Choosing rows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from automl.data.dataset import Dataset


class Sampler(Protocol):
    """Orders the rows once; every sample is a prefix, so samples are nested."""

    def order(self, dataset: Dataset, *, seed: int) -> npt.NDArray[np.intp]:
        """Return a permutation of the rows, shape (n_rows,)."""
        ...

    def screening_rows(self, dataset: Dataset) -> int:
        """How long the prefix is that families race on."""
        ...

    def final_rows(self, dataset: Dataset) -> int:
        """How long the prefix is that finalists are judged and refitted on."""
        ...
