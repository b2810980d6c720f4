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
    """Say whether a job may run on this data: warnings, excluded columns and counts.

    Limits are checked against what the cheapest trial is expected to take on this machine.

    Raises
    ------
    DataError
        With the code of what stands against it.
    """
    from automl.data import admission

    found = admission.admit(Path(rows), request, profile=profile)
    limits = {
        name: limit
        for name, limit in (request.get("limits") or {}).items()
        if limit is not None and name not in ("trials", "least_gain_per_gram")
    }
    if limits:
        from automl.models.expected import CostModel
        from automl.search.floor import check_limits, least_seconds
        from automl.search.speed import probed

        costs = CostModel.shipped()
        if request["target"] is None:
            from automl.search.anomaly import expected_seconds

            least = costs.features_seconds(found.n_rows, found.n_features)
            least += expected_seconds(n_rows=found.n_rows, n_columns=found.n_features)
        else:
            least = least_seconds(
                n_rows=found.n_labelled,
                n_positive=found.n_positive,
                n_columns=found.n_features,
                mode=request.get("mode") or "balanced",
                costs=costs,
            )
        check_limits(
            limits,
            least,
            speed=probed(meter_of(watts), costs),
            grams_per_kwh=grams_per_kwh,
            costs=costs,
        )
    return dict(found.to_json())


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
