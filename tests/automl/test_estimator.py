"""FrugalClassifier behaves as scikit-learn expects, on any kind of table."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from automl.estimator import FrugalClassifier


@parametrize_with_checks([FrugalClassifier(mode="eco", trials=2)])
def test_scikit_learn_contract(estimator: Any, check: Any) -> None:
    check(estimator)
