"""Waiting for clean hours: plans, pauses, schedules and their runs, promotions, audit, ledger.

Revision 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and columns."""
    op.create_table(
        "audit",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_audit_project_id")),
        sa.PrimaryKeyConstraint("project_id", "seq", name=op.f("pk_audit")),
    )
    op.create_table(
        "ledger",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("phase", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("schedule_id", sa.String(length=32), nullable=True),
        sa.Column("cpu_seconds", sa.Float(precision=53), nullable=False),
        sa.Column("joules", sa.Float(precision=53), nullable=False),
        sa.Column("grams_per_kwh", sa.Float(precision=53), nullable=False),
        sa.Column("gco2e", sa.Float(precision=53), nullable=False),
        sa.Column("gco2e_at_submission", sa.Float(precision=53), nullable=True),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("intensity", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("settle_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_ledger_project_id")),
        sa.PrimaryKeyConstraint("job_id", "phase", "day", name=op.f("pk_ledger")),
    )
    op.create_index("ix_ledger_project_id_day", "ledger", ["project_id", "day"], unique=False)
    op.create_index("ix_ledger_settle_at", "ledger", ["settle_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_outbox_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_next_at", "outbox", ["next_at"], unique=False)
    op.create_table(
        "promotions",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_promotions_project_id")
        ),
        sa.PrimaryKeyConstraint("project_id", "name", "seq", name=op.f("pk_promotions")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("request", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_date", sa.String(length=10), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_schedules_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(
        "ix_schedules_project_id_created_at_id",
        "schedules",
        ["project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_schedules_state_next_at", "schedules", ["state", "next_at"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("root_id", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("n_labels", sa.Integer(), nullable=False),
        sa.Column("n_positive", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_outcomes_project_id")
        ),
        sa.ForeignKeyConstraint(["root_id"], ["datasets.id"], name=op.f("fk_outcomes_root_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint(
            "project_id",
            "model_name",
            "sha256",
            name=op.f("uq_outcomes_project_id_model_name_sha256"),
        ),
    )
    op.create_index("ix_outcomes_root_id", "outcomes", ["root_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("schedule_id", sa.String(length=32), nullable=False),
        sa.Column("local_date", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.Column("dataset_id", sa.String(length=32), nullable=True),
        sa.Column("decision", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("outcome", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_runs_dataset_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_runs_job_id")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_runs_schedule_id")
        ),
        sa.PrimaryKeyConstraint("schedule_id", "local_date", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_job_id", "runs", ["job_id"], unique=False)
    op.create_index("ix_runs_state_lease_until", "runs", ["state", "lease_until"], unique=False)
    op.create_table(
        "observations",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("histograms", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_observations_model_id")),
        sa.PrimaryKeyConstraint("model_id", "day", name=op.f("pk_observations")),
    )
    op.add_column("datasets", sa.Column("root_id", sa.String(length=32), nullable=True))
    op.add_column("datasets", sa.Column("base_id", sa.String(length=32), nullable=True))
    op.add_column(
        "datasets", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.create_index("ix_datasets_root_id_version", "datasets", ["root_id", "version"], unique=False)
    op.add_column("jobs", sa.Column("plan", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("start_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE jobs SET start_at = submitted_at")
    op.add_column("jobs", sa.Column("finish_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("expected_seconds", sa.Float(precision=53), nullable=True))
    op.add_column(
        "jobs",
        sa.Column("pause_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "jobs",
        sa.Column("yield_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("jobs", sa.Column("schedule_id", sa.String(length=32), nullable=True))
    op.drop_index(op.f("ix_jobs_state_submitted_at_id"), table_name="jobs")
    op.create_index(
        "ix_jobs_state_finish_by_submitted_at",
        "jobs",
        ["state", "finish_by", "submitted_at", "id"],
        unique=False,
    )
    op.create_index("ix_jobs_state_lease_until", "jobs", ["state", "lease_until"], unique=False)
    op.create_index("ix_jobs_state_start_at", "jobs", ["state", "start_at"], unique=False)
    unbilled = sa.text("receipt IS NULL AND finished_at IS NOT NULL")
    op.create_index(
        "ix_jobs_finished_at",
        "jobs",
        ["finished_at"],
        unique=False,
        sqlite_where=unbilled,
        postgresql_where=unbilled,
    )
    op.add_column("phases", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("phases", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "tokens", sa.Column("role", sa.String(length=16), server_default="admin", nullable=False)
    )


def downgrade() -> None:
    """Drop them again."""
    op.drop_column("tokens", "role")
    op.drop_column("phases", "ended_at")
    op.drop_column("phases", "started_at")
    op.drop_index("ix_jobs_finished_at", table_name="jobs")
    op.drop_index("ix_jobs_state_start_at", table_name="jobs")
    op.drop_index("ix_jobs_state_lease_until", table_name="jobs")
    op.drop_index("ix_jobs_state_finish_by_submitted_at", table_name="jobs")
    op.create_index(
        op.f("ix_jobs_state_submitted_at_id"), "jobs", ["state", "submitted_at", "id"], unique=False
    )
    op.drop_column("jobs", "schedule_id")
    op.drop_column("jobs", "yield_requested")
    op.drop_column("jobs", "pause_requested")
    op.drop_column("jobs", "expected_seconds")
    op.drop_column("jobs", "claimed_at")
    op.drop_column("jobs", "finish_by")
    op.drop_column("jobs", "start_at")
    op.drop_column("jobs", "plan")
    op.drop_index("ix_datasets_root_id_version", table_name="datasets")
    op.drop_column("datasets", "version")
    op.drop_column("datasets", "base_id")
    op.drop_column("datasets", "root_id")
    op.drop_table("observations")
    op.drop_index("ix_runs_state_lease_until", table_name="runs")
    op.drop_index("ix_runs_job_id", table_name="runs")
    op.drop_table("runs")
    op.drop_index("ix_outcomes_root_id", table_name="outcomes")
    op.drop_table("outcomes")
    op.drop_index("ix_schedules_state_next_at", table_name="schedules")
    op.drop_index("ix_schedules_project_id_created_at_id", table_name="schedules")
    op.drop_table("schedules")
    op.drop_table("promotions")
    op.drop_index("ix_outbox_next_at", table_name="outbox")
    op.drop_table("outbox")
    op.drop_index("ix_ledger_settle_at", table_name="ledger")
    op.drop_index("ix_ledger_project_id_day", table_name="ledger")
    op.drop_table("ledger")
    op.drop_table("audit")
