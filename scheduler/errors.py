"""Everything the scheduler raises on purpose, beside the library's errors."""

from __future__ import annotations

from typing import Any

from automl.errors import DataError, FrugalError


class UnknownRecord(FrugalError, LookupError):
    """There is no such record in this project; `field` of the request named it, if any did."""

    code = "not_found"
    field: str | None = None


class Gone(FrugalError):
    """The record existed in this project and was deleted."""

    code = "deleted"


class Conflict(FrugalError):
    """The record is not in a state that allows this."""

    code = "conflict"


class IdempotencyKeyReused(FrugalError):
    """The same Idempotency-Key came with another request."""

    code = "idempotency_key_reused"


class QueueFull(FrugalError):
    """As many jobs as allowed are waiting already."""

    code = "queue_full"


class LostLease(FrugalError):
    """Another worker owns the job now; whoever sees this stops at once and writes nothing."""

    code = "lost_lease"


class Corrupt(FrugalError):
    """Stored bytes no longer match their checksum."""

    code = "corrupt"


class ChildDied(FrugalError):
    """A child process crashed, ran out of memory or took too long; the message says which.

    `status` is what it exited with (below 0: the signal that ended it), None when nobody knows.
    """

    code = "child_died"

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status


class ForecastUnavailable(FrugalError):
    """This source has no intensity for this zone now; the next one is asked."""

    code = "forecast_unavailable"


class StoreUnavailable(FrugalError):
    """The database is locked, restarting or out of reach; the same request may work shortly."""

    code = "store_unavailable"


class IncompatibleStore(FrugalError):
    """A newer version wrote the database, or this one cannot use it; nothing was changed."""

    code = "incompatible_store"


class StorageFull(FrugalError):
    """There is no room left on the disk (or in the quota); nothing half-written is kept."""

    code = "storage_full"


class TooLarge(FrugalError):
    """More bytes came than the limit allows; nothing of them is kept."""

    code = "too_large"


class InvalidSetting(FrugalError):
    """A setting in the environment has a value that cannot be used; one line says which and why."""

    code = "invalid_setting"


def problem(code: str, detail: str) -> dict[str, Any]:
    """Return a problem as the store keeps it."""
    return {"code": code, "detail": detail}


def problem_of(error: FrugalError) -> dict[str, Any]:
    """Return all that an error says, of a DataError also where, as the store keeps it."""
    found = problem(error.code, str(error))
    if isinstance(error, DataError):
        where = {"table": error.table, "column": error.column, "row": error.row}
        found |= {name: value for name, value in where.items() if value is not None}
        if error.details:
            found["details"] = dict(error.details)
    return found
