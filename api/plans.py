"""Plans: when a job would run and what that saves, asked without submitting anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint

from api.context import now, parts, project_id
from api.datasets import ready
from api.declared import completed
from api.errors import about
from api.schemas_plans import PlanAnswer, PlanRequest, ZoneAnswer, ZonesAnswer
from api.starting import started, started_from
from automl.errors import DataError
from scheduler import planning
from scheduler.carbon.typical import Intensity, yearly_mean
from scheduler.carbon.zones import Zone, known_zone, zones
from scheduler.plan import Plan
from scheduler.webhooks import checked_url

plans = APIBlueprint("plans", __name__, url_prefix="/v1", tag="Plans")


@plans.post("/plans")
@plans.input(PlanRequest, location="json")
@plans.output(PlanAnswer)
@plans.doc(operation_id="createPlan", responses={409: "The data set is not READY", 410: "Deleted"})
def create(json_data: PlanRequest) -> Any:
    """Say when a job would run, without submitting it.

    What it is expected to take, what it would emit at once and in each of the five best windows,
    what waiting saves and what it saves at worst.
    """
    asked = json_data.model_dump(mode="json")
    if asked["webhook"] is not None:
        checked_url(asked["webhook"], parts().settings.webhook_hosts)
    model = started_from(asked)
    if asked["dataset"] is not None:
        with about("dataset"):
            dataset = ready(parts().store.get_dataset(project_id(), asked["dataset"]))
        if dataset.spec is not None:
            asked = completed(asked, dataset, said=json_data.model_fields_set)
        admission = parts().ingestor.admit(asked, dataset)
        if model is not None:
            admission = started(admission, asked, dataset=dataset, model=model)
    else:
        counts = {name: asked[name] for name in ("n_rows", "n_positive", "n_columns")}
        admission = {"expected": parts().ingestor.expect(asked, **counts)}
    found = planned(asked["when"], admission["expected"])
    return PlanAnswer.of(found, warnings=admission.get("warnings", ()))


def planned(when: Mapping[str, Any], expected: Mapping[str, float]) -> Plan:
    """The plan of a request's `when`, for a job that is expected to take so much.

    Raises
    ------
    DataError
        ``unknown_zone``, with the list; ``deadline_infeasible``, with the earliest possible.
    """
    given = parts()
    with about("when.zone"):
        return planning.planned(
            when, expected, source=given.intensity, zone=given.settings.zone, now=now()
        )


def check_zone(when: Mapping[str, Any], *, field: str = "when.zone") -> None:
    """Raise DataError ``unknown_zone`` for a zone that nobody knows, also of what runs at once.

    Its bill is made with it.
    """
    if when["zone"] is not None:
        with about(field):
            known_zone(when["zone"])


@plans.get("/zones")
@plans.output(ZonesAnswer)
@plans.doc(operation_id="listZones")
def index() -> Any:
    """List the zones that a job may name, and what is known of each without a network."""
    items = [ZoneAnswer.of(zone, _mean(zone)) for zone in zones()]
    return ZonesAnswer(default=known_zone(parts().settings.zone), items=items)


def _mean(zone: Zone) -> Intensity | None:
    try:
        return yearly_mean(zone.country)
    except DataError:
        return None
