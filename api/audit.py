"""The audit: who promoted, rolled back, deleted, accepted a leak, or made and revoked tokens."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from api.context import parts, project_id
from api.schemas_audit import AuditAnswer, AuditLineAnswer, AuditQuery

audit = APIBlueprint("audit", __name__, url_prefix="/v1", tag="Audit")


@audit.get("/audit")
@audit.input(AuditQuery, location="query")
@audit.output(AuditAnswer)
@audit.doc(operation_id="listAudit")
def index(query_data: AuditQuery) -> Any:
    """List what was done, oldest first, and whether no line was altered since.

    Each line is chained to the one before by its hash; with `verify=true` the whole chain is
    checked, and the first line that does not fit is named.
    """
    lines, following = parts().store.audit_lines(
        project_id(), limit=query_data.limit, after=query_data.after or 0
    )
    broken = None
    if query_data.verify == "true":
        broken = parts().store.verify_audit(project_id())
    return AuditAnswer(
        items=[AuditLineAnswer.of(line) for line in lines],
        next_after=following,
        verified=None if query_data.verify == "false" else broken is None,
        first_broken=broken,
    )
