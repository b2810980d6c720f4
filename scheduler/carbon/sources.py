"""The source of intensities that the settings name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from automl.errors import DataError
from scheduler.carbon.cache import Cache
from scheduler.carbon.countries import ALPHA_2
from scheduler.carbon.eco2mix import Eco2mix
from scheduler.carbon.electricity_maps import ElectricityMaps
from scheduler.carbon.energy_charts import EnergyCharts
from scheduler.carbon.entsoe import EntsoE
from scheduler.carbon.fallback import Fallback
from scheduler.carbon.neso import Neso
from scheduler.carbon.replay import Replay
from scheduler.carbon.series import FactorType, Signal
from scheduler.carbon.watttime import WattTime
from scheduler.carbon.web_source import WebSource
from scheduler.carbon.zones import known_zone
from scheduler.config import Settings
from scheduler.errors import InvalidSetting

log = logging.getLogger(__name__)

_Options = dict[str, str]
Source = WebSource | Replay


def make_source(settings: Settings) -> Fallback:
    """The sources of `FRUGAL_INTENSITY`, in their order, with the typical profile behind them.

    Each is a name, for `replay` with a path after a colon, and may end with options:
    `electricity-maps?factors=direct`, `watttime?region=PJM_DC`,
    `replay:/srv/meters?zone=FR&factors=direct&signal=marginal`. With none there is no network.

    Raises InvalidSetting where a name, an option, a zone or a key is wrong or missing; the text
    holds no key.

    >>> make_source(Settings()).name
    'live, else cached, else typical'
    """
    sources = [_source(text, settings) for text in settings.intensity]
    zone = settings.zone.strip().upper()
    zone = settings.zone.strip().upper()
    zone = ALPHA_2.get(zone, zone)
    if sources and not any(isinstance(one, Replay) or one.knows(zone) for one in sources):
        names = ", ".join(one.name for one in sources)
        log.warning(
            "none of the sources in FRUGAL_INTENSITY (%s) has zone %s of FRUGAL_ZONE; jobs that"
            " name no other zone are planned by the typical profile",
            *(names, zone),
        )
    return Fallback(sources, cache=Cache(settings.intensity_dir) if sources else None)


def _source(text: str, settings: Settings) -> Source:
    named, _, query = text.partition("?")
    name, _, path = named.partition(":")
    make = _MAKERS.get(name)
    if make is None:
        raise InvalidSetting(
            f"FRUGAL_INTENSITY: {name!r} is no source; there are {', '.join(_MAKERS)}"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    if path and name != "replay":
        raise InvalidSetting(f"FRUGAL_INTENSITY: {name} takes no path")
    if path:
        options["path"] = path
    found = make(settings, options)
    if options:
        raise InvalidSetting(f"FRUGAL_INTENSITY: {name} has no option {min(options)!r}")
    return found


def _electricity_maps(settings: Settings, options: _Options) -> Source:
    return ElectricityMaps(
        key=_needed(settings.electricity_maps_key, "electricity_maps_key", "electricity-maps"),
        factor_type=_factors(options),
    )


def _watttime(settings: Settings, options: _Options) -> Source:
    return WattTime(
        user=_needed(settings.watttime_user, "watttime_user", "watttime"),
        password=_needed(settings.watttime_password, "watttime_password", "watttime"),
        region=options.pop("region", ""),
    )


def _entsoe(settings: Settings, options: _Options) -> Source:
    return EntsoE(key=_needed(settings.entsoe_key, "entsoe_key", "entsoe"))


def _replay(settings: Settings, options: _Options) -> Source:
    path = options.pop("path", "")
    if not path:
        raise InvalidSetting("FRUGAL_INTENSITY: replay needs a path, as in replay:/srv/meters")
    signal = options.pop("signal", "average")
    if signal not in ("average", "marginal"):
        raise InvalidSetting("FRUGAL_INTENSITY: signal is average or marginal")
    try:
        zone = known_zone(options.pop("zone", settings.zone))
    except DataError as error:
        raise InvalidSetting(f"FRUGAL_INTENSITY: zone of replay: {error}") from None
    kind: Signal = "marginal" if signal == "marginal" else "average"
    return Replay(Path(path), zone=zone, factor_type=_factors(options), signal=kind)


def _factors(options: _Options) -> FactorType:
    factors = options.pop("factors", "lifecycle")
    if factors not in ("lifecycle", "direct"):
        raise InvalidSetting("FRUGAL_INTENSITY: factors are lifecycle or direct")
    return "direct" if factors == "direct" else "lifecycle"


def _needed(value: str, setting: str, source: str) -> str:
    if not value:
        raise InvalidSetting(f"FRUGAL_{setting.upper()}: {source} in FRUGAL_INTENSITY needs it")
    return value


_MAKERS: Mapping[str, Callable[[Settings, _Options], Source]] = {
    "eco2mix": lambda settings, options: Eco2mix(),
    "energy-charts": lambda settings, options: EnergyCharts(),
    "neso": lambda settings, options: Neso(),
    "electricity-maps": _electricity_maps,
    "watttime": _watttime,
    "entsoe": _entsoe,
    "replay": _replay,
}
