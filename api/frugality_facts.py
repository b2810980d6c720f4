"""What a frugality report is made from: a job with its bill, its data and its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.records import Job, Model, StoredDataset


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A job and what belongs to it.

    Parameters
    ----------
    receipt : its bill, or the phases so far
    dataset : None where its record is gone
    model : the model that it made; None where it made none, or it was deleted
    serving : the version of that name that answers; None where none does
    """

    job: Job
    receipt: Mapping[str, Any]
    dataset: StoredDataset | None
    model: Model | None
    serving: int | None = None

    @property
    def request(self) -> Mapping[str, Any]:
        return self.job.request

    @property
    def admission(self) -> Mapping[str, Any]:
        return dict(self.request.get("admission") or {})

    @property
    def card(self) -> Mapping[str, Any]:
        return {} if self.model is None else self.model.card

    @property
    def result(self) -> Mapping[str, Any]:
        return dict(self.job.result or {})

    @property
    def stop(self) -> Mapping[str, Any]:
        return dict(self.result.get("stop") or {})

    @property
    def total(self) -> Mapping[str, Any]:
        return dict(self.receipt["total"])

    @property
    def levers(self) -> Mapping[str, Any]:
        return dict(self.receipt.get("levers") or {})

    @property
    def less(self) -> Mapping[str, Any]:
        return dict(self.levers.get("less") or {})

    @property
    def later(self) -> Mapping[str, Any]:
        return dict(self.levers.get("later") or {})

    @property
    def intensity(self) -> Mapping[str, Any]:
        found = self.receipt.get("intensity") or self.total.get("intensity")
        return dict(found or {})
