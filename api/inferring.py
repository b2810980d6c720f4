"""What several data sets are to each other, proposed."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from api.context import parts, project_id
from api.schemas_inferring import InferRequest, ProposalAnswer
from scheduler.proposing import proposal

inferring = APIBlueprint("inferring", __name__, url_prefix="/v1", tag="Datasets")


@inferring.post("/datasets/infer")
@inferring.input(InferRequest, location="json")
@inferring.output(ProposalAnswer)
@inferring.doc(operation_id="inferSpec", responses={409: "A data set is not READY", 410: "Deleted"})
def propose(json_data: InferRequest) -> Any:
    """Propose the spec of several tables, from the columns and values of their rows.

    They may be data sets, or files that stay where the operator has them: of those some rows are
    read, spread over some files.

    Every guess comes with its reason, and what cannot be guessed is asked. Nothing is made of it:
    read it, change it, and post it as the `spec` of a data set.
    """
    site = parts()
    return proposal(
        {name: one.told() for name, one in json_data.tables.items()},
        target=json_data.target,
        project_id=project_id(),
        store=site.store,
        artifacts=site.artifacts,
        settings=site.settings,
    )
