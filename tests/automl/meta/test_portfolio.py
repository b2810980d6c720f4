"""Which models come first."""

from __future__ import annotations

import pytest

from automl.meta.portfolio import MODES, NAMED, label, portfolio
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


def test_expansions_are_of_the_family_they_stand_under() -> None:
    for name, candidates in portfolio("balanced").expand.items():
        assert {family(candidate) for candidate in candidates} == {name}


def test_resampling_is_never_a_default() -> None:
    for mode in MODES.values():
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
