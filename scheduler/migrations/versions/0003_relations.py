"""Data sets of several tables, and predictions for all rows of a data set.

Revision 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "dataset_tables",
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("source_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_tables_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["datasets.id"], name=op.f("fk_dataset_tables_source_id")
        ),
        sa.PrimaryKeyConstraint("dataset_id", "name", name=op.f("pk_dataset_tables")),
    )
    op.create_index("ix_dataset_tables_source_id", "dataset_tables", ["source_id"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=32), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("n_rows", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("problem", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cost", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_predictions_project_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_predictions_model_id")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_predictions_dataset_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )
    for columns in (
        ["state"],
        ["dataset_id"],
        ["model_id"],
        ["project_id", "created_at", "id"],
    ):
        name = "_".join(["ix_predictions", *columns])
        op.create_index(name, "predictions", columns, unique=False)


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("predictions")
    op.drop_table("dataset_tables")
