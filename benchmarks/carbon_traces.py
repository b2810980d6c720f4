"""Hourly carbon intensities of real grids, and which of them may go into what is shipped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks import sets

HOUR = timedelta(hours=1)
# Both may be shipped: the first is under Apache-2.0, the second computed from ENTSO-E's data.
CARBONCAST = "carboncast_hourly_lifecycle_2020_2021"
LETS_WAIT_AWHILE = "letswaitawhile_subhourly_2020"
# This one may not: its owner's terms allow no copy. It is read to evaluate and for nothing else.
ELECTRICITY_MAPS = "electricitymaps_hourly_lifecycle_2021_2023"
# CarbonCast stamps these with the end of the hour: against the other series of Germany its own is
# most alike when moved back by one hour (`python -m benchmarks.build_profiles` prints it), and the
# EIA, whose data it has of Texas, reports by the hour's end.
LATE = ("DE", "US-TEX-ERCO")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """Hourly means in g/kWh, without holes, the first of the hour that begins at `start` (UTC)."""

    zone: str
    start: datetime
    grams: npt.NDArray[np.float64]

    def hour(self, index: int) -> datetime:
        """When the hour of an index begins."""
        return self.start + index * HOUR

    def index(self, at: datetime) -> int:
        """The index of the hour that begins then."""
        return int((at - self.start) / HOUR)

    def years(self, first: int, last: int) -> Trace:
        """From the first hour of one year to the last of another, as far as they are there."""
        low = max(self.index(datetime(first, 1, 1, tzinfo=UTC)), 0)
        high = min(self.index(datetime(last + 1, 1, 1, tzinfo=UTC)), len(self.grams))
        return Trace(zone=self.zone, start=self.hour(low), grams=self.grams[low:high])


@cache
def hourly(name: str) -> dict[str, Trace]:
    """The traces of a file by zone; steps are averaged, holes of up to 3 hours filled by line."""
    table = pd.read_parquet(sets.folder() / "carbon" / f"{name}.parquet")
    traces = {}
    for zone, rows in table.groupby("zone"):
        series = rows.set_index("timestamp")["gco2eq_per_kwh"].sort_index()
        series = series.resample("1h").mean().interpolate(limit=3)
        if series.isna().any():
            raise ValueError(f"{name}: a hole of more than 3 hours in zone {zone}")
        grams = series.to_numpy(dtype=float)
        if name == CARBONCAST and zone in LATE:
            grams = np.append(grams[1:], grams[-1])
        start = series.index[0].to_pydatetime().astimezone(UTC)
        traces[str(zone)] = Trace(zone=str(zone), start=start, grams=grams)
    return traces


def redistributable() -> dict[str, Trace]:
    """What the shipped profiles are built from: whole years, 2020 to 2021 or 2020 alone."""
    found = {zone: trace.years(2020, 2021) for zone, trace in hourly(CARBONCAST).items()}
    for zone in ("FR", "GB"):
        found[zone] = hourly(LETS_WAIT_AWHILE)[zone].years(2020, 2020)
    return dict(sorted(found.items()))


def hours_late(trace: Trace, other: Trace) -> int:
    """By how many hours the movements of `trace` come after those of `other`, of -3 to 3."""
    shared = trace.years(2020, 2020).grams, other.years(2020, 2020).grams
    mine, theirs = (np.diff(one) for one in shared)
    alike = {
        lag: np.corrcoef(np.roll(mine, -lag)[3:-3], theirs[3:-3])[0, 1] for lag in range(-3, 4)
    }
    return max(alike, key=alike.__getitem__)
