"""What forecasts are evaluated on, and what may be known beforehand in each case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.build_profiles import build
from benchmarks.carbon_savings import HORIZON
from benchmarks.carbon_traces import (
    CARBONCAST,
    ELECTRICITY_MAPS,
    HOUR,
    Trace,
    hourly,
    redistributable,
)
from scheduler.carbon.correction import LONGEST, corrected
from scheduler.carbon.hourly_profile import Packaged, packaged
from scheduler.carbon.series import IntensitySeries, Reading
from scheduler.carbon.typical import Typical

# What is evaluated: zone, year, and where its hours come from. What ships never saw any of them but
# PL, NL and SE; these are evaluated with profiles built from 2020 alone and weights that were
# fitted to the other zones alone.
CASES = (
    ("FR", 2023, ELECTRICITY_MAPS),
    ("DE", 2023, ELECTRICITY_MAPS),
    ("GB", 2023, ELECTRICITY_MAPS),
    ("ES", 2022, ELECTRICITY_MAPS),
    ("PL", 2021, CARBONCAST),
    ("NL", 2021, CARBONCAST),
    ("SE", 2021, CARBONCAST),
    ("US-CAL-CISO", 2023, ELECTRICITY_MAPS),
    ("US-TEX-ERCO", 2023, ELECTRICITY_MAPS),
    ("US-MIDA-PJM", 2023, ELECTRICITY_MAPS),
    ("ZA", 2023, ELECTRICITY_MAPS),
)
# Percent of the oracle, 1 h jobs with 24 h of slack: what a plain mean over month, weekend and
# hour of the same series reaches, to be exceeded; and the best of six plain forecasts with the
# zone's whole history at hand, of which at most one point may be missing.
PLAIN = {"FR": 26, "GB": 37, "DE": 71, "ES": 72, "US-CAL-CISO": 85, "US-MIDA-PJM": 71}
PLAIN |= {"US-TEX-ERCO": 24}
BEST = {"FR": 61, "DE": 76, "GB": 69, "ES": 79, "PL": 63, "NL": 54, "SE": 56, "ZA": 83}
BEST |= {"US-CAL-CISO": 91, "US-TEX-ERCO": 53, "US-MIDA-PJM": 71}


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A zone and year to evaluate, and what may be known of it beforehand."""

    trace: Trace  # with the years before
    year: Trace
    shipped: Packaged

    @property
    def zone(self) -> str:
        return self.trace.zone

    @property
    def first(self) -> int:
        """Index of the year's first hour in the trace."""
        return self.trace.index(self.year.start)


@cache
def case_of(zone: str, year: int, name: str) -> Case:
    trace = hourly(name)[zone]
    shipped = packaged() if name == ELECTRICITY_MAPS else _unseen()
    return Case(trace=trace, year=trace.years(year, year), shipped=shipped)


@cache
def _unseen() -> Packaged:
    """As what ships, but built without what is evaluated of the zones that went into it."""
    traces = redistributable()
    return build(
        traces,
        without=[zone for zone, _, name in CASES if name == CARBONCAST],
        profiled={zone: trace.years(2020, 2020) for zone, trace in traces.items()},
        n_ahead=HORIZON,
    )


def typical_of(case: Case) -> np.ndarray:
    """What the shipped source says of every hour of the year, without any history."""
    start, end = case.year.start, case.year.hour(len(case.year.grams))
    series = Typical(case.shipped).forecast(case.zone, start, end, now=start)
    return np.array([one.grams_per_kwh for one in series.readings])


def forecast_of(
    case: Case, index: int, hours: int = HORIZON, *, known: int = LONGEST
) -> np.ndarray:
    """What the shipped code expects of the hours from one of the year, known the ones before."""
    trace, at = case.trace, case.first + index
    now = trace.hour(at)
    history = IntensitySeries(
        zone=trace.zone,
        source="a trace",
        factor_type="lifecycle",
        issued_at=now,
        readings=tuple(
            Reading(start=trace.hour(i), end=trace.hour(i + 1), grams_per_kwh=float(trace.grams[i]))
            for i in range(max(at - known, 0), at)
        ),
    )
    profile = Typical(case.shipped).forecast(trace.zone, now, now + hours * HOUR, now=now)
    series = corrected(profile, history, now=now, shipped=case.shipped)
    return np.array([one.grams_per_kwh for one in series.readings])
