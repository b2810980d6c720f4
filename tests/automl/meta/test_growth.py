"""What a search adds: shares and costs of known configurations on one sample, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from automl.cost import Cost
from automl.meta.features import META_NAMES, meta_features
from automl.meta.growth import contribution, to_tasks
from automl.meta.knowledge import Knowledge
from automl.meta.portfolio import NAMED
from automl.trial import Candidate, Proposal, Trial

META = (1.0,) * len(META_NAMES)


def trial(
    name: str, score: float | None, *, n_rows: int = 6600, seconds: float = 1.0, number: int = 0
) -> Trial:
    candidate = NAMED.get(name) or Candidate(model="lightgbm", params={"num_leaves": 77})
    cost = Cost(cpu_seconds=seconds, joules=1.0, meter="cpu_time")
    return Trial(
        number=number,
        proposal=Proposal(candidate=candidate, rung="screening", n_rows=n_rows),
        cost=cost,
        expected=cost,
        score=score,
        scores={} if score is None else {"average_precision": score, "roc_auc": 0.9},
        error="failed" if score is None else None,
    )


def added(*trials: Trial) -> dict[str, Any] | None:
    return contribution(
        trials,
        knowledge=Knowledge.shipped(),
        meta=META,
        n_rows=9000,
        n_positive=250,
        n_columns=7,
        seed=3,
        sketch=None,
    )


def test_shares_of_the_best_on_the_sample_that_most_were_raced_on() -> None:
    line = added(
        trial("L15", 0.4, seconds=0.5),
        trial("LRq", 0.2, seconds=0.25),
        trial("ETs", None),
        trial("something refined", 0.9),
        trial("L15", 0.5, n_rows=100_000, seconds=9.0),
    )
    assert line is not None
    ids = [NAMED[name].id for name in ("L15", "LRq")]
    assert line["rel"] == dict(zip(ids, (1.0, 0.5), strict=True))
    assert line["cost"] == dict(zip(ids, (2.0, 1.0), strict=True))
    assert set(line) == {"n", "pos", "d", "seed", "meta", "rel", "cost", "sketch"}
    (task,), n_skipped = to_tasks([json.loads(json.dumps(line))])
    assert n_skipped == 0
    assert task.weight == 0.5  # 250 of 500 positives
    assert task.options[(ids[1], ids[1])] == (0.5, 0.5)


@pytest.mark.parametrize(
    "trials", [(), (trial("L15", 0.4),), (trial("L15", None), trial("LRq", 0.2))]
)
def test_one_alone_says_nothing(trials: tuple[Trial, ...]) -> None:
    assert added(*trials) is None


def test_features_are_those_of_the_definition() -> None:
    found = meta_features(
        n_rows=1000,
        n_positive=10,
        n_columns=8,
        n_categories=2,
        most_levels=0,
        landmarks={"LRq": 0.02, "ETs": 0.08, "L15": 0.04},
    )
    assert found == pytest.approx(
        (6.9078, 2.3026, -4.6052, 2.0794, 0.25, 0.0, 0.6931, 0.6931, 0.6931)
    )
    bare = meta_features(
        n_rows=10, n_positive=1, n_columns=1, n_categories=0, most_levels=0, landmarks={"L15": 0.0}
    )
    assert bare[-3:] == (None, None, None)
