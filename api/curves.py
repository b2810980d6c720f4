"""Curves of a model, from the file that was drawn when its champion was made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from api.card import ANOMALY_RANKING
from api.curve_file import curves_of
from api.models import model_of, unless_deleted
from api.schemas import CurvesQuery
from api.schemas_models import Bin, CostPoint, CurvesAnswer, GainPoint, RecallPoint
from automl.errors import DataError
from scheduler.records import Model

curves = APIBlueprint("curves", __name__, url_prefix="/v1", tag="Models")

CHAMPION = "champion"


@curves.get("/models/<name>/curves")
@curves.input(CurvesQuery, location="query")
@curves.output(CurvesAnswer)
@curves.doc(
    operation_id="getCurves",
    responses={304: "As it was", 409: "Trained without labels", 410: "Deleted"},
)
def show(name: str, query_data: CurvesQuery) -> Any:
    """Precision and recall, calibration, gain, and cost over the share of rows alerted.

    On the validation rows, which the judged models were not fitted to, weighted to the true
    prevalence; at most 200 points each. `member` asks for one finalist instead of the whole.
    """
    model = model_of(name, query_data)
    if model.card.get("kind") == ANOMALY_RANKING:
        raise DataError(
            "this model was trained without labels: nothing was measured that could be drawn",
            code="no_labels",
        )
    with unless_deleted(name, query_data):
        drawn = curves_of(model)
        if drawn is None:
            raise DataError(
                "this version was made before curves were kept; a new search has them",
                code="no_curves",
            )
    answer = _answer(model, drawn, query_data)
    response = Response(answer.model_dump_json(), content_type="application/json")
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest())
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


def _answer(model: Model, drawn: Mapping[str, Any], query: CurvesQuery) -> CurvesAnswer:
    members = sorted(int(number) for number in drawn["members"])
    if query.member is not None and query.member not in members:
        raise DataError(
            f"trial {query.member} is no finalist that is drawn; {members} are",
            code="unknown_member",
            details={"members": members},
        )
    found = drawn["champion" if query.member is None else "members"]
    if query.member is not None:
        found = found[str(query.member)]
    objective = (model.card.get("provenance") or {}).get("objective") or {}
    missed = query.missed_cost or objective.get("missed_cost")
    alert = query.alert_cost or objective.get("alert_cost")
    if (missed is None) != (alert is None):
        absent = "missed_cost" if missed is None else "alert_cost"
        raise DataError(
            f"{absent} is missing: missed_cost and alert_cost go together, and the job of this "
            "model named no costs",
            code="missing",
            details={"parameter": absent},
        )
    gain = [GainPoint(**point) for point in rows(found["gain"])]
    return CurvesAnswer(
        model=model.name,
        version=model.version,
        member=query.member,
        members=members,
        n_rows=found["n_rows"],
        n_positive=found["n_positive"],
        prevalence=found["prevalence"],
        average_precision=found["average_precision"],
        expected_calibration_error=found["expected_calibration_error"],
        threshold=model.card.get("threshold") if query.member is None else None,
        precision_recall=[RecallPoint(**point) for point in rows(found["precision_recall"])],
        calibration=[Bin(**point) for point in rows(found["calibration"])],
        gain=gain,
        missed_cost=missed,
        alert_cost=alert,
        cost=None
        if missed is None or alert is None
        else costs(gain, found["prevalence"], missed=float(missed), alert=float(alert)),
    )


def rows(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Columns as objects.

    >>> rows({"a": [1, 2], "b": [3, 4]})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 4}]
    """
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def costs(
    gain: list[GainPoint], prevalence: float, *, missed: float, alert: float
) -> list[CostPoint]:
    """Cost per row over the share alerted, alerting nobody first.

    A missed positive costs `missed`, an alert on a negative `alert`.

    >>> point = GainPoint(threshold=0.5, alerted=0.2, recall=0.5, lift=2.5)
    >>> [round(point.cost, 6) for point in costs([point], 0.1, missed=10, alert=1)]
    [1.0, 0.65]
    """
    nobody = CostPoint(threshold=None, alerted=0.0, cost=missed * prevalence)
    return [nobody] + [
        CostPoint(
            threshold=point.threshold,
            alerted=point.alerted,
            cost=missed * prevalence * (1 - point.recall)
            + alert * max(0.0, point.alerted - prevalence * point.recall),
        )
        for point in gain
    ]
