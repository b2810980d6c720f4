"""Which version of a model answers, and the labels by which that is decided."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from api.context import actor, now, parts, project_id
from api.errors import UnsupportedMediaType
from api.models import known_name
from api.schemas_models import ModelAnswer
from api.schemas_promotions import (
    OutcomesAnswer,
    PromoteRequest,
    PromotionAnswer,
    PromotionsAnswer,
)
from scheduler.late import take_outcomes
from scheduler.late_bodies import TYPES

promotions = APIBlueprint("promotions", __name__, url_prefix="/v1", tag="Models")


@promotions.get("/models/<name>/promotions")
@promotions.output(PromotionsAnswer)
@promotions.doc(operation_id="listPromotions", responses={410: "Deleted"})
def index(name: str) -> Any:
    """Say which version answers, which there are, and which answered since when."""
    store, known = parts().store, known_name(name)
    return PromotionsAnswer(
        serving=store.get_model(project_id(), known).version,
        before=store.version_before(project_id(), known),
        versions=[one.version for one in store.model_versions(project_id(), known)],
        items=[PromotionAnswer.of(one) for one in store.promotions(project_id(), known)],
    )


@promotions.post("/models/<name>/promote")
@promotions.input(PromoteRequest, location="json")
@promotions.output(ModelAnswer)
@promotions.doc(operation_id="promoteModel", responses={410: "Deleted"})
def promote(name: str, json_data: PromoteRequest) -> Any:
    """Let a version answer from now on, also when newer ones come; twice is once."""
    known = known_name(name)
    parts().store.promote(
        project_id(),
        known,
        json_data.version,
        actor=actor(),
        reason={"because": json_data.because},
        now=now(),
    )
    return ModelAnswer.of(parts().store.get_model(project_id(), known))


@promotions.post("/models/<name>/rollback")
@promotions.output(ModelAnswer, 200)
@promotions.doc(operation_id="rollbackModel", responses={409: "No version answered before"})
def rollback(name: str) -> Any:
    """Let the version answer again that did before; once more goes back one step further."""
    known = known_name(name)
    parts().store.rollback(project_id(), known, actor=actor(), reason={}, now=now())
    return ModelAnswer.of(parts().store.get_model(project_id(), known))


@promotions.post("/models/<name>/outcomes")
@promotions.output(OutcomesAnswer, 201, description="Kept until the data are deleted")
@promotions.doc(
    operation_id="addOutcomes",
    responses={200: "The same labels came before", 409: "Not READY", 410: "Deleted"},
)
def outcomes(name: str) -> Any:
    """Hand over labels that came after their rows, by the rows' key.

    The body is JSON `{"outcomes": [{"key", "label", "at"}]}`, CSV with the columns key, label and
    at, or JSON Lines. `at`, when the label was known, may be left out; else it has an offset, is
    not before 1970 and not to come. A label is a value of the target; true and false are labels
    of a target of truths, or of 1 and 0 alone. A key may come twice with different times only.

    They count when the model is trained again: on rows without a label, else in place of the last
    one of their key.
    """
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType(f"send labels as {', '.join(TYPES)}")
    model = parts().store.get_model(project_id(), known_name(name))
    found, counts, created = take_outcomes(
        model,
        request.get_data(cache=False),
        content_type=request.mimetype,
        store=parts().store,
        artifacts=parts().artifacts,
        reader=parts().labels,
        now=now(),
    )
    answer = OutcomesAnswer(
        id=found.id,
        received_at=found.received_at,
        n_labels=found.n_labels,
        n_positive=found.n_positive,
        **counts,
    )
    location = {"Location": f"/v1/models/{name}/promotions"}
    return answer, 201 if created else 200, location
