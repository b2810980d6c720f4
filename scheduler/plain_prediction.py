"""Predictions of a few plain rows, JSON in and JSON out, without Arrow and pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.errors import DataError
from scheduler.prediction import JSON, drifted

if TYPE_CHECKING:
    from automl.search.compact import Compact

MANY_BYTES = 2**20  # of a body: so many rows are for Arrow


def plainly(
    compact: Compact,
    body: bytes,
    *,
    request: Mapping[str, Any],
    about: Mapping[str, Any],
    threshold: float,
    max_rows: int,
) -> tuple[bytes, dict[str, Any]] | None:
    """Body and report as `scheduler.prediction.answer` has them; None where it is for that.

    Nothing is refused here: what is odd is left, so that it is refused in one place.
    """
    from automl.data.bodies import parse_rows

    kinds = (request["content_type"], request["accept"])
    if kinds != (JSON, JSON) or request.get("reasons") or len(body) > MANY_BYTES:
        return None
    try:
        rows = parse_rows(body)
    except DataError:
        return None
    answered = compact.predict(rows) if len(rows) <= max_rows else None
    if answered is None:
        return None
    probability, looks = answered
    report = {
        "n_rows": len(rows),
        "extra_columns": looks["extra_columns"],
        "unseen_categories": looks["unseen_categories"],
        "out_of_range": looks["out_of_range"],
        "drift": drifted(looks, n_rows=len(rows)),
    }
    predictions = [{"probability": one, "alert": one >= threshold} for one in probability.tolist()]
    content = {"predictions": predictions, **about, "report": report}
    return json.dumps(content, allow_nan=False).encode(), report
