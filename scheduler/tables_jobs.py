"""The tables of jobs: the jobs themselves, their trials, phases and events."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)

from scheduler.columns import ID, JSON_VALUE, CleanText, Instant, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("dataset_id", ID, ForeignKey("datasets.id"), nullable=False),
    Column("model_name", CleanText, nullable=False),
    Column("request", JSON_VALUE, nullable=False),
    Column("warnings", JSON_VALUE, nullable=False),
    Column("state", String(16), nullable=False),
    Column("submitted_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean, nullable=False),
    Column("stop_reason", CleanText),
    Column("problem", JSON_VALUE),
    Column("result", JSON_VALUE),
    Column("receipt", JSON_VALUE),
    Column("last_event", Integer, nullable=False, server_default=text("0")),
    Column("plan", JSON_VALUE),
    Column("start_at", Instant),  # not claimed before; NULL: not until it is resumed
    Column("finish_by", Instant),
    Column("expected_seconds", Float(53)),  # of wall time, of what is left to do
    Column("claimed_at", Instant),
    Column("pause_requested", Boolean, nullable=False, server_default=false()),
    Column("yield_requested", Boolean, nullable=False, server_default=false()),
    Column("schedule_id", ID),
    Index("ix_jobs_state_finish_by_submitted_at", "state", "finish_by", "submitted_at", "id"),
    Index("ix_jobs_state_start_at", "state", "start_at"),
    Index("ix_jobs_state_lease_until", "state", "lease_until"),
    Index("ix_jobs_project_id_submitted_at_id", "project_id", "submitted_at", "id"),
    Index("ix_jobs_project_id_state_submitted_at_id", "project_id", "state", "submitted_at", "id"),
    Index("ix_jobs_dataset_id_state", "dataset_id", "state"),
    Index("ix_jobs_project_id_model_name", "project_id", "model_name"),
    Index(  # jobs that ended and have no bill yet: few, however many there are in all
        "ix_jobs_finished_at",
        "finished_at",
        sqlite_where=text("receipt IS NULL AND finished_at IS NOT NULL"),
        postgresql_where=text("receipt IS NULL AND finished_at IS NOT NULL"),
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("project_id", ID, ForeignKey("projects.id"), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("job_id", ID, ForeignKey("jobs.id")),
    Column("reserved_at", Instant, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("proposal", JSON_VALUE, nullable=False),
    Column("expected", JSON_VALUE, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    # Real columns beside the payload, so that a page of 10,000 trials is read from an index.
    Column("rung", SmallInteger, nullable=False),  # its place in `automl.trial.RUNGS`
    Column("score", Float(53)),
    Column("joules", Float(53)),
    Column("predict_joules", Float(53)),
    Column("trial", JSON_VALUE),
    Index("ix_trials_job_id_joules_number", "job_id", "joules", "number"),
    Index("ix_trials_job_id_predict_joules_number", "job_id", "predict_joules", "number"),
)

Index(
    "ix_trials_job_id_rung_score_number",
    trials.c.job_id,
    trials.c.rung.desc(),
    trials.c.score.desc(),
    trials.c.number,
)

phases = Table(
    "phases",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("cost", JSON_VALUE, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
)

events = Table(
    "events",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", JSON_VALUE, nullable=False),
)
