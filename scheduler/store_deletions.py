"""Data sets that are deleted: what goes with them, and how the jobs on them end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from scheduler.errors import Conflict
from scheduler.records import FINAL, DatasetState, Job, JobState, StoredDataset
from scheduler.store_audit import append_audit
from scheduler.store_engine import Database
from scheduler.store_rows import known_id, lock_project, move_job, to_dataset, to_job, unknown
from scheduler.store_series import descendants, ended, made_of
from scheduler.tables import datasets, jobs, models, observations, outcomes, predictions

DATA_DELETED = {"code": "data_deleted", "detail": "the data set was deleted while the job was open"}


class DeletionStore(Database):
    """Deletion of a data set, with the versions and what was put together from it."""

    def delete_dataset(
        self,
        project_id: str,
        dataset_id: str,
        *,
        force: bool,
        now: datetime,
        actor: str = "service",
    ) -> tuple[StoredDataset, list[str]]:
        """Forget the rows, profile and problem of a data set; its name and figures stay on record.

        The versions that build on it go with it, and with the last version that is left of a
        series the labels that came later; of others the caller takes those of their rows out of
        their files. With `force`, open jobs on them end too: those that wait are CANCELLED here,
        the one that runs is asked to stop, and can register no model any more.

        Returns
        -------
        (StoredDataset, list of str)
            The data set as it is now, and the keys of the artifacts that the caller deletes. A
            second call changes nothing and has no keys.

        Raises
        ------
        UnknownRecord, Conflict
            `dataset_in_use` when a job on it is still open and `force` is not given.
        """
        known_id(dataset_id, noun="data set")
        with self.write() as connection:
            lock_project(connection, project_id)
            row = connection.execute(
                select(datasets)
                .where(datasets.c.id == dataset_id, datasets.c.project_id == project_id)
                .with_for_update()
            ).first()
            if row is None:
                raise unknown("data set")
            dataset = to_dataset(row)
            if dataset.state is DatasetState.DELETED:
                return dataset, []
            family = [dataset, *descendants(connection, dataset)]
            made = made_of(connection, [one.id for one in family])
            if made and not force:
                names = ", ".join(one.id for one in made[:5])
                raise Conflict(
                    f"{len(made)} data set(s) of several tables were made of data set "
                    f"{dataset_id}: {names}; delete them first, or all together with force",
                    code="dataset_in_use",
                )
            family += made
            ids = [one.id for one in family]
            unfinished = jobs.c.state.not_in(FINAL)
            rows = connection.execute(
                select(jobs).where(jobs.c.dataset_id.in_(ids), unfinished).with_for_update()
            )
            open_jobs = [to_job(row) for row in rows]
            if open_jobs and not force:
                later = "" if len(ids) == 1 else f" or the {len(ids) - 1} version(s) built on it"
                raise Conflict(
                    f"{len(open_jobs)} unfinished job(s) use data set {dataset_id}{later}",
                    code="dataset_in_use",
                )
            for job in open_jobs:
                move_job(
                    connection, job.id, unfinished, now=now, problem=DATA_DELETED, **_stop(job, now)
                )
            connection.execute(
                update(datasets)
                .where(datasets.c.id.in_(ids))
                .values(
                    state=DatasetState.DELETED,
                    upload=None,
                    artifact=None,
                    profile=None,
                    problem=None,
                    options={},
                    owner=None,
                    lease_until=None,
                    updated_at=now,
                )
            )
            deleted = connection.execute(select(datasets).where(datasets.c.id == dataset_id)).one()
            keys = [key for one in family for key in (one.upload, one.artifact)]
            late = outcomes.c.root_id.in_(ended(connection, family))
            keys += connection.scalars(select(outcomes.c.artifact).where(late)).all()
            connection.execute(update(outcomes).where(late).values(artifact=None))
            gone = predictions.c.dataset_id.in_(ids)
            keys += connection.scalars(select(predictions.c.artifact).where(gone)).all()
            connection.execute(
                update(predictions)
                .where(gone)
                .values(state="DELETED", artifact=None, report=None, owner=None, lease_until=None)
            )
            # Histograms of rows that are gone go with them, though their models stay.
            trained = select(models.c.id).where(models.c.dataset_id.in_(ids))
            connection.execute(delete(observations).where(observations.c.model_id.in_(trained)))
            append_audit(
                connection,
                project_id,
                actor=actor,
                action="dataset.delete",
                subject=f"dataset {dataset_id}",
                details={"versions": ids, "force": force},
                now=now,
            )
        return to_dataset(deleted), [key for key in keys if key is not None]


def _stop(job: Job, now: datetime) -> dict[str, Any]:
    """How an open job ends when its data go."""
    if job.state is JobState.RUNNING:
        data = {"state": job.state, "cancel_requested": True, "problem": DATA_DELETED}
        return {"kind": "state", "data": data, "cancel_requested": True}
    data = {"state": JobState.CANCELLED, "problem": DATA_DELETED}
    return {
        "kind": "end",
        "data": data,
        "state": JobState.CANCELLED,
        "cancel_requested": True,
        "finished_at": now,
    }
