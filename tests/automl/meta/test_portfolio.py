"""Which models come first."""

from __future__ import annotations

import pytest

from automl.meta.portfolio import FEW, FEW_ROWS, MODES, NAMED, Portfolio, label, portfolio
from automl.models.catalog import family
from automl.search.effort import EFFORTS
from automl.trial import Candidate


def test_modes_grow_from_eco_to_best() -> None:
    first = [[label(candidate) for candidate in portfolio(mode).first] for mode in MODES]
    assert first == [["L15", "LRq", "ETs"]] * 3
    assert not portfolio("eco").expand
    assert portfolio("balanced").expand == portfolio("best").expand
    assert list(EFFORTS) == list(MODES)
    assert 0 == EFFORTS["eco"].refinements < EFFORTS["balanced"].refinements
    assert EFFORTS["balanced"].refinements < EFFORTS["best"].refinements


@pytest.mark.parametrize("models", [*MODES.values(), *FEW.values()])
def test_expansions_are_of_the_family_they_stand_under(models: Portfolio) -> None:
    for name, candidates in models.expand.items():
        assert {family(candidate) for candidate in candidates} <= {name}


def test_few_rows_race_deep_trees_and_kernels() -> None:
    few = {mode: portfolio(mode, n_rows=FEW_ROWS) for mode in MODES}
    assert [label(candidate) for candidate in few["eco"].first] == ["L15", "LRq", "ETd"]
    for mode in ("balanced", "best"):
        assert [label(candidate) for candidate in few[mode].first] == ["L15", "LRq", "ETd", "KLR"]
        assert portfolio(mode, n_rows=FEW_ROWS + 1) == portfolio(mode)
        assert not any(few[mode].expand.values())


def test_resampling_is_never_a_default() -> None:
    for mode in (*MODES.values(), *FEW.values()):
        shown = [*mode.first, *(c for candidates in mode.expand.values() for c in candidates)]
        assert not {"balanced", "resampled"} & {family(candidate) for candidate in shown}


def test_names_and_ids_are_one_to_one() -> None:
    assert len({candidate.id for candidate in NAMED.values()}) == len(NAMED)
    for name, candidate in NAMED.items():
        again = Candidate(model=candidate.model, params=dict(candidate.params))
        assert label(again) == name
    other = Candidate(model="logistic", params={"C": 3.0})
    assert label(other) == f"logistic {other.id[:6]}"


def test_an_unknown_mode_is_named() -> None:
    with pytest.raises(ValueError, match="'turbo' is not one of eco, balanced, best"):
        portfolio("turbo")
