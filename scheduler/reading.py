"""What children that read foreign data do; nothing of it runs in the service's own process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.child import Channel

ROWS_FILE = "rows.parquet"


def read_in(
    channel: Channel,
    source: str,
    destination: str,
    options: Mapping[str, Any],
    limits: Mapping[str, int],
    watts: Mapping[str, float | None],
) -> dict[str, Any]:
    """Look at an upload, say so, and when told to go on store it as Parquet.

    Returns
    -------
    dict
        ``profile``, and ``cost`` with the CPU-seconds, joules and meter that it took.

    Raises
    ------
    DataError
        Before the message: the upload is refused. After it: the data set is INVALID.
    """
    from automl.data.tables import ReadingLimits, ReadingOptions, ingest, inspect
    from automl.meters.base import measure

    with measure(meter_of(watts)) as reading:
        chosen, most = ReadingOptions.from_json(options), ReadingLimits(**limits)
        inspect(Path(source), options=chosen, limits=most)
        channel.send("inspected")
        profile = ingest(Path(source), Path(destination), options=chosen, limits=most)
    return {"profile": profile, "cost": reading.cost.to_json()}


def admit(
    rows: str,
    request: Mapping[str, Any],
    profile: Mapping[str, Any],
    watts: Mapping[str, float | None],
    grams_per_kwh: float,
) -> dict[str, Any]:
    """Say whether a job may run on this data: warnings, excluded columns, counts, expected cost.

    Limits are checked against what the cheapest trial is expected to take on this machine.

    Raises
    ------
    DataError
        With the code of what stands against it.
    """
    from automl.data import admission
    from automl.models.expected import CostModel
    from automl.search.outlook import ranking_seconds
    from automl.search.speed import probed

    found = admission.admit(Path(rows), request, profile=profile)
    costs = CostModel.shipped()
    speed = probed(meter_of(watts), costs)
    limits = {
        name: limit
        for name, limit in (request.get("limits") or {}).items()
        if limit is not None and name not in ("trials", "least_gain_per_gram")
    }
    if limits:
        from automl.search.floor import check_limits, least_seconds

        if request["target"] is None:
            least = costs.features_seconds(found.n_rows, found.n_features)
            least += ranking_seconds(n_rows=found.n_rows, n_columns=found.n_features)
        else:
            least = least_seconds(
                n_rows=found.n_labelled,
                n_positive=found.n_positive,
                n_columns=found.n_features,
                mode=request.get("mode") or "balanced",
                costs=costs,
            )
        check_limits(limits, least, speed=speed, grams_per_kwh=grams_per_kwh, costs=costs)
    expected = expect(
        n_rows=found.n_rows if request["target"] is None else found.n_labelled,
        n_positive=found.n_positive,
        n_columns=found.n_features,
        request=request,
        speed=speed.to_json(),
        grams_per_kwh=grams_per_kwh,
    )
    return {**found.to_json(), "expected": expected["expected"]}


def expect(
    n_rows: int,
    n_positive: int,
    n_columns: int,
    request: Mapping[str, Any],
    grams_per_kwh: float,
    watts: Mapping[str, float | None] | None = None,
    speed: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Say what a job on a table of these counts is expected to take on this machine.

    Returns
    -------
    dict
        ``expected``: an `automl.search.expectation.Expectation`, and ``speed``, measured with the
        meter of these `watts` where it is not given.
    """
    from automl.cost import Speed
    from automl.models.expected import CostModel
    from automl.search.outlook import expected_search
    from automl.search.speed import probed

    costs = CostModel.shipped()
    here = (
        probed(meter_of(watts or {"per_core": None, "per_gb": None}), costs)
        if speed is None
        else Speed(**speed)
    )
    expected = expected_search(
        n_rows=n_rows,
        n_positive=n_positive,
        n_columns=n_columns,
        mode=request.get("mode") or "balanced",
        costs=costs,
        speed=here,
        limits=request.get("limits"),
        grams_per_kwh=grams_per_kwh,
    )
    return {"expected": expected.to_json(), "speed": here.to_json()}


def meter_of(watts: Mapping[str, float | None]) -> Any:
    """Return this machine's meter with the constants of the settings."""
    from automl.meters.cpu_time import WATTS_PER_GB
    from automl.meters.detect import detect_meter

    logging.getLogger("automl.meters.detect").setLevel(logging.WARNING)
    per_gb = watts["per_gb"]
    return detect_meter(
        watts_per_core=watts["per_core"],
        watts_per_gb=WATTS_PER_GB if per_gb is None else per_gb,
    )
