"""Cursors of lists: opaque to clients, checked on the way in."""

from __future__ import annotations

import re

from automl.errors import DataError

# Cursors come from the store: identifiers, times and names, never free text.
CURSOR = re.compile(r"[A-Za-z0-9_.:+~|-]{1,200}")


def cursor(text: str | None) -> str | None:
    """A cursor as the store knows it.

    >>> cursor("a1b2")
    'a1b2'

    Raises
    ------
    DataError
        It is none of ours.
    """
    if text is None:
        return None
    if CURSOR.fullmatch(text) is None:
        raise DataError(
            "the cursor is none of ours", code="invalid_cursor", details={"field": "cursor"}
        )
    return text
