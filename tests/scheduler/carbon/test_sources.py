"""The setting that names sources: in order, complete, and never with a key in a message."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.carbon.fallback import Fallback
from scheduler.carbon.series import IntensitySeries
from scheduler.carbon.sources import make_source
from scheduler.carbon.zones import zones
from scheduler.config import Settings
from scheduler.errors import InvalidSetting

NOW = datetime(2026, 11, 22, 12, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def settings(tmp_path: Path, *intensity: str, **more: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", intensity=intensity, **more)


def names(source: Fallback) -> list[str]:
    return [feed.name for feed in source._live]


def test_no_source_is_the_profile_alone_and_leaves_no_folder(tmp_path: Path) -> None:
    source = make_source(settings(tmp_path))
    assert names(source) == []
    assert source.forecast("FR", NOW, NOW + HOUR, now=NOW).readings
    assert not (tmp_path / "data").exists()


def test_sources_in_the_order_of_the_setting(tmp_path: Path) -> None:
    source = make_source(
        settings(
            tmp_path,
            "neso",
            "eco2mix",
            "entsoe",
            "electricity-maps?factors=direct",
            "energy-charts",
            "watttime?region=PJM_DC",
            f"replay:{tmp_path}?zone=DE&factors=direct",
            entsoe_key="k1",
            electricity_maps_key="k2",
            watttime_user="u",
            watttime_password="p",
        )
    )
    assert names(source) == [
        "NESO Carbon Intensity",
        "RTE eCO2mix",
        "ENTSO-E generation by IPCC 2014 life-cycle factors",
        "Electricity Maps, direct factors",
        "Energy-Charts",
        "WattTime, region PJM_DC",
        f"replay of {tmp_path.name}",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rte", "'rte' is no source"),
        ("https://x.example/", "'https' is no source"),
        ("eco2mix:/srv", "takes no path"),
        ("eco2mix?factors=direct", "no option 'factors'"),
        ("electricity-maps", "FRUGAL_ELECTRICITY_MAPS_KEY"),
        ("watttime", "FRUGAL_WATTTIME_USER"),
        ("entsoe", "FRUGAL_ENTSOE_KEY"),
        ("replay", "needs a path"),
        ("replay:/srv?zone=ATLANTIS", "zone of replay"),
        ("replay:/srv?factors=both", "lifecycle or direct"),
        ("replay:/srv?signal=loud", "average or marginal"),
    ],
)
def test_a_bad_setting_says_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting) as error:
        make_source(settings(tmp_path, text))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("intensity", "zone", "warns"),
    [
        (("eco2mix",), "FRA", False),
        (("eco2mix", "neso"), "GB", False),
        (("eco2mix", "neso"), "DE", True),
        (("eco2mix",), "WORLD", True),
        (("eco2mix", "replay:/srv/meters"), "DE", False),
        ((), "DE", False),
    ],
)
def test_sources_that_do_not_have_the_zone_are_said(
    intensity: tuple[str, ...],
    zone: str,
    warns: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_source(settings(tmp_path, *intensity, zone=zone))
    assert ("FRUGAL_ZONE" in caplog.text) == warns


def test_no_key_is_shown(tmp_path: Path) -> None:
    made = settings(tmp_path, "electricity-maps?wrong=1", "watttime", electricity_maps_key="CANARY")
    assert "CANARY" not in repr(made)
    with pytest.raises(InvalidSetting) as error:
        make_source(made)
    assert "CANARY" not in str(error.value)


def test_a_meter_on_the_premises_is_a_live_source(tmp_path: Path) -> None:
    """Rows are appended while the service runs; its zone is the service's own."""
    folder = tmp_path / "meters"
    folder.mkdir()
    path = folder / "today.csv"
    start = NOW.replace(minute=0) - 30 * HOUR
    rows = [f"{(start + i * HOUR).isoformat()},{100 + i}\n" for i in range(30)]
    path.write_text("timestamp,g_per_kwh\n" + "".join(rows))
    source = make_source(settings(tmp_path, f"replay:{folder}", zone="FRA"))
    assert source.latest("FR", now=NOW).readings[0].grams_per_kwh == 129
    forecast = source.forecast("FR", NOW, NOW + 24 * HOUR, now=NOW)
    assert forecast.source == "typical profile, corrected by replay of meters"
    with path.open("a") as file:
        file.write(f"{(start + 30 * HOUR).isoformat()},77\n")
    later = NOW + HOUR
    assert source.latest("FR", now=later).readings[0].grams_per_kwh == 77
    assert source.latest("DE", now=later).source == "typical profile"


def test_every_known_zone_has_an_answer_without_a_network() -> None:
    source = make_source(Settings(intensity=()))
    for zone in zones():
        forecast = source.forecast(zone.code, NOW, NOW + 2 * HOUR, now=NOW)
        assert forecast.zone == zone.code
        assert forecast.covered(NOW, NOW + 2 * HOUR) == 1
        assert source.latest(zone.code, now=NOW).readings
        assert source.history(zone.code, NOW - HOUR, NOW, now=NOW).readings


def test_the_service_loads_nothing_heavy_for_it() -> None:
    code = (
        "import sys; from scheduler.carbon.sources import make_source\n"
        "from scheduler.config import Settings; make_source(Settings(intensity=('neso',)))\n"
        "assert not {'pandas', 'numpy', 'pyarrow', 'codecarbon'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_series_say_how_they_count(tmp_path: Path) -> None:
    path = tmp_path / "DE.csv"
    path.write_text(f"timestamp,value\n{(NOW - 2 * HOUR).isoformat()},5\n")
    source = make_source(settings(tmp_path, f"replay:{path}?factors=direct&signal=marginal"))
    series: IntensitySeries = source.history("DE", NOW - 2 * HOUR, NOW - HOUR, now=NOW)
    assert (series.factor_type, series.signal) == ("direct", "marginal")
