"""Who a token is: what a page shows and a program checks before it begins."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import g

from api.context import project_id
from api.schemas_answers import TokenAnswer

tokens = APIBlueprint("tokens", __name__, url_prefix="/v1", tag="Tokens")


@tokens.get("/token")
@tokens.output(TokenAnswer)
@tokens.doc(operation_id="getToken")
def show() -> Any:
    """Return who the token of this request is, and what its role is."""
    return TokenAnswer(
        id=g.token.id,
        project=project_id(),
        name=g.token.name,
        role=g.token.role,
        expires_at=g.token.expires_at,
    )
