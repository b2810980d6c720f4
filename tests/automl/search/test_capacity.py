"""Growing where a score was still climbing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from automl.cost import ZERO
from automl.meta.portfolio import NAMED
from automl.models.rounds import most_rounds
from automl.search.capacity import MOST_LEAVES, larger
from automl.trial import Candidate, Proposal, Trial


def ended(candidate: Candidate, *best: int) -> Trial:
    return Trial(
        number=0,
        proposal=Proposal(candidate=candidate, rung="final", n_rows=100),
        cost=ZERO,
        expected=ZERO,
        score=0.5,
        details={"parts": [{"best_iteration": one} for one in best]},
    )


@pytest.mark.parametrize("name", ["L15", "R15"])
def test_leaves_grow_only_where_the_last_round_was_about_the_best(name: str) -> None:
    most = most_rounds(NAMED[name].params)
    grown = larger(ended(NAMED[name], most, most - 20))
    assert grown is not None
    assert grown.params["num_leaves"] == 60
    assert dict(grown.params) | {"num_leaves": 15} == dict(NAMED[name].params)
    assert larger(ended(NAMED[name], most, most // 2)) is None
    assert larger(replace(ended(NAMED[name], most), score=None)) is None


def test_growth_ends() -> None:
    candidate: Candidate | None = NAMED["L15"]
    leaves = []
    while candidate is not None:
        leaves.append(candidate.params["num_leaves"])
        candidate = larger(ended(candidate, most_rounds(candidate.params)))
    assert leaves == [15, 60, 240, MOST_LEAVES]


def test_what_has_no_rounds_to_stop_by_does_not_grow() -> None:
    assert larger(ended(NAMED["RF"])) is None
    assert larger(ended(NAMED["LightGBM default"], 100)) is None
