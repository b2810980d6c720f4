"""Zones: one spelling for each, the list where there is none, never a default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import scheduler.carbon.zones as module
from automl.errors import DataError
from scheduler.carbon.typical import yearly_mean
from scheduler.carbon.zones import known_zone, zones


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FR", "FR"),
        ("fra", "FR"),
        (" gbr\n", "GB"),
        ("US-CAL-CISO", "US-CAL-CISO"),
        ("us-tex-erco", "US-TEX-ERCO"),
        ("world", "WORLD"),
    ],
)
def test_a_zone_is_spelled_one_way(text: str, code: str) -> None:
    assert known_zone(text) == code
    assert known_zone(code) == code


@pytest.mark.parametrize(
    "text", ["", "XX", "EU", "AQ", "US-CAL", "US-XXX-YYYY", "FR ; DROP", "../FR", "\0", "F" * 10**5]
)
def test_an_unknown_zone_is_refused_with_the_list(text: str) -> None:
    with pytest.raises(DataError) as error:
        known_zone(text)
    assert error.value.code == "unknown_zone"
    listed = error.value.details["zones"]
    assert isinstance(listed, list)
    assert {"FR", "DE", "US-CAL-CISO", "WORLD"} <= set(listed)
    assert len(listed) > 200
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("text", "near"),
    [("France", "FR"), ("germny", "DE"), ("US-CAL-CAISO", "US-CAL-CISO"), ("FRX", "FR")],
)
def test_a_near_name_is_offered(text: str, near: str) -> None:
    with pytest.raises(DataError) as error:
        known_zone(text)
    offered = error.value.details["near"]
    assert isinstance(offered, list)
    assert near in offered


def test_every_zone_is_known_by_its_code_and_has_a_mean_in_its_country() -> None:
    for zone in zones():
        assert known_zone(zone.code) == zone.code
        assert zone.name
        assert 0 <= yearly_mean(zone.country).grams_per_kwh <= 2000


def test_the_zones_with_a_profile_are_those_of_the_packaged_file() -> None:
    path = Path(module.__file__).with_name("profiles-1.json")
    if not path.is_file():
        pytest.skip("the packaged profiles are not built")
    packaged = json.loads(path.read_text(encoding="utf-8"))["zones"]
    assert {zone.code for zone in zones() if zone.profile} == set(packaged)
