"""Registered champions: versions of a name; the one promoted last answers, else the newest."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, select, update

from scheduler.errors import Conflict, Gone
from scheduler.records import FINAL, Model
from scheduler.records_uploads import chunk_key
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_promotions import served
from scheduler.store_rows import page, to_model, unknown
from scheduler.tables import (
    datasets,
    jobs,
    models,
    observations,
    outcomes,
    predictions,
    upload_chunks,
)

_MOST_VERSIONS = 2**31 - 1


class ModelStore(Database):
    """Models of a project by name; a job registers its champion when it finishes."""

    def get_model(self, project_id: str, name: str, *, version: int | None = None) -> Model:
        """The version of a name that answers, or the version asked for.

        That is the one promoted last, else the newest; never a deleted one.

        Raises
        ------
        Gone
            It was deleted.
        Conflict
            `model_not_ready`: a job that will register it has not ended.
        UnknownRecord
            This project has no such model.
        """
        named = (models.c.project_id == project_id, models.c.name == name)
        query = select(models).where(*named).order_by(models.c.version.desc())
        with self.read() as connection:
            if version is not None:
                if not 0 < version <= _MOST_VERSIONS:
                    raise unknown("model")
                row = connection.execute(query.where(models.c.version == version)).first()
                if row is None:
                    raise unknown("model")
                model = to_model(row)
                if model.deleted_at is not None:
                    raise Gone("this version of the model was deleted")
                return model
            answering = served(connection, project_id, name)
            if answering is not None:
                return answering
            coming = select(jobs.c.id).where(
                jobs.c.project_id == project_id,
                jobs.c.model_name == name,
                jobs.c.state.not_in(FINAL),
            )
            if connection.execute(coming.limit(1)).first() is not None:
                raise Conflict("the job of this model has not ended", code="model_not_ready")
            if connection.execute(query.limit(1)).first() is not None:
                raise Gone("the model was deleted")
        raise unknown("model")

    def model_by_id(self, project_id: str, model_id: str) -> Model:
        """The model of this id. Raises UnknownRecord, and Gone where it was deleted."""
        query = select(models).where(models.c.project_id == project_id, models.c.id == model_id)
        with self.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise unknown("model")
        model = to_model(row)
        if model.deleted_at is not None:
            raise Gone("the model was deleted")
        return model

    def model_of_job(self, project_id: str, job_id: str) -> Model | None:
        """The model that a job of this project registered; None when it has none."""
        query = select(models).where(models.c.project_id == project_id, models.c.job_id == job_id)
        with self.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else to_model(row)

    def versions_of_jobs(self, project_id: str, job_ids: Collection[str]) -> dict[str, int]:
        """The version of its model that each of these jobs made, by job; not deleted ones."""
        query = select(models.c.job_id, models.c.version).where(
            models.c.project_id == project_id,
            models.c.job_id.in_(job_ids),
            models.c.deleted_at.is_(None),
        )
        with self.read() as connection:
            return {row.job_id: row.version for row in connection.execute(query)}

    def list_models(
        self, project_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Model], str | None]:
        """A page of the project's models, by name, each in the version that answers.

        The cursor of the next page is the last name.
        """
        newest = (
            select(models.c.name, func.max(models.c.version).label("version"))
            .where(models.c.project_id == project_id, models.c.deleted_at.is_(None))
            .group_by(models.c.name)
        )
        if after is not None:
            newest = newest.where(models.c.name > after)
        newest = newest.order_by(models.c.name).limit(limit + 1)
        latest = newest.subquery()
        query = (
            select(models)
            .join(
                latest,
                (models.c.name == latest.c.name) & (models.c.version == latest.c.version),
            )
            .where(models.c.project_id == project_id)
            .order_by(models.c.name)
        )
        with self.read() as connection:
            rows = connection.execute(query).all()
            items, more = page([to_model(row) for row in rows], limit=limit)
            answering = [served(connection, project_id, one.name) or one for one in items]
        return answering, items[-1].name if more else None

    def known_model(self, project_id: str, model_id: str) -> Model | None:
        """A model of this project, None once it was deleted."""
        query = select(models).where(
            models.c.id == model_id,
            models.c.project_id == project_id,
            models.c.deleted_at.is_(None),
        )
        with self.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else to_model(row)

    def model_versions(self, project_id: str, name: str) -> list[Model]:
        """Every version of a name that was not deleted, newest first."""
        query = (
            select(models)
            .where(
                models.c.project_id == project_id,
                models.c.name == name,
                models.c.deleted_at.is_(None),
            )
            .order_by(models.c.version.desc())
        )
        with self.read() as connection:
            return [to_model(row) for row in connection.execute(query)]

    def delete_model(
        self, project_id: str, name: str, *, now: datetime, actor: str = "service"
    ) -> list[str]:
        """Delete every version of a name; the keys of the artifacts that the caller deletes.

        Raises UnknownRecord. A second time changes nothing and has no keys.
        """
        named = (models.c.project_id == project_id, models.c.name == name)
        with self.write() as connection:
            if connection.execute(select(models.c.id).where(*named).limit(1)).first() is None:
                raise unknown("model")
            rows = connection.execute(
                update(models)
                .where(*named, models.c.deleted_at.is_(None))
                .values(deleted_at=now, card={})
                .returning(models.c.id, models.c.version, models.c.artifact)
            ).all()
            if not rows:
                return []
            # What it saw goes with it, though it is counts only.
            connection.execute(
                delete(observations).where(observations.c.model_id.in_([row.id for row in rows]))
            )
            append_audit(
                connection,
                project_id,
                actor=actor,
                action="model.delete",
                subject=f"model {name}",
                details={"versions": sorted(row.version for row in rows)},
                now=now,
            )
            return sorted(str(row.artifact) for row in rows)

    def artifact_keys(self) -> set[str]:
        """Every key that a record still points at, and `jobs/<id>` for each unfinished job.

        What the artifact store holds beside these is an orphan: `ArtifactStore.sweep`.
        """
        with self.read() as connection:
            keys: set[str | None] = set()
            for upload, artifact in connection.execute(
                select(datasets.c.upload, datasets.c.artifact)
            ):
                keys |= {upload, artifact}
            keys |= set(
                connection.scalars(select(models.c.artifact).where(models.c.deleted_at.is_(None)))
            )
            keys |= set(connection.scalars(select(outcomes.c.artifact)))
            keys |= set(connection.scalars(select(predictions.c.artifact)))
            keys |= {
                chunk_key(upload_id, number)
                for upload_id, number in connection.execute(
                    select(upload_chunks.c.upload_id, upload_chunks.c.number)
                )
            }
            unfinished = select(jobs.c.id).where(jobs.c.state.not_in(FINAL))
            keys |= {f"jobs/{job_id}" for job_id in connection.scalars(unfinished)}
        return {key for key in keys if key is not None}
