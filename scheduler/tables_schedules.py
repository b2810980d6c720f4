"""The tables of retraining: schedules and runs, promotions, late labels and what models saw."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from scheduler.columns import ID, JSON_VALUE, CleanText, Instant, metadata

# Which version of a name is served: the newest line says; lines are only ever added.
promotions = Table(
    "promotions",
    metadata,
    Column("project_id", ID, ForeignKey("projects.id"), primary_key=True),
    Column("name", CleanText, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),  # promote | rollback | schedule
    Column("actor", CleanText, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", JSON_VALUE, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("request", JSON_VALUE, nullable=False),  # as validated by the API, defaults filled in
    Column("state", String(16), nullable=False),  # ACTIVE | PAUSED | DELETED
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant),  # when the next run is due; NULL while it is not ACTIVE
    Column("next_date", String(10)),  # the local date of that run
    Index("ix_schedules_state_next_at", "state", "next_at"),
    Index("ix_schedules_project_id_created_at_id", "project_id", "created_at", "id"),
)

# One row for each local date of a schedule: what makes a run happen exactly once.
runs = Table(
    "runs",
    metadata,
    Column("schedule_id", ID, ForeignKey("schedules.id"), primary_key=True),
    Column("local_date", String(10), primary_key=True),
    Column("state", String(16), nullable=False),  # DECIDING | SUBMITTED | SKIPPED | DONE | FAILED
    Column("due_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("finished_at", Instant),
    Column("missed", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("job_id", ID, ForeignKey("jobs.id")),
    Column("dataset_id", ID, ForeignKey("datasets.id")),
    Column("decision", JSON_VALUE),  # run or not, and why, in numbers
    Column("outcome", JSON_VALUE),  # promoted or not, and why, in numbers
    Index("ix_runs_state_lease_until", "state", "lease_until"),
    Index("ix_runs_job_id", "job_id"),
)

# Labels that arrived after their rows; the labels themselves are artifacts, deleted with the data.
outcomes = Table(
    "outcomes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("model_name", CleanText, nullable=False),
    Column("root_id", ID, ForeignKey("datasets.id"), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("artifact", Text),  # NULL once deleted
    Column("sha256", String(64), nullable=False),
    Column("n_labels", Integer, nullable=False),
    Column("n_positive", Integer, nullable=False),
    UniqueConstraint("project_id", "model_name", "sha256"),
    Index("ix_outcomes_root_id", "root_id"),
)

# What a model saw and said in a day: histograms, never rows.
observations = Table(
    "observations",
    metadata,
    Column("model_id", ID, ForeignKey("models.id"), primary_key=True),
    Column("day", String(10), primary_key=True),  # UTC
    Column("n_rows", BigInteger, nullable=False),
    Column("histograms", JSON_VALUE, nullable=False),
)
