"""`frugal token`: tokens of the service's users, made and revoked on its own machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_shared import AsJson, DataDir, opened_store, plain_errors, show_table, tell

if TYPE_CHECKING:
    from scheduler.records import Token

token_app = typer.Typer(help="Tokens of the service's users.", no_args_is_help=True)

# Who works on the machine itself is no token: the audit says so.
OPERATOR = "operator"


class Role(StrEnum):
    """As `api.roles` has them, without importing it."""

    viewer = "viewer"
    analyst = "analyst"
    approver = "approver"
    admin = "admin"


@token_app.command("add", epilog="Example:  frugal token add analyst --days 90")
def token_add(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    project: Annotated[
        str | None,
        typer.Option(help="Project it belongs to; made if new (default: the first)."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Valid so long (default always).")] = None,
    role: Annotated[
        Role,
        typer.Option(
            help="What it may do: viewer reads and predicts, analyst also uploads and searches, "
            "approver also promotes, deletes and reads the audit, admin everything."
        ),
    ] = Role.analyst,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    with plain_errors(), opened_store(data_dir) as store:
        now = datetime.now(UTC)
        expires = None if days is None else now + timedelta(days=days)
        wanted = [item for item in store.list_projects() if project in (None, item.name)]
        owner = wanted[0] if wanted else store.add_project(project or "default", now=now)
        secret, token = store.add_token(
            owner.id, name=name, now=now, expires_at=expires, role=role.value, actor=OPERATOR
        )
        values = {"id": token.id, "project": owner.name, "name": name, "role": token.role}
        values["token"] = secret
        tell(values, as_json, secret)


@token_app.command("list", epilog="Example:  frugal token list --json")
def token_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List tokens, without their secrets."""
    with plain_errors(), opened_store(data_dir) as store:
        tokens = store.list_tokens()
        names = {project.id: project.name for project in store.list_projects()}
        now = datetime.now(UTC)
        values = [
            {
                "id": token.id,
                "project": names[token.project_id],
                "name": token.name,
                "role": token.role,
                "created_at": token.created_at.isoformat(),
                "expires_at": token.expires_at and token.expires_at.isoformat(),
                "revoked_at": token.revoked_at and token.revoked_at.isoformat(),
            }
            for token in tokens
        ]
        if as_json:
            typer.echo(json.dumps(values))
            return
        rows = [
            (
                token.id,
                token.name,
                token.role,
                names[token.project_id],
                f"{token.created_at:%Y-%m-%d}",
                _state(token, now=now),
            )
            for token in tokens
        ]
        show_table(("id", "name", "role", "project", "made", "state"), rows)


def _state(token: Token, *, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


@token_app.command(
    "revoke", epilog="Example:  frugal token revoke 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="Id of the token, as `frugal token list` shows.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token invalid, at once."""
    with plain_errors(), opened_store(data_dir) as store:
        store.revoke_token(token_id, now=datetime.now(UTC), actor=OPERATOR)
        tell({"revoked": token_id}, as_json, f"revoked {token_id}")
