"""Zones of the grid by name: countries by ISO code, and the parts whose grid is its own."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache

from automl.errors import DataError
from scheduler.carbon.countries import ALPHA_2, names

WORLD = "WORLD"
# Parts of countries, by the names that Electricity Maps gave them and many data sets copied. One
# stands here only where a profile of its own is shipped: the mean of its country would mislead.
_PARTS = {
    "US-CAL-CISO": "California (CAISO)",
    "US-MIDA-PJM": "Mid-Atlantic United States (PJM)",
    "US-TEX-ERCO": "Texas (ERCOT)",
}
# Zones with hour-by-hour profiles; a test compares this with the packaged file.
_PROFILED = frozenset(("DE", "ES", "FR", "GB", "NL", "PL", "SE", *_PARTS))
_LONGEST = 40  # characters of a name that are compared with others


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """A zone of the grid.

    `code` is ISO 3166 alpha-2 for a country; `profile` tells whether its hours differ in the
    packaged profile, or only its yearly mean is known without a network.
    """

    code: str
    name: str
    profile: bool

    @property
    def country(self) -> str:
        """ISO 3166 alpha-2 of the country it is or lies in; WORLD for the world."""
        return self.code if self.code == WORLD else self.code[:2]


@cache
def _by_code() -> dict[str, Zone]:
    named = {**names(), **_PARTS}
    zones = {
        code: Zone(code=code, name=named[code], profile=code in _PROFILED) for code in sorted(named)
    }
    zones[WORLD] = Zone(code=WORLD, name="World", profile=False)
    return zones


def zones() -> list[Zone]:
    """Every zone that is known, by code, the world last.

    >>> [zone.name for zone in zones() if zone.code.startswith("US-")][0]
    'California (CAISO)'
    """
    return list(_by_code().values())


def known_zone(text: str) -> str:
    """The code of a zone from how somebody wrote it: alpha-2, alpha-3, any case.

    Raises DataError `unknown_zone`, with the list and the nearest codes in its details, for
    anything else; there is no default.

    >>> known_zone("fra"), known_zone(" us-cal-ciso "), known_zone("World")
    ('FR', 'US-CAL-CISO', 'WORLD')
    """
    code = text.strip().upper()
    code = ALPHA_2.get(code, code)
    known = _by_code()
    if code in known:
        return code
    raise DataError(
        f"there is no such zone among the {len(known)} known; give a country's ISO 3166 code of two"
        f" or three letters, the code of a part such as {next(iter(_PARTS))}, or WORLD",
        code="unknown_zone",
        details={"zones": list(known), "near": _near(code[:_LONGEST], known)},
    )


def _near(code: str, known: dict[str, Zone]) -> list[str]:
    """Up to three codes that look like `code`, or whose country's name does."""
    by_text = {zone.name.upper(): zone.code for zone in known.values()}
    by_text |= {code: code for code in known}
    by_text |= {alpha_3: alpha_2 for alpha_3, alpha_2 in ALPHA_2.items() if alpha_2 in known}
    found = difflib.get_close_matches(code, by_text, n=3, cutoff=0.6)
    return list(dict.fromkeys(by_text[text] for text in found))
