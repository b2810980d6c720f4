"""Intensities over HTTP, with the shapes that clients of the Carbon Aware SDK read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.errors import ForecastUnavailable
from tests.api.parts import Site, build

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PERIOD = 100  # a day has 24 hours; the values must not repeat with it


def value(at: datetime) -> float:
    """A value for every half hour, different for a long time."""
    return 100 + int(at.timestamp() // 1800) * 37 % PERIOD


class Halves:
    """A source that knows every half hour of every zone."""

    name = "halves"

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.away = False

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        self.asked.append((zone, start, end))
        if self.away:
            raise ForecastUnavailable("no answer")
        first = datetime.fromtimestamp(start.timestamp() // 1800 * 1800, UTC)
        readings = []
        while first < end:
            grams = value(first)
            readings.append(
                Reading(start=first, end=first + HOUR / 2, grams_per_kwh=grams, source="")
            )
            first += HOUR / 2
        whole = IntensitySeries(
            zone=zone,
            source="halves",
            factor_type="direct",
            issued_at=now - HOUR,
            readings=tuple(readings),
        )
        return whole.between(start, end)

    forecast = history

    def latest(self, zone: str, *, now: datetime) -> IntensitySeries:
        found = self.history(zone, now - 2 * HOUR, now - HOUR, now=now)
        return replace(found, readings=(replace(found.readings[-1], is_estimated=True),))


@pytest.fixture
def source() -> Halves:
    return Halves()


@pytest.fixture
def live(tmp_path: Path, source: Halves) -> Iterator[Site]:
    made = build(tmp_path, intensity=source, zone="DE")
    yield made
    made.store.close()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_history_reading_by_reading(live: Site, source: Halves) -> None:
    path = "/v1/emissions/bylocation?location=fra&time=2026-01-01T00:15:00Z"
    answer = live.get(f"{path}&toTime=2026-01-01T02:00:00%2B01:00")
    assert answer.status_code == 200
    assert source.asked[-1] == ("FR", at("2026-01-01T00:15+00:00"), at("2026-01-01T01:00+00:00"))
    assert answer.json == [
        {
            "location": "fra",
            "time": "2026-01-01T00:15:00Z",
            "rating": value(at("2026-01-01T00:00+00:00")),
            "duration": "00:15:00",
            "source": "halves",
            "factorType": "direct",
            "signal": "average",
            "isEstimated": False,
        },
        {
            "location": "fra",
            "time": "2026-01-01T00:30:00Z",
            "rating": value(at("2026-01-01T00:30+00:00")),
            "duration": "00:30:00",
            "source": "halves",
            "factorType": "direct",
            "signal": "average",
            "isEstimated": False,
        },
    ]


def test_without_a_time_the_newest_reading(live: Site) -> None:
    (one,) = live.get("/v1/emissions/bylocation?location=FR").json
    assert one["isEstimated"]
    answer = live.get("/v1/intensity").json
    assert (answer["zone"], answer["source"], answer["is_estimated"]) == ("DE", "halves", True)
    assert live.get("/v1/intensity?zone=gb").json["zone"] == "GB"


def forecast(live: Site, **query: Any) -> Any:
    answer = live.get("/v1/emissions/forecasts/current", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_rolling_means_and_the_lowest_of_them(live: Site) -> None:
    start = (datetime.now(UTC) + DAY).replace(minute=0, second=0, microsecond=0)
    end = start + 6 * HOUR
    (found,) = forecast(
        live,
        location="ES",
        dataStartAt=start.isoformat(),
        dataEndAt=end.isoformat(),
        windowSize=90,
    )
    assert set(found) == {
        "generatedAt", "requestedAt", "location", "dataStartAt", "dataEndAt", "windowSize",
        "optimalDataPoints", "forecastData", "source", "factorType", "signal",
    }  # fmt: skip
    assert (found["location"], found["windowSize"]) == ("ES", 90)
    assert (at(found["dataStartAt"]), at(found["dataEndAt"])) == (start, end)
    expected = {
        start + i * HOUR / 2: sum(value(start + (i + j) * HOUR / 2) for j in range(3)) / 3
        for i in range(10)
    }
    got = {at(one["timestamp"]): one["value"] for one in found["forecastData"]}
    assert got == pytest.approx(expected, abs=0.0005)
    assert {one["duration"] for one in found["forecastData"]} == {90}
    lowest = min(expected.values())
    assert [one["value"] for one in found["optimalDataPoints"]] == pytest.approx(
        [lowest], abs=0.0005
    )
    fields = {"location", "timestamp", "duration", "value"}
    assert all(set(one) == fields for one in found["forecastData"])


def test_hours_that_are_alike_but_for_rounding_are_all_optimal(
    live: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any two hours hold each of the four once: their means differ by the order of a sum only.
    four = (100.1, 133.33333, 77.7777, 150.123456789)
    monkeypatch.setattr(
        "tests.api.test_emissions.value", lambda at: four[int(at.timestamp() // 1800) % 4]
    )
    start = (datetime.now(UTC) + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    end = start + 20 * HOUR
    (found,) = forecast(
        live,
        location="FR",
        dataStartAt=start.isoformat(),
        dataEndAt=end.isoformat(),
        windowSize=120,
    )
    assert len(found["optimalDataPoints"]) == len(found["forecastData"]) == 37


def test_by_default_a_day_from_now_by_single_readings(live: Site) -> None:
    (found,) = forecast(live, location="FR")
    assert found["windowSize"] == 30
    assert at(found["dataEndAt"]) - at(found["dataStartAt"]) == DAY
    assert at(found["requestedAt"]) - at(found["generatedAt"]) == HOUR
    # A past start means now: nobody forecasts what was.
    (same,) = forecast(live, location="FR", dataStartAt="2020-01-01T00:00:00Z")
    assert at(same["dataStartAt"]) > at(found["requestedAt"]) - HOUR


def test_a_window_longer_than_the_forecast_has_no_point(live: Site) -> None:
    soon = (datetime.now(UTC) + HOUR).isoformat()
    (found,) = forecast(live, location="FR", dataEndAt=soon, windowSize=600)
    assert found["forecastData"] == found["optimalDataPoints"] == []


def test_several_locations_each_have_theirs(live: Site) -> None:
    found = live.get("/v1/emissions/forecasts/current?location=FR&location=US-CAL-CISO").json
    assert [one["location"] for one in found] == ["FR", "US-CAL-CISO"]
    assert live.get("/v1/emissions/bylocation?location=FR&location=DE").status_code == 400


def test_an_unknown_location_is_refused_with_the_list(live: Site, source: Halves) -> None:
    for path in (
        "/v1/emissions/bylocation?location=eastus",
        "/v1/emissions/forecasts/current?location=FR&location=eastus",
        "/v1/intensity?zone=eastus",
    ):
        answer = live.get(path)
        assert (answer.status_code, answer.json["code"]) == (422, "unknown_zone")
        assert "FR" in answer.json["details"]["zones"]
    assert source.asked == []


def test_ranges_that_make_no_sense(live: Site) -> None:
    for path, status in (
        ("/v1/emissions/bylocation", 422),
        ("/v1/emissions/bylocation?location=FR&time=2026-01-01T00:00:00", 422),
        (
            "/v1/emissions/bylocation?location=FR&time=2026-01-02T00:00:00Z"
            "&toTime=2026-01-01T00:00:00Z",
            422,
        ),
        ("/v1/emissions/bylocation?location=FR&time=2020-01-02T00:00:00Z", 422),
        ("/v1/emissions/bylocation?location=FR&time=2126-01-02T00:00:00Z", 422),
        ("/v1/emissions/forecasts/current?location=FR&dataEndAt=2020-01-01T00:00:00Z", 422),
        ("/v1/emissions/forecasts/current?location=FR&dataEndAt=2126-01-01T00:00:00Z", 422),
        ("/v1/emissions/bylocation?location=FR&time=0001-01-01T00:00:00%2B14:00", 422),
        ("/v1/emissions/forecasts/current?location=FR&windowSize=0", 422),
        ("/v1/emissions/forecasts/current?location=FR&windowSize=1.5", 422),
        ("/v1/emissions/forecasts/current", 422),
        ("/v1/emissions/forecasts/current?" + "&".join(["location=FR"] * 21), 422),
    ):
        assert live.get(path).status_code == status, path


def test_a_source_that_is_away_is_a_503(live: Site, source: Halves) -> None:
    source.away = True
    answer = live.get("/v1/emissions/forecasts/current?location=FR")
    assert (answer.status_code, answer.json["code"]) == (503, "forecast_unavailable")


def test_without_a_source_the_profile_answers(site: Site) -> None:
    (one,) = site.get("/v1/emissions/forecasts/current?location=FR").json
    assert len(one["forecastData"]) >= 23
    assert site.get("/v1/intensity?zone=FR").json["is_estimated"]
