"""Frugal: rare-event models at brute-force quality for a few percent of the computing.

Names are imported when first asked for, so that ``import automl.cost`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.cost import Budget
    from automl.data.dataset import Dataset
    from automl.estimator import FrugalClassifier
    from automl.search.champion import Champion
    from automl.search.objective import Objective

__all__ = ["Budget", "Champion", "Dataset", "FrugalClassifier", "Objective"]

_HOMES = {
    "Budget": "automl.cost",
    "Champion": "automl.search.champion",
    "Dataset": "automl.data.dataset",
    "FrugalClassifier": "automl.estimator",
    "Objective": "automl.search.objective",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'automl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
