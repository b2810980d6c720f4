"""The tables of the store, and the three column types that make both databases answer alike."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which has no time zones, keeps it as naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime came to the store; only aware ones are allowed")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text without what PostgreSQL cannot keep: NUL and lone surrogates become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)


def clean(value: str) -> str:
    """The text as both databases can keep it.

    >>> clean("a\\x00b")
    'a\ufffdb'
    """
    return (
        value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    )


def dump_json(value: Any) -> str:
    """JSON text that every database and every client reads: NaN and infinities become null.

    >>> dump_json({"score": float("nan")})
    '{"score": null}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_ID = String(32)  # uuid4().hex
_JSON = JSON(none_as_null=True)  # text on both: PostgreSQL's jsonb would refuse \u0000

projects = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", CleanText, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant),
    Column("upload", Text),
    Column("bytes_in", BigInteger, nullable=False),
    Column("options", _JSON, nullable=False),
    Column("artifact", Text),
    Column("bytes_stored", BigInteger),
    Column("n_rows", BigInteger),
    Column("profile", _JSON),
    Column("problem", _JSON),
    Column("cost", _JSON),
    Column("owner", Text),
    Column("lease_until", Instant),
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

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("dataset_id", _ID, ForeignKey("datasets.id"), nullable=False),
    Column("model_name", CleanText, nullable=False),
    Column("request", _JSON, nullable=False),
    Column("warnings", _JSON, nullable=False),
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
    Column("problem", _JSON),
    Column("result", _JSON),
    Column("receipt", _JSON),
    Column("last_event", Integer, nullable=False, server_default=text("0")),
    Index("ix_jobs_state_submitted_at_id", "state", "submitted_at", "id"),
    Index("ix_jobs_project_id_submitted_at_id", "project_id", "submitted_at", "id"),
    Index("ix_jobs_project_id_state_submitted_at_id", "project_id", "state", "submitted_at", "id"),
    Index("ix_jobs_dataset_id_state", "dataset_id", "state"),
    Index("ix_jobs_project_id_model_name", "project_id", "model_name"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("project_id", _ID, ForeignKey("projects.id"), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("job_id", _ID, ForeignKey("jobs.id")),
    Column("reserved_at", Instant, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("job_id", _ID, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("proposal", _JSON, nullable=False),
    Column("expected", _JSON, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    # Real columns beside the payload, so that a page of 10,000 trials is read from an index.
    Column("rung", SmallInteger, nullable=False),  # its place in `automl.trial.RUNGS`
    Column("score", Float(53)),
    Column("joules", Float(53)),
    Column("predict_joules", Float(53)),
    Column("trial", _JSON),
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
    Column("job_id", _ID, ForeignKey("jobs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("cost", _JSON, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("job_id", _ID, ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", _JSON, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("job_id", _ID, ForeignKey("jobs.id"), nullable=False),
    Column("dataset_id", _ID, ForeignKey("datasets.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("card", _JSON, nullable=False),
    Column("deleted_at", Instant),
    UniqueConstraint("project_id", "name", "version"),
)
