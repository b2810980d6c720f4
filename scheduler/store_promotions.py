"""Which version of a name answers: the newest line says; lines are only ever added."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, insert, select
from sqlalchemy.sql.selectable import ScalarSelect

from scheduler.errors import Conflict, Gone
from scheduler.records import DatasetState, Json, Model
from scheduler.records_schedules import Promotion
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_rows import AnyRow, lock_project, to_model, unknown
from scheduler.tables import datasets, models, promotions


class PromotionStore(Database):
    """Promotions and rollbacks of a name; each leaves its line in the audit."""

    def promote(
        self, project_id: str, name: str, version: int, *, actor: str, reason: Json, now: datetime
    ) -> Promotion:
        """Let a version answer. That it does so already is no error, and adds nothing.

        Raises
        ------
        UnknownRecord, Gone
            There is no such version, or it was deleted; ``dataset_deleted``: its data were.
        """
        with self.write() as connection:
            lock_project(connection, project_id)
            model = _version(connection, project_id, name, version)
            last = _last(connection, project_id, name)
            if last is not None and last.version == version:
                return last
            _check_data(connection, model)
            return add_promotion(
                connection,
                project_id,
                name,
                version,
                kind="promote",
                actor=actor,
                reason=reason,
                now=now,
            )

    def rollback(
        self, project_id: str, name: str, *, actor: str, reason: Json, now: datetime
    ) -> Promotion:
        """Let the version answer again that did before the one that answers now.

        Rolling back twice goes back two steps. Raises UnknownRecord; Conflict `nothing_before`
        when no version answered before, or none of those that did is left.
        """
        with self.write() as connection:
            lock_project(connection, project_id)
            if not _exists(connection, project_id, name):
                raise unknown("model")
            before = _before(connection, project_id, name)
            if before is None:
                raise Conflict("no version of this model answered before", code="nothing_before")
            return add_promotion(
                connection,
                project_id,
                name,
                before,
                kind="rollback",
                actor=actor,
                reason=reason,
                now=now,
            )

    def version_before(self, project_id: str, name: str) -> int | None:
        """The version that a rollback would let answer; None where it would be refused."""
        with self.read() as connection:
            return _before(connection, project_id, name)

    def promotions(self, project_id: str, name: str, *, limit: int = 1000) -> list[Promotion]:
        """What answered for a name since when, newest first."""
        with self.read() as connection:
            rows = connection.execute(
                select(promotions)
                .where(*_named(project_id, name))
                .order_by(promotions.c.seq.desc())
                .limit(limit)
            )
            return [_promotion(row) for row in rows]


def add_promotion(
    connection: Connection,
    project_id: str,
    name: str,
    version: int,
    *,
    kind: str,
    actor: str,
    reason: Json,
    now: datetime,
) -> Promotion:
    """Add a line under the project's lock, with its line in the audit."""
    last = _last(connection, project_id, name)
    seq = 1 if last is None else last.seq + 1
    row = connection.execute(
        insert(promotions)
        .values(
            project_id=project_id,
            name=name,
            seq=seq,
            version=version,
            kind=kind,
            actor=actor,
            at=now,
            reason=dict(reason),
        )
        .returning(*promotions.c)
    ).one()
    append_audit(
        connection,
        project_id,
        actor=actor,
        action=f"model.{'rollback' if kind == 'rollback' else 'promote'}",
        subject=f"model {name}/{version}",
        details={"kind": kind, "from": None if last is None else last.version, **dict(reason)},
        now=now,
    )
    return _promotion(row)


def served_version(project_id: str, name: ColumnElement[str] | str) -> ScalarSelect[int]:
    """A subquery of the version that the newest line of a name says; NULL without one."""
    return (
        select(promotions.c.version)
        .where(*_named(project_id, name))
        .order_by(promotions.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )


def served(connection: Connection, project_id: str, name: str) -> Model | None:
    """The model that answers for a name: the promoted version, else the newest; None if gone."""
    query = select(models).where(
        models.c.project_id == project_id, models.c.name == name, models.c.deleted_at.is_(None)
    )
    chosen = query.where(models.c.version == served_version(project_id, name))
    row = connection.execute(chosen).first()
    if row is None:
        row = connection.execute(query.order_by(models.c.version.desc()).limit(1)).first()
    return None if row is None else to_model(row)


def is_kept(connection: Connection, project_id: str, name: str, version: int) -> bool:
    """Whether there is such a version that was not deleted."""
    query = select(models.c.id).where(
        models.c.project_id == project_id,
        models.c.name == name,
        models.c.version == version,
        models.c.deleted_at.is_(None),
    )
    return connection.execute(query).first() is not None


def _before(connection: Connection, project_id: str, name: str) -> int | None:
    """The last version that answered before the one that does now, and is still there."""
    kept = set(
        connection.scalars(
            select(models.c.version).where(
                models.c.project_id == project_id,
                models.c.name == name,
                models.c.deleted_at.is_(None),
            )
        )
    )
    before = [one for one in _past(connection, project_id, name) if one in kept]
    return before[-1] if before else None


def _past(connection: Connection, project_id: str, name: str) -> list[int]:
    """The versions that answered before the one that does now: a stack that rollbacks pop."""
    stack: list[int] = []
    query = select(promotions).where(*_named(project_id, name)).order_by(promotions.c.seq)
    for row in connection.execute(query):
        if row.kind == "rollback" and row.version in stack:
            while stack[-1] != row.version:
                stack.pop()
        else:
            if not stack:
                newest = _newest_at(connection, project_id, name, row.at)
                if newest is not None and newest != row.version:
                    stack.append(newest)
            stack.append(row.version)
    return stack[:-1]


def _newest_at(connection: Connection, project_id: str, name: str, at: datetime) -> int | None:
    """What answered before the first promotion: the newest version of that moment."""
    newest: int | None = connection.scalar(
        select(func.max(models.c.version)).where(
            models.c.project_id == project_id, models.c.name == name, models.c.created_at <= at
        )
    )
    return newest


def _last(connection: Connection, project_id: str, name: str) -> Promotion | None:
    row = connection.execute(
        select(promotions)
        .where(*_named(project_id, name))
        .order_by(promotions.c.seq.desc())
        .limit(1)
    ).first()
    return None if row is None else _promotion(row)


def _named(
    project_id: str, name: ColumnElement[str] | str
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return promotions.c.project_id == project_id, promotions.c.name == name


def _exists(connection: Connection, project_id: str, name: str) -> bool:
    query = select(models.c.id).where(models.c.project_id == project_id, models.c.name == name)
    return connection.execute(query.limit(1)).first() is not None


def _version(connection: Connection, project_id: str, name: str, version: int) -> Model:
    row = connection.execute(
        select(models).where(
            models.c.project_id == project_id,
            models.c.name == name,
            models.c.version == version,
        )
    ).first()
    if row is None:
        raise unknown("model")
    model = to_model(row)
    if model.deleted_at is not None:
        raise Gone("this version of the model was deleted")
    return model


def _check_data(connection: Connection, model: Model) -> None:
    state = connection.scalar(select(datasets.c.state).where(datasets.c.id == model.dataset_id))
    if state == DatasetState.DELETED:
        raise Gone(
            f"the data that version {model.version} was trained on were deleted: it can neither be "
            "compared with another nor be trained again",
            code="dataset_deleted",
        )


def _promotion(row: AnyRow) -> Promotion:
    return Promotion(**row._asdict())
