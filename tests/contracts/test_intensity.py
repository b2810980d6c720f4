"""What every source of intensities must do, and how each may fail: in one way, and soon."""

from __future__ import annotations

import csv
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.carbon import transport
from scheduler.carbon.cache import Cache
from scheduler.carbon.fallback import Fallback
from scheduler.carbon.replay import Replay
from scheduler.carbon.series import IntensitySeries, IntensitySource
from scheduler.carbon.typical import Typical
from scheduler.errors import ForecastUnavailable
from tests.contracts.providers import (
    DATA_FAULTS,
    HOUR,
    KEY,
    PROVIDERS,
    TRANSPORT_FAULTS,
    ZONE_FAULTS,
    Provider,
    World,
    closed_port,
    expectation,
    serving,
    truth,
)

NOW = datetime(2026, 3, 29, 10, 20, tzinfo=UTC)  # a night without 02:00 in Paris lies before it
PATIENCE = 0.25
UNHURRIED = 240.0  # where nothing is about time: the machine may be busy


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Case:
    """A source at work, its zone, one that it has not, and how to make it fail."""

    def __init__(
        self,
        source: IntensitySource,
        *,
        zone: str,
        foreign: str,
        forecasts: bool,
        name: str = "",
        is_true: bool = True,
    ) -> None:
        self.source, self.zone, self.foreign, self.forecasts = source, zone, foreign, forecasts
        self.name = name or source.name
        self.is_true = is_true  # whether it knows the made-up truth


def write_replay(path: Path) -> None:
    start = (NOW - timedelta(days=2)).replace(minute=0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "zone", "gco2eq_per_kwh", "issued_at"))
        for index in range(4 * 24):
            at = start + index * HOUR
            writer.writerow((at.isoformat(), "FR", truth(at), ""))
            if at >= NOW - HOUR:
                writer.writerow((at.isoformat(), "FR", expectation(at), NOW.isoformat()))


@pytest.fixture(params=["replay", "typical", "fallback", *map(str, PROVIDERS)])
def case(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Case]:
    match request.param:
        case "replay":
            write_replay(tmp_path / "measured.csv")
            yield Case(Replay(tmp_path), zone="FR", foreign="DE", forecasts=True)
            return
        case "typical":
            yield Case(
                Typical(),
                zone="FR",
                foreign="",
                forecasts=True,
                name="typical profile",
                is_true=False,
            )
            return
        case "fallback":
            provider = PROVIDERS[2]
        case name:
            provider = next(one for one in PROVIDERS if str(one) == name)
    with serving(provider, World(now=NOW)) as url:
        source = provider.make(base_url=url, timeout=UNHURRIED)
        if request.param == "fallback":
            monkeypatch.setattr("scheduler.carbon.feed.TIMEOUT_SECONDS", UNHURRIED)
            cached = Fallback([source], cache=Cache(tmp_path))
            yield Case(cached, zone=provider.zone, foreign="", forecasts=True, name=source.name)
            return
        yield Case(
            source, zone=provider.zone, foreign=provider.foreign, forecasts=provider.forecasts
        )


def sound(series: IntensitySeries, case: Case, start: datetime, end: datetime) -> None:
    assert series.zone == case.zone
    assert series.source == case.name
    assert series.factor_type in ("lifecycle", "direct")
    assert series.signal in ("average", "marginal")
    assert series.issued_at.utcoffset() == timedelta(0)
    assert series.issued_at <= NOW
    assert series.readings
    assert series.start >= start
    assert series.end <= end
    for before, after in zip(series.readings, series.readings[1:], strict=False):
        assert before.end <= after.start


def test_history_is_what_was(case: Case) -> None:
    start, end = NOW - 30 * HOUR, NOW - 3 * HOUR  # neither on the hour
    series = case.source.history(case.zone, start, end, now=NOW)
    sound(series, case, start, end)
    assert series.covered(start, end) == 1
    if not case.is_true:
        return
    for reading in series.readings:
        assert reading.grams_per_kwh == pytest.approx(truth(reading.start), abs=30)
    at = start.replace(minute=0) + HOUR
    while at + HOUR <= end:
        assert series.mean(at, at + HOUR) == pytest.approx(
            sum(truth(at + timedelta(minutes=minute)) for minute in range(0, 60, 5)) / 12, abs=15
        )
        at += HOUR


def test_history_ends_now_and_not_later(case: Case) -> None:
    start, end = NOW - 5 * HOUR, NOW + 20 * HOUR
    series = case.source.history(case.zone, start, end, now=NOW)
    sound(series, case, start, NOW)
    assert series.end >= NOW - 2 * HOUR


def test_a_month_of_history_comes_in_several_requests_or_in_part(case: Case) -> None:
    start = NOW - timedelta(days=33)
    series = case.source.history(case.zone, start, NOW, now=NOW)
    sound(series, case, start, NOW)
    if not isinstance(case.source, Replay):
        assert series.covered(start, NOW - 2 * HOUR) == 1


def test_latest_is_one_reading_and_new(case: Case) -> None:
    series = case.source.latest(case.zone, now=NOW)
    assert len(series.readings) == 1
    assert NOW - 2 * HOUR <= series.end <= NOW + HOUR
    assert series.readings[0].start <= NOW
    reading = series.readings[0]
    if case.is_true:
        assert reading.grams_per_kwh == pytest.approx(truth(reading.start), abs=30)


def test_a_forecast_is_ahead_or_is_not_published(case: Case) -> None:
    start, end = NOW + HOUR / 3, NOW + 20 * HOUR
    if not case.forecasts:
        with pytest.raises(ForecastUnavailable) as error:
            case.source.forecast(case.zone, start, end, now=NOW)
        assert error.value.code == "no_forecast"
        return
    series = case.source.forecast(case.zone, start, end, now=NOW)
    sound(series, case, start, end)
    assert series.covered(start, end) == 1
    if not case.is_true:
        return
    at = (start + HOUR).replace(minute=0)
    while at + HOUR <= end:
        assert series.mean(at, at + HOUR / 60) == pytest.approx(expectation(at))
        at += HOUR


def test_a_zone_it_has_not_is_refused(case: Case) -> None:
    if not case.foreign:
        return  # it has all of them; one that is unknown is refused before it is asked
    for ask in questions(case.source, case.foreign):
        with pytest.raises(ForecastUnavailable) as error:
            ask()
        assert error.value.code == "unsupported_zone"


def questions(source: IntensitySource, zone: str) -> list[Callable[[], IntensitySeries]]:
    return [
        lambda: source.history(zone, NOW - 6 * HOUR, NOW, now=NOW),
        lambda: source.latest(zone, now=NOW),
        lambda: source.forecast(zone, NOW, NOW + 24 * HOUR, now=NOW),
    ]


# What goes wrong on the web.


def faults_of(provider: Provider) -> Iterator[str]:
    yield from TRANSPORT_FAULTS
    yield from (fault for fault in DATA_FAULTS if not (fault == "x1000" and provider.ratio))
    if provider.names_zone:
        yield from ZONE_FAULTS


@pytest.mark.parametrize("provider", PROVIDERS, ids=str)
def test_every_fault_is_one_error_and_soon(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world = World(now=NOW)
    with serving(provider, world) as url:
        for fault in faults_of(provider):
            world.fault = fault
            address = closed_port() if fault == "down" else url
            source = provider.make(base_url=address, timeout=PATIENCE)
            asked = questions(source, provider.zone)
            for ask in asked[:1] if fault in ("slow", "drip") else asked:
                began = time.monotonic()
                with pytest.raises(ForecastUnavailable) as error:
                    ask()
                assert time.monotonic() - began < PATIENCE + 30, (
                    fault
                )  # a slow one waits for a minute
                assert source.name in str(error.value)
                assert KEY not in str(error.value)
                assert error.value.__suppress_context__, fault  # a traceback would quote the key
                assert error.value.__cause__ is None
    assert KEY not in caplog.text


@pytest.mark.parametrize("provider", PROVIDERS, ids=str)
def test_behind_every_fault_there_is_an_answer(provider: Provider, tmp_path: Path) -> None:
    """Nothing but answers comes out of the service's source; it says that they are not live."""
    world = World(now=NOW)
    with serving(provider, world) as url:
        for fault in faults_of(provider):
            world.fault = fault
            address = closed_port() if fault == "down" else url
            source = provider.make(base_url=address, timeout=0.1)
            service = Fallback([source], cache=Cache(tmp_path / fault))
            for ask in questions(service, provider.zone):
                series = ask()
                assert series.source.startswith("typical"), fault
                assert series.readings
                assert all(one.is_estimated for one in series.readings)
        # What was known before the fault is used, and called cached.
        world.fault = ""
        source = provider.make(base_url=url, timeout=UNHURRIED)
        service = Fallback([source], cache=Cache(tmp_path / "before"))
        for ask in questions(service, provider.zone):
            assert "cached" not in ask().source
        world.fault = "500"
        later = NOW + HOUR
        series = service.history(provider.zone, NOW - 6 * HOUR, NOW - 2 * HOUR, now=later)
        assert series.source == f"{source.name}, cached"
        assert not any(one.source for one in series.readings)
        assert "cached" in service.forecast(provider.zone, later, later + HOUR, now=later).source


@pytest.mark.parametrize("provider", PROVIDERS, ids=str)
def test_an_hour_sent_twice_is_the_one_sent_last(provider: Provider) -> None:
    world = World(now=NOW, fault="repeated" if not provider.ratio else "")
    with serving(provider, world) as url:
        series = provider.make(base_url=url, timeout=UNHURRIED).history(
            provider.zone, NOW - 6 * HOUR, NOW - 2 * HOUR, now=NOW
        )
    assert series.covered(NOW - 6 * HOUR, NOW - 2 * HOUR) == 1
    for reading in series.readings:
        assert reading.grams_per_kwh > 90


@pytest.mark.parametrize("provider", PROVIDERS, ids=str)
def test_a_feed_that_stopped_has_no_latest(provider: Provider) -> None:
    """Nine hours old is history, and nothing to plan by."""
    world = World(now=NOW - 9 * HOUR)
    with serving(provider, world) as url:
        source = provider.make(base_url=url, timeout=UNHURRIED)
        source.history(provider.zone, NOW - 20 * HOUR, NOW, now=NOW)
        with pytest.raises(ForecastUnavailable) as error:
            source.latest(provider.zone, now=NOW)
        assert error.value.code in ("stale", "forecast_unavailable")


def test_calls_that_never_end_do_not_pile_up() -> None:
    provider = PROVIDERS[0]
    world = World(now=NOW, fault="slow")
    with serving(provider, world) as url:
        source = provider.make(base_url=url, timeout=0.02)
        codes = set()
        for _ in range(40):
            with pytest.raises(ForecastUnavailable) as error:
                source.latest("FR", now=NOW)
            codes.add(error.value.code)
        assert codes == {"slow"}
        hanging = [one for one in threading.enumerate() if one.name == "intensity"]
        assert len(hanging) <= transport._MAX_WAITING
    for thread in hanging:
        thread.join(120)
