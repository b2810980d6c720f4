"""Grams of CO2e as people read them: with a fitting unit, and as kilometres by car."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# ADEME, Impact CO2 (from its Base Carbone), car with a combustion engine, one person, 2024:
# https://impactco2.fr/outils/transport/voiturethermique -- 0.192 kg/km of fuel, its production
# included, and 0.0256 kg/km of making the car.
CAR_GRAMS_PER_KM = 217.6
CAR_SOURCE = (
    "ADEME, Impact CO2 / Base Carbone, 2024: car with a combustion engine, 217.6 g of CO2e per km,"
    " fuel and manufacture"
)
# SOeS, Enquete nationale transports et deplacements 2008, published 2010 ("Se rendre au travail :
# distances et temps de transport s'allongent"): mean distance from home to a fixed place of work.
COMMUTE_KM = 14.7
COMMUTE_SOURCE = (
    "SOeS, national transport survey (ENTD) 2008: 14.7 km from home to work on average in France,"
    " one way, here by that car"
)

_MASSES = ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "µg"))
_LENGTHS = ((1.0, "km"), (1e-3, "m"), (1e-5, "cm"), (1e-6, "mm"))


def readable(grams: float) -> str:
    """Grams in a unit that leaves digits to read.

    >>> readable(0.0012), readable(-0.5), readable(2500), readable(0)
    ('1.2 mg', '-500 mg', '2.5 kg', '0 g')
    """
    return _with_unit(grams, _MASSES, zero="0 g")


def equivalents(grams: float) -> dict[str, Any]:
    """What emits as much: kilometres by car and trips to work, each with the source of its factor.

    >>> found = equivalents(217.6)
    >>> found["car_km"]["value"], found["car_km"]["text"]
    (1.0, '1 km')
    """
    km = grams / CAR_GRAMS_PER_KM
    trips = km / COMMUTE_KM
    return {
        "car_km": {
            "value": km,
            "text": _with_unit(km, _LENGTHS, zero="0 km"),
            "grams_per_km": CAR_GRAMS_PER_KM,
            "source": CAR_SOURCE,
        },
        "commutes": {
            "value": trips,
            "text": f"{trips:.3g}" if abs(trips) >= 1e-3 else f"{trips:.1e}",
            "km": COMMUTE_KM,
            "source": f"{COMMUTE_SOURCE}; {CAR_SOURCE}",
        },
    }


def _with_unit(value: float, units: Sequence[tuple[float, str]], *, zero: str) -> str:
    if not value:
        return zero
    for size, unit in units:
        if abs(value) >= size:
            return f"{_digits(value / size)} {unit}"
    size, unit = units[-1]
    return f"{_digits(value / size)} {unit}"


def _digits(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
