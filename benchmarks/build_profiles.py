"""Build the shipped profiles, from redistributable series only, and say what went in.

    python -m benchmarks.build_profiles              # build, write, report
    python -m benchmarks.build_profiles --choices    # how the constants of the fit compare

Electricity Maps' series are never read here: their terms allow no copy of what derives from them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.carbon_features import (
    N_AHEAD,
    Known,
    Sample,
    error_of_weights,
    fit_weights,
    packaged_of,
    sample_of,
)
from benchmarks.carbon_savings import saving
from benchmarks.carbon_shapes import Choices, error_of, fit_profiles, shape_of
from benchmarks.carbon_traces import (
    CARBONCAST,
    LATE,
    LETS_WAIT_AWHILE,
    Trace,
    hourly,
    hours_late,
    redistributable,
)
from scheduler.carbon.hourly_profile import SHIPPED_FILE, Packaged, Profile

LARGEST_BYTES = 100_000
SOURCES = {
    CARBONCAST: "CarbonCast (UMass), Apache-2.0, from ENTSO-E's and the EIA's generation",
    LETS_WAIT_AWHILE: "Let's Wait Awhile (TU Berlin), from ENTSO-E's generation",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build_profiles")
    parser.add_argument("--choices", action="store_true", help="only compare constants of the fit")
    parser.add_argument("--out", type=Path, default=SHIPPED_FILE)
    options = parser.parse_args(arguments)
    if options.choices:
        compare_choices()
        return 0
    traces = redistributable()
    germany = hourly(LETS_WAIT_AWHILE)["DE"]
    print(f"{CARBONCAST}: {SOURCES[CARBONCAST]}")
    print(f"{LETS_WAIT_AWHILE}: {SOURCES[LETS_WAIT_AWHILE]}")
    print(
        f"moved back by one hour in the former: {', '.join(LATE)}; Germany's then lies"
        f" {hours_late(traces['DE'], germany)} h off the latter's"
    )
    for zone, trace in traces.items():
        first, last = trace.hour(0).year, trace.hour(len(trace.grams) - 1).year
        name = LETS_WAIT_AWHILE if zone in ("FR", "GB") else CARBONCAST
        print(f"{zone:12} {first}-{last} mean {trace.grams.mean():4.0f} g/kWh, from {name}")
    shipped = build(traces)
    for zone, profile in shipped.profiles.items():
        print(
            f"{zone:12} error of a difference within a day"
            f" {profile.error * profile.deviation:4.0f} g/kWh"
        )
    print(f"corrected: {shipped.error:.2f} deviations of the zone's last four weeks")
    text = to_text(shipped)
    if len(text) > LARGEST_BYTES:
        print(f"{len(text)} bytes: more than {LARGEST_BYTES}", file=sys.stderr)
        return 1
    options.out.write_text(text, encoding="utf-8")
    print(f"wrote {options.out.name}, {len(text)} bytes")
    return 0


def build(
    traces: Mapping[str, Trace],
    *,
    without: Collection[str] = (),
    profiled: Mapping[str, Trace] | None = None,
    n_ahead: int = N_AHEAD,
) -> Packaged:
    """Profiles of all zones, and weights of the correction fitted on all but some zones.

    Where a zone has two years, the weights are fitted on each with the profile of the other, so
    that the profile errs there as it will; zones of one year are left out of the weights.
    `profiled` is what profiles are built from, where that is less than `traces`, and `n_ahead` how
    many hours ahead weights are needed.
    """
    profiles = fit_profiles(profiled or traces)
    apart = _profiles_of_other_years(traces)
    samples = [sample for zone, sample in _samples(traces, apart) if zone not in without]
    weights = fit_weights(samples, n_ahead=n_ahead)
    return packaged_of(
        {
            zone: replace(one, error=round(error, 3))
            for (zone, one), error in zip(
                profiles.items(), _errors(traces, profiles, apart), strict=True
            )
        },
        longitudes(),
        weights,
        error_of_weights(samples, weights),
    )


def _profiles_of_other_years(traces: Mapping[str, Trace]) -> dict[int, dict[str, Profile]]:
    """By year: profiles of zones that have two years, from the one that is not it."""
    two = {zone: trace for zone, trace in traces.items() if trace.years(2021, 2021).grams.size}
    if not two:
        return {}
    return {
        year: fit_profiles({zone: one.years(other, other) for zone, one in two.items()})
        for year, other in ((2020, 2021), (2021, 2020))
    }


def _samples(
    traces: Mapping[str, Trace], apart: Mapping[int, Mapping[str, Profile]]
) -> list[tuple[str, Sample]]:
    samples = []
    for year, profiles in apart.items():
        for zone, profile in profiles.items():
            trace = traces[zone]
            part = trace.years(year, year)
            first = trace.index(part.start)
            known = Known.of(trace, profile, profile.longitude)
            samples.append((zone, sample_of(known, first, first + len(part.grams))))
    return samples


def _errors(
    traces: Mapping[str, Trace],
    profiles: Mapping[str, Profile],
    apart: Mapping[int, Mapping[str, Profile]],
) -> list[float]:
    """In a year that was not fitted; for zones of one year, raised by as much as others' are."""
    inside, outside = {}, {}
    for zone, profile in profiles.items():
        inside[zone] = error_of(profile, traces[zone])
        years = [
            error_of(ones[zone], traces[zone].years(year, year))
            for year, ones in apart.items()
            if zone in ones
        ]
        if years:
            outside[zone] = statistics.mean(years)
    raised = statistics.mean(outside[zone] / inside[zone] for zone in outside) if outside else 1.0
    return [outside.get(zone, inside[zone] * raised) for zone in profiles]


def longitudes() -> dict[str, float]:
    """Degrees east of each country: the mean of its places in the time zone database."""
    places: dict[str, list[float]] = {}
    table = files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            country, place = line.split("\t")[:2]
            east = place[max(place.rfind("+"), place.rfind("-")) :]
            degrees = abs(int(east[:4])) + int(east[4:6]) / 60
            places.setdefault(country, []).append(degrees if east[0] == "+" else -degrees)
    return {country: round(statistics.mean(ones), 1) for country, ones in sorted(places.items())}


def to_text(shipped: Packaged) -> str:
    """JSON, one zone a line."""
    head: dict[str, Any] = {
        "built_by": "python -m benchmarks.build_profiles",
        "sources": list(SOURCES.values()),
        "units": "level and deviation in g/kWh (life cycle, average), shapes in 1/1000 deviations"
        " for kind of day (Monday to Friday, Saturday, Sunday), twelfth of the year, local hour",
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    zones = [
        f"{json.dumps(zone)}: {json.dumps(one.to_json(), separators=(',', ':'))}"
        for zone, one in shipped.profiles.items()
    ]
    lines.append('"zones": {\n' + ",\n".join(zones) + "\n}")
    lines.append(f'"longitudes": {json.dumps(dict(shipped.longitudes), separators=(",", ":"))}')
    correction = {
        "horizons": shipped.horizons,
        "error": shipped.error,
        "weights": shipped.weights,
    }
    lines.append(f'"correction": {json.dumps(correction, separators=(",", ":"))}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def compare_choices() -> None:
    """Share of the oracle's saving on 2021 from 2020 and on 2020 from 2021, for each choice."""
    traces = {z: one for z, one in redistributable().items() if one.years(2021, 2021).grams.size}
    usual = Choices()
    trials = [("as shipped", usual)]
    for name, values in {
        "hour_harmonics": (3, 4, 6, 11),
        "season_harmonics": (1, 3),
        "weekend_harmonics": (0, 3),
        "ridge": (0.005, 0.05),
        "quickness": (0.0, 0.3),
        "noon_trend": (0.0, 0.1, 0.15, 0.25, 0.3),
        "europe": (0.0, 0.1, 0.2, 0.3),
        "america": (0.0, 0.05, 0.2),
        "residual": (0.0, 0.2, 0.5, 1.0),
    }.items():
        trials += [(f"{name} {value}", replace(usual, **{name: value})) for value in values]
    for name, choices in trials:
        by_slack: dict[int, list[float]] = {8: [], 24: []}
        for year, other in ((2020, 2021), (2021, 2020)):
            fitted = fit_profiles(
                {zone: one.years(other, other) for zone, one in traces.items()}, choices
            )
            for zone, profile in fitted.items():
                part = traces[zone].years(year, year)
                shape = shape_of(profile, part)
                for slack, found in by_slack.items():
                    found.append(saving(part.grams, shape, hours=1, slack=slack).percent)
        means = {slack: float(np.mean(found)) for slack, found in by_slack.items()}
        print(
            f"{name:24} 8 h {means[8]:.2f} %, 24 h {means[24]:.2f} %,"
            f" mean {statistics.mean(means.values()):.2f} %",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
