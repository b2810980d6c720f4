"""What a fit is expected to take: pure, growing with all that it looks at, and light to ask."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from automl.meta.portfolio import NAMED
from automl.models.catalog import CATALOG
from automl.models.expected import SHIPPED, CostModel, FitShape, is_boosted
from automl.models.rounds import most_rounds
from automl.trial import Candidate

SHAPE = FitShape(
    n_rows=5_000, n_columns=20, n_positive=400, n_stopping=1_200, n_valid=1_200, n_trees=40
)
COSTS = CostModel.shipped()


@pytest.mark.parametrize("name", NAMED)
def test_more_to_look_at_never_costs_less(name: str) -> None:
    candidate = NAMED[name]
    seconds = COSTS.seconds(candidate, SHAPE)
    assert 0 < seconds < 60
    assert seconds == COSTS.seconds(candidate, SHAPE)
    for field in ("n_rows", "n_columns", "n_valid", "n_stopping", "n_positive", "n_trees"):
        more = replace(SHAPE, **{field: 2 * getattr(SHAPE, field)})
        assert COSTS.seconds(candidate, more) >= seconds, field
    assert COSTS.seconds(candidate, replace(SHAPE, n_rows=50_000)) > 2 * seconds
    assert COSTS.seconds(candidate, replace(SHAPE, n_wide=200)) >= seconds


def test_rows_that_stop_and_validate_are_paid_for() -> None:
    """Scoring 30,000 rows in each round once cost more than the fit, and was in no estimate."""
    alone = replace(SHAPE, n_stopping=1, n_valid=0)
    many = replace(SHAPE, n_stopping=30_000, n_valid=30_000)
    assert COSTS.seconds(NAMED["L15"], many) > 1.5 * COSTS.seconds(NAMED["L15"], alone)
    assert COSTS.seconds(NAMED["ETs"], many) > COSTS.seconds(NAMED["ETs"], alone)
    assert COSTS.score_seconds(30_000) > COSTS.score_seconds(1_000) > 0
    fixed = NAMED["LightGBM default"]  # nothing tells it to stop
    assert COSTS.seconds(fixed, many) == COSTS.seconds(fixed, replace(many, n_stopping=1))


def test_columns_of_few_values_are_cheaper() -> None:
    for name in ("L15", "RF"):
        few = COSTS.seconds(NAMED[name], replace(SHAPE, n_bins=60))
        assert few < COSTS.seconds(NAMED[name], SHAPE), name


def test_rounds_follow_the_candidate() -> None:
    def rounds(shape: FitShape = SHAPE, **params: Any) -> float:
        return COSTS.expected_rounds(Candidate(model="lightgbm", params=params), shape)

    assert rounds(learning_rate=0.02) > rounds(learning_rate=0.1)
    assert rounds(rounds=70) == 70
    assert rounds(replace(SHAPE, rounds=9), learning_rate=0.1) == 9
    assert rounds(replace(SHAPE, n_stopping=0), learning_rate=0.05) == 160
    slow = {"learning_rate": 0.05}
    assert rounds(replace(SHAPE, n_rows=10**9), **slow) == most_rounds(slow)
    assert COSTS.expected_rounds(NAMED["RF"], SHAPE) == 0


def test_every_model_of_the_catalog_has_a_cost() -> None:
    for model in CATALOG:
        assert COSTS.seconds(Candidate(model=model), SHAPE) > 0
    unknown = Candidate(model="of tomorrow")
    dearest = max(COSTS.seconds(Candidate(model=model), SHAPE) for model in CATALOG)
    assert 0 < COSTS.seconds(unknown, SHAPE) <= dearest
    own = {c.model for c in NAMED.values() if not is_boosted(c.model)}
    assert set(COSTS.models) >= own, "python -m benchmarks.cost_model --write"


def test_as_json_and_back() -> None:
    text = json.dumps(COSTS.to_json())
    again = CostModel.from_json(json.loads(text))
    assert again == COSTS
    for candidate in NAMED.values():
        assert again.seconds(candidate, SHAPE) == COSTS.seconds(candidate, SHAPE)
    assert len(text) < 20_000


@pytest.mark.parametrize(
    ("part", "value", "match"),
    [
        ("models", None, "needs 'models'"),
        ("steps", [1.0], "needs 'steps'"),
        ("models", {"logistic": [-1.0, 0, 0, 0, 0]}, "'logistic'"),
        ("steps", {"score": [float("nan")]}, "'score'"),
    ],
)
def test_coefficients_that_are_none(part: str, value: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        CostModel.from_json({**COSTS.to_json(), part: value})


def test_the_error_on_tables_left_out_is_shipped_and_within_bounds() -> None:
    low, middle, high = COSTS.error["*"]
    assert 0.8 < middle < 1.25
    assert low > 0.3
    assert high < 3


def test_asking_imports_no_model() -> None:
    """A service that never loads a model asks it as well."""
    code = (
        "import sys\n"
        "from automl.models.expected import CostModel\n"
        "CostModel.shipped()\n"
        "import automl.search.floor, automl.search.speed\n"
        "print([m for m in ('lightgbm', 'sklearn', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", SHIPPED
