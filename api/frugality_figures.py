"""Figures of the frugality report: a number, its unit, and how it is written."""

from __future__ import annotations

from api.quantities import digits, share
from api.schemas_frugality import Figure

NOT_KNOWN = "not known"


def figure(
    name: str, label: str, value: float | None, unit: str | None, text: str | None = None
) -> Figure:
    """A figure; its text is the number with its unit where none is given.

    >>> figure("trials", "Models fitted", 12, None).text
    '12'
    """
    if text is None:
        text = NOT_KNOWN if value is None else f"{digits(value)}{f' {unit}' if unit else ''}"
    return Figure(name=name, label=label, value=value, unit=unit, text=text)


def count(name: str, label: str, value: int | None, of: int | None = None) -> Figure:
    """A count, and of how many.

    >>> count("rows", "Rows", 50, 200).text
    '50 of 200 (25 %)'
    """
    if value is None:
        return figure(name, label, None, None)
    text = f"{value:,}"
    if of:
        text += f" of {of:,} ({share(value / of)})"
    return Figure(name=name, label=label, value=float(value), unit=None, text=text)
