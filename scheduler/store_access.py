"""Who may come in, and which request came before: projects, tokens, idempotency keys."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, exc, insert, select, update

from automl.errors import DataError
from scheduler.errors import Conflict, IdempotencyKeyReused
from scheduler.records import Project, Token
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_rows import AnyRow, known_id, unknown
from scheduler.tables import idempotency_keys, projects, tokens

# A request that reserved a key and is silent for so long has died; the next one takes it over.
RESERVATION_SECONDS = 120
MAX_NAME = 200  # characters of what a token or a project is called


def sha256_text(text: str) -> str:
    """SHA-256 of a text in hexadecimal: what is kept of a secret or a key of the client."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_name(name: str, *, field: str) -> None:
    """Raise DataError ``invalid_name`` for what is no name to list and to keep in the audit."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise DataError(
            f"the {'name' if field == 'name' else field + ' name'} has 1 to {MAX_NAME} printable "
            "characters",
            code="invalid_name",
            details={"field": field},
        )


def _token(row: AnyRow) -> Token:
    return Token(
        **{column.name: row._mapping[column] for column in tokens.c if column.name != "sha256"}
    )


class AccessStore(Database):
    """Projects, tokens and idempotency keys."""

    def add_project(self, name: str, *, now: datetime) -> Project:
        """A new tenant.

        Raises DataError `invalid_name`; Conflict `project_exists` when the name is taken.
        """
        check_name(name, field="project")
        project = Project(id=uuid.uuid4().hex, name=name, created_at=now)
        with self.write() as connection:
            try:
                connection.execute(
                    insert(projects).values(id=project.id, name=name, created_at=now)
                )
            except exc.IntegrityError:
                raise Conflict("a project of this name exists", code="project_exists") from None
        return project

    def list_projects(self) -> list[Project]:
        """Every project, oldest first."""
        with self.read() as connection:
            rows = connection.execute(
                select(projects).order_by(projects.c.created_at, projects.c.id)
            )
            return [Project(id=row.id, name=row.name, created_at=row.created_at) for row in rows]

    def add_token(
        self,
        project_id: str,
        *,
        name: str,
        now: datetime,
        expires_at: datetime | None = None,
        role: str = "admin",
        actor: str = "service",
    ) -> tuple[str, Token]:
        """A new bearer token and its secret, which is said here once and kept nowhere.

        That it was made, and by whom, goes to the audit.

        Raises DataError `invalid_name`; UnknownRecord when there is no such project.
        """
        check_name(name, field="name")
        secret = f"frugal_{secrets.token_urlsafe(32)}"
        known_id(project_id, noun="project")
        token = Token(
            id=uuid.uuid4().hex,
            project_id=project_id,
            name=name,
            created_at=now,
            expires_at=expires_at,
            role=role,
        )
        with self.write() as connection:
            found = connection.scalar(select(projects.c.id).where(projects.c.id == project_id))
            if found is None:
                raise unknown("project")
            connection.execute(
                insert(tokens).values(
                    id=token.id,
                    project_id=project_id,
                    name=name,
                    sha256=sha256_text(secret),
                    role=role,
                    created_at=now,
                    expires_at=expires_at,
                )
            )
            append_audit(
                connection,
                project_id,
                actor=actor,
                action="token.add",
                subject=f"token {token.id}",
                details={"name": name, "role": role},
                now=now,
            )
        return secret, token

    def token_by_secret(self, secret: str, *, now: datetime) -> Token | None:
        """The token of a secret; None when unknown, expired or revoked.

        The secret is looked up by its SHA-256, so how long the look-up takes says nothing of it.
        """
        with self.read() as connection:
            row = connection.execute(
                select(tokens).where(tokens.c.sha256 == sha256_text(secret))
            ).first()
        if row is None:
            return None
        token = _token(row)
        if token.revoked_at is not None:
            return None
        return None if token.expires_at is not None and token.expires_at <= now else token

    def revoke_token(self, token_id: str, *, now: datetime, actor: str = "service") -> Token:
        """Make a token worthless from now on; twice is as once. Raises UnknownRecord."""
        known_id(token_id, noun="token")
        with self.write() as connection:
            revoked = connection.execute(
                update(tokens)
                .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            row = connection.execute(select(tokens).where(tokens.c.id == token_id)).first()
            if row is None:
                raise unknown("token")
            token = _token(row)
            if revoked.rowcount:
                append_audit(
                    connection,
                    token.project_id,
                    actor=actor,
                    action="token.revoke",
                    subject=f"token {token.id}",
                    details={"name": token.name, "role": token.role},
                    now=now,
                )
            return token

    def list_tokens(self, project_id: str | None = None) -> list[Token]:
        """Every token of a project, or of all, oldest first; also those expired or revoked."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        if project_id is not None:
            query = query.where(tokens.c.project_id == project_id)
        with self.read() as connection:
            return [_token(row) for row in connection.execute(query)]

    def has_tokens(self) -> bool:
        """Whether a token was ever made: the first start of the service makes one."""
        with self.read() as connection:
            return connection.scalar(select(tokens.c.id).limit(1)) is not None

    def reserve_key(
        self, project_id: str, key: str, *, fingerprint: str, now: datetime
    ) -> str | None:
        """Claim an Idempotency-Key for a request; the id of its job when it was answered before.

        Parameters
        ----------
        fingerprint : str
            Of the request that the key stands for.

        Raises
        ------
        IdempotencyKeyReused
            The key came with another request before.
        Conflict
            `request_in_progress`: the first request with this key is still being answered. One
            that has been silent for 120 s is taken over.
        """
        digest = sha256_text(key)
        mine = (
            idempotency_keys.c.project_id == project_id,
            idempotency_keys.c.key_sha256 == digest,
        )
        with self.write() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(idempotency_keys).values(
                            project_id=project_id,
                            key_sha256=digest,
                            fingerprint=fingerprint,
                            reserved_at=now,
                        )
                    )
                return None
            except exc.IntegrityError:
                row = connection.execute(
                    select(idempotency_keys).where(*mine).with_for_update()
                ).first()
            if row is None:  # released this very moment, or there is no such project
                raise Conflict("the request is being answered", code="request_in_progress")
            if row.fingerprint != fingerprint:
                raise IdempotencyKeyReused("this Idempotency-Key came with another request before")
            if row.job_id is not None:
                return str(row.job_id)
            if now - row.reserved_at < timedelta(seconds=RESERVATION_SECONDS):
                raise Conflict(
                    "the first request with this Idempotency-Key is still being answered",
                    code="request_in_progress",
                )
            connection.execute(update(idempotency_keys).where(*mine).values(reserved_at=now))
            return None

    def release_key(self, project_id: str, key: str) -> None:
        """Forget a reserved key whose request was refused; one that has its job stays."""
        with self.write() as connection:
            connection.execute(
                delete(idempotency_keys).where(
                    idempotency_keys.c.project_id == project_id,
                    idempotency_keys.c.key_sha256 == sha256_text(key),
                    idempotency_keys.c.job_id.is_(None),
                )
            )
