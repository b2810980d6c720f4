"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
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
from scheduler.tables_jobs import events, idempotency_keys, jobs, phases, trials
from scheduler.tables_schedules import observations, outcomes, promotions, runs, schedules

__all__ = [
    "audit",
    "dataset_tables",
    "datasets",
    "events",
    "idempotency_keys",
    "jobs",
    "ledger",
    "metadata",
    "models",
    "observations",
    "outbox",
    "outcomes",
    "phases",
    "predictions",
    "projects",
    "promotions",
    "runs",
    "schedules",
    "tokens",
    "trials",
    "upload_chunks",
    "uploads",
]

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
