"""Names close to one that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def near_names(name: str, names: Sequence[str]) -> list[str]:
    """Up to three names that someone may have meant, the nearest first.

    >>> near_names("Defualt", ["age", "default", "id"])
    ['default']
    """
    # a mistyped name is short: long ones are not compared, since that takes quadratic time
    lower = {one.lower(): one for one in reversed(names) if len(one) <= 256}
    near = get_close_matches(str(name)[:256].lower(), list(lower), n=3, cutoff=0.6)
    return [lower[one] for one in near]
