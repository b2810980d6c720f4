"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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
    UniqueConstraint,
    false,
    text,
)

from scheduler.columns import ID, JSON_VALUE, CleanText, Instant
from scheduler.columns import metadata as metadata

projects = Table(
    "projects",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", CleanText, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False, server_default="admin"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant),
    Column("upload", Text),
    Column("bytes_in", BigInteger, nullable=False),
    Column("options", JSON_VALUE, nullable=False),
    Column("artifact", Text),
    Column("bytes_stored", BigInteger),
    Column("n_rows", BigInteger),
    Column("profile", JSON_VALUE),
    Column("problem", JSON_VALUE),
    Column("cost", JSON_VALUE),
    Column("owner", Text),
    Column("lease_until", Instant),
    # A version of another data set: its first version, the one it was appended to, its number.
    Column("root_id", ID),  # no foreign keys: SQLite cannot add one to a table that is there
    Column("base_id", ID),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Index("ix_datasets_root_id_version", "root_id", "version"),
    Index("ix_datasets_project_id_created_at_id", "project_id", "created_at", "id"),
    Index("ix_datasets_state", "state"),
    # The same bytes read in the same way are one data set of a project; one that failed or was
    # deleted does not stand in the way of another attempt.
    Index(
        "uq_datasets_project_id_fingerprint",
        "project_id",
        "fingerprint",
        unique=True,
        sqlite_where=text("state IN ('INGESTING', 'READY')"),
        postgresql_where=text("state IN ('INGESTING', 'READY')"),
    ),
)

# What a data set of several tables was put together from.
dataset_tables = Table(
    "dataset_tables",
    metadata,
    Column("dataset_id", ID, ForeignKey("datasets.id"), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("source_id", ID, ForeignKey("datasets.id"), nullable=False),
    Index("ix_dataset_tables_source_id", "source_id"),
)

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

models = Table(
    "models",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False),
    Column("dataset_id", ID, ForeignKey("datasets.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("card", JSON_VALUE, nullable=False),
    Column("deleted_at", Instant),
    UniqueConstraint("project_id", "name", "version"),
)

# Every row of a data set predicted by a model: a piece of work with an artifact at its end.
predictions = Table(
    "predictions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("model_id", ID, ForeignKey("models.id"), nullable=False),
    Column("dataset_id", ID, ForeignKey("datasets.id"), nullable=False),
    Column("format", String(16), nullable=False),  # csv | parquet
    Column("state", String(16), nullable=False),  # RUNNING | DONE | FAILED | DELETED
    Column("created_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("owner", Text),
    Column("lease_until", Instant),
    Column("artifact", Text),
    Column("n_rows", BigInteger),
    Column("bytes", BigInteger),
    Column("report", JSON_VALUE),
    Column("problem", JSON_VALUE),
    Column("cost", JSON_VALUE),
    Index("ix_predictions_state", "state"),
    Index("ix_predictions_dataset_id", "dataset_id"),
    Index("ix_predictions_model_id", "model_id"),
    Index("ix_predictions_project_id_created_at_id", "project_id", "created_at", "id"),
)

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

audit = Table(
    "audit",
    metadata,
    Column("project_id", ID, ForeignKey("projects.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", CleanText, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", CleanText, nullable=False),
    Column("details", JSON_VALUE, nullable=False),
    Column("sha256", String(64), nullable=False),  # of this line and the one before it
)

# The bill of a project: energy and carbon by job, phase and UTC day; nothing else of the job.
ledger = Table(
    "ledger",
    metadata,
    Column("job_id", ID, primary_key=True),
    Column("phase", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("dataset_id", ID, nullable=False),
    Column("schedule_id", ID),
    Column("cpu_seconds", Float(53), nullable=False),
    Column("joules", Float(53), nullable=False),
    Column("grams_per_kwh", Float(53), nullable=False),  # that was, by energy over the phase
    Column("gco2e", Float(53), nullable=False),
    Column("gco2e_at_submission", Float(53)),  # the same joules at submission; NULL: unknown
    Column("meter", String(64), nullable=False),
    Column("intensity", JSON_VALUE, nullable=False),  # zone, source, factor type, signal, estimated
    Column("settle_at", Instant),  # priced again then, when more is known; NULL: for good
    Index("ix_ledger_project_id_day", "project_id", "day"),
    Index("ix_ledger_settle_at", "settle_at"),
)

# Calls to the outside that belong to a change of state, written in its transaction.
outbox = Table(
    "outbox",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("url", Text, nullable=False),
    Column("payload", JSON_VALUE, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_at", Instant),  # NULL: delivered or given up
    Column("delivered_at", Instant),
    Column("problem", JSON_VALUE),
    Index("ix_outbox_next_at", "next_at"),
)

# Files that come in pieces: OPEN until all are there, then COMPLETE; what is given up is EXPIRED.
uploads = Table(
    "uploads",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("chunk_bytes", Integer, nullable=False),
    Column("sha256", String(64)),
    Column("options", JSON_VALUE, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("dataset_id", ID, ForeignKey("datasets.id")),
    Index("ix_uploads_state_expires_at", "state", "expires_at"),
    Index("ix_uploads_project_id_created_at_id", "project_id", "created_at", "id"),
)

upload_chunks = Table(
    "upload_chunks",
    metadata,
    Column("upload_id", ID, ForeignKey("uploads.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("n_bytes", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
)
