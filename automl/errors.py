"""Everything this library raises on purpose."""

from __future__ import annotations


class FrugalError(Exception):
    """Base of every error that this project raises on purpose.

    `code` is stable and meant for programs; the message is one sentence meant for people. Neither
    ever carries a value of a cell: only names and positions.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class DataError(FrugalError, ValueError):
    """The data cannot be used as they are; says where.

    Parameters
    ----------
    message : str
        One sentence for people, with the numbers that matter.
    code : str
        For programs, e.g. ``ragged_row``.
    table, column : str, optional
        Where in the data.
    row : int, optional
        Row of the data counted from 1, the header not counted.
    details : mapping of JSON values, optional
        More for programs: counts, near names, a list of columns.
    """

    code = "data"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        table: str | None = None,
        column: str | None = None,
        row: int | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.table, self.column, self.row = table, column, row
        self.details = details or {}


class BudgetExhausted(FrugalError):
    """The budget ended before a single candidate was scored."""

    code = "budget_exhausted"


class MeterUnavailable(FrugalError):
    """This machine has no such energy counter."""

    code = "meter_unavailable"
