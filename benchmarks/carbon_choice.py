"""Does it help to judge forecasts by what they chose: `python -m benchmarks.carbon_choice`.

CarbonCast's published forecasts stand for a provider: six zones, issued daily at 00:00 UTC from
July to December 2021. Each day a job of one hour may wait for 24; it is placed by the provider's
forecast, by the corrected profile, or by whichever the rule of `scheduler.carbon.skill` believes
on what was known that day. Percent of the oracle's saving. The profile was built from these years
among others, so its column flatters it here; the rule's question is only whom to believe.

Exits 1 where the rule loses more than one point against always believing the provider.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import sets
from scheduler.carbon.correction import LONGEST, corrected
from scheduler.carbon.kept import FORECASTS
from scheduler.carbon.readings import Row, from_starts
from scheduler.carbon.series import IntensitySeries
from scheduler.carbon.skill import SPAN, Trial, compared, share_of_oracle, tried
from scheduler.carbon.typical import Typical

FORECAST_FILE = "carboncast_forecast_96h_lifecycle_2021H2.parquet"
HISTORY_FILE = "carboncast_hourly_lifecycle_2020_2021.parquet"
MOST_LOST = 0.01
HOUR = timedelta(hours=1)


def series_of(
    zone: str, times: Iterable[Any], grams: Iterable[Any], *, issued_at: datetime
) -> IntensitySeries:
    rows = (
        Row(start=_utc(at), grams_per_kwh=float(one)) for at, one in zip(times, grams, strict=True)
    )
    return IntensitySeries(
        zone=zone,
        source="CarbonCast",
        factor_type="lifecycle",
        issued_at=issued_at,
        readings=from_starts(rows),
    )


def _utc(at: Any) -> datetime:
    return pd.Timestamp(at).to_pydatetime().astimezone(UTC)


def trials_of(
    zone: str, forecasts: pd.DataFrame, truth: IntensitySeries
) -> list[tuple[Trial, Trial]]:
    """What the provider and the corrected profile chose on each day."""
    typical, pairs = Typical(), []
    for issued, frame in forecasts.groupby("issued_at"):
        at = _utc(issued)
        own = series_of(zone, frame.timestamp, frame.forecast_gco2eq_per_kwh, issued_at=at)
        past = truth.between(at - LONGEST * HOUR, at)
        rival = corrected(typical.forecast(zone, at, at + SPAN, now=at), past, now=at)
        came = truth.between(at, at + SPAN)
        mine, theirs = tried(own, came), tried(replace(rival, issued_at=at), came)
        if mine is not None and theirs is not None:
            pairs.append((mine, theirs))
    return pairs


def believed(pairs: list[tuple[Trial, Trial]]) -> list[Trial]:
    """Of each day, the trial of the one that was believed on the days before."""
    chosen = []
    for own, rival in pairs:
        now = own.issued_at
        known = [pair for pair in pairs if now - FORECASTS < pair[0].issued_at <= now - SPAN]
        chosen.append(own if compared(known).own_is_better else rival)
    return chosen


def main(folder: Path | None = None) -> int:
    carbon = (folder or sets.folder()) / "carbon"
    forecasts = pd.read_parquet(carbon / FORECAST_FILE)
    history = pd.read_parquet(carbon / HISTORY_FILE)
    print(f"{'zone':12}{'days':>5}{'provider':>10}{'corrected':>11}{'judged':>8}")
    lost, end = 0.0, datetime(2022, 1, 1, tzinfo=UTC)
    for zone, frame in forecasts.groupby("zone"):
        mine = history[history.zone == zone]
        truth = series_of(str(zone), mine.timestamp, mine.gco2eq_per_kwh, issued_at=end)
        pairs = trials_of(str(zone), frame, truth)
        own = share_of_oracle(pair[0] for pair in pairs)
        rival = share_of_oracle(pair[1] for pair in pairs)
        judged = share_of_oracle(believed(pairs))
        lost = max(lost, own - judged)
        print(f"{zone:12}{len(pairs):5}{100 * own:10.1f}{100 * rival:11.1f}{100 * judged:8.1f}")
    if lost > MOST_LOST:
        print(f"the rule lost {100 * lost:.1f} points", file=sys.stderr)
    return int(lost > MOST_LOST)


if __name__ == "__main__":
    sys.exit(main())
