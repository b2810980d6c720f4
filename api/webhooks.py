"""What became of the calls to webhooks: heard, to be tried again, or given up and why."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from api.context import parts, project_id
from api.schemas_answers import WebhookCallAnswer, WebhookCallsAnswer

webhooks = APIBlueprint("webhooks", __name__, url_prefix="/v1", tag="Jobs")

MOST = 100


@webhooks.get("/webhooks")
@webhooks.output(WebhookCallsAnswer)
@webhooks.doc(operation_id="listWebhookCalls")
def index() -> Any:
    """List the newest calls to webhooks, at most 100, without what they said."""
    calls = parts().store.calls(project_id(), limit=MOST)
    return WebhookCallsAnswer(items=[WebhookCallAnswer(**call) for call in calls])
