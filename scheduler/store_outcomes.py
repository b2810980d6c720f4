"""Labels that came after their rows, and what models saw: records of both, never a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import exc, insert, select, update

from scheduler.errors import Gone
from scheduler.records import DatasetState, Json
from scheduler.records_schedules import Outcomes
from scheduler.store_engine import Database
from scheduler.store_rows import AnyRow, unknown
from scheduler.tables import datasets, models, observations, outcomes

# The histograms of the rows that a model was trained on stand under this day.
TRAINING = "training"


class OutcomeStore(Database):
    """Outcomes of a model's data and observations of a model."""

    def add_outcomes(self, found: Outcomes) -> tuple[Outcomes, bool]:
        """Keep outcomes, or find those that came with the same bytes before.

        Returns
        -------
        (Outcomes, bool)
            What is in the store now, and whether this call put it there.

        Raises
        ------
        Gone
            The data were deleted meanwhile.
        """
        with self.write() as connection:
            state = connection.scalar(
                select(datasets.c.state)
                .where(datasets.c.id == found.root_id, datasets.c.project_id == found.project_id)
                .with_for_update()
            )
            if state is None:
                raise unknown("data set")
            if state == DatasetState.DELETED:
                raise Gone("the data set was deleted")
            same = (
                outcomes.c.project_id == found.project_id,
                outcomes.c.model_name == found.model_name,
                outcomes.c.sha256 == found.sha256,
            )
            try:
                with connection.begin_nested():
                    connection.execute(insert(outcomes).values(**vars(found)))
                return found, True
            except exc.IntegrityError:
                row = connection.execute(select(outcomes).where(*same)).one()
            if row.artifact is None:  # deleted with its data, and handed over anew
                row = connection.execute(
                    update(outcomes)
                    .where(*same)
                    .values(
                        artifact=found.artifact,
                        received_at=found.received_at,
                        root_id=found.root_id,
                    )
                    .returning(*outcomes.c)
                ).one()
                return _outcomes(row), True
            return _outcomes(row), False

    def outcomes_of(self, root_id: str) -> list[Outcomes]:
        """Outcomes of the rows of a series that are kept, in the order in which they came."""
        query = (
            select(outcomes)
            .where(outcomes.c.root_id == root_id, outcomes.c.artifact.is_not(None))
            .order_by(outcomes.c.received_at, outcomes.c.id)
        )
        with self.read() as connection:
            return [_outcomes(row) for row in connection.execute(query)]

    def drop_outcomes(self, root_id: str) -> list[str]:
        """Forget all labels of a series; the keys of the files, which the caller deletes."""
        late = outcomes.c.root_id == root_id
        with self.write() as connection:
            keys = connection.scalars(select(outcomes.c.artifact).where(late)).all()
            connection.execute(update(outcomes).where(late).values(artifact=None))
        return [key for key in keys if key is not None]

    def put_observation(
        self, model_id: str, *, day: str, n_rows: int, histograms: Mapping[str, Any]
    ) -> None:
        """Keep what a model saw on a day (UTC, or TRAINING); a second time replaces it.

        Nothing is kept of a model that was deleted meanwhile, or whose data were.
        """
        values = {"n_rows": n_rows, "histograms": dict(histograms)}
        key = (observations.c.model_id == model_id, observations.c.day == day)
        alive = (
            select(models.c.id)
            .join(datasets, datasets.c.id == models.c.dataset_id)
            .where(
                models.c.id == model_id,
                models.c.deleted_at.is_(None),
                datasets.c.state != DatasetState.DELETED,
            )
            .with_for_update()
        )
        with self.write() as connection:
            if connection.execute(alive).first() is None:
                return
            done = connection.execute(update(observations).where(*key).values(values))
            if done.rowcount == 0:
                connection.execute(
                    insert(observations).values(model_id=model_id, day=day, **values)
                )

    def observation(self, model_id: str, *, day: str) -> dict[str, Any] | None:
        """The histograms of a day; None where nothing was kept."""
        query = select(observations.c.histograms).where(
            observations.c.model_id == model_id, observations.c.day == day
        )
        with self.read() as connection:
            found = connection.scalar(query)
        return None if found is None else dict(found)

    def observations_of(self, model_id: str, *, limit: int) -> list[tuple[str, int, Json]]:
        """Day, number of rows and histograms of the days a model was looked at, newest first."""
        query = (
            select(observations.c.day, observations.c.n_rows, observations.c.histograms)
            .where(observations.c.model_id == model_id, observations.c.day != TRAINING)
            .order_by(observations.c.day.desc())
            .limit(limit)
        )
        with self.read() as connection:
            return [(row.day, row.n_rows, row.histograms) for row in connection.execute(query)]


def _outcomes(row: AnyRow) -> Outcomes:
    return Outcomes(**row._asdict())
