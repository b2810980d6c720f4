"""Rows whose label is not known."""

from __future__ import annotations

from dataclasses import dataclass

from automl.models.base import X


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Encoded rows without a label, and the prevalence that they are taken to have."""

    rows: X  # shape (n_unlabelled, n_columns)
    rate: float
