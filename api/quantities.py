"""Energy, time and sizes as people read them: with a unit that leaves digits to read."""

from __future__ import annotations

from collections.abc import Sequence

_ENERGY = ((1e3, "MWh"), (1.0, "kWh"), (1e-3, "Wh"), (1e-6, "mWh"), (1e-9, "µWh"))
_MASS = ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "µg"), (1e-9, "ng"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))


def energy(kwh: float | None) -> str:
    """Kilowatt-hours in a fitting unit.

    >>> energy(6.285e-06), energy(0.0), energy(-0.25), energy(None)
    ('6.29 mWh', '0 kWh', '-250 Wh', 'not known')
    """
    return _fitting(kwh, _ENERGY, zero="0 kWh")


def size(n_bytes: float | None) -> str:
    """Bytes in a fitting decimal unit.

    >>> size(5_834_946), size(12), size(0)
    ('5.83 MB', '12 bytes', '0 bytes')
    """
    return _fitting(n_bytes, _BYTES, zero="0 bytes")


def duration(seconds: float | None) -> str:
    """Seconds as hours and minutes, seconds or milliseconds.

    >>> duration(6.8367), duration(0.0472), duration(125), duration(7260), duration(119.7)
    ('6.84 s', '47.2 ms', '2 min 5 s', '2 h 1 min', '2 min 0 s')
    """
    if seconds is None:
        return "not known"
    if seconds < 1 and seconds:
        return f"{digits(1000 * seconds)} ms"
    if seconds < 99.5:
        return f"{digits(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def share(part: float | None) -> str:
    """A share in percent.

    >>> share(0.37018), share(0.00041), share(1)
    ('37 %', '0.041 %', '100 %')
    """
    return "not known" if part is None else f"{digits(100 * part, n=2)} %"


def column(values: Sequence[float], *, of: float, units: str) -> list[str]:
    """Values in the unit that fits their total `of`, with as many decimals: they add up as shown.

    `units` is ``energy`` (of kilowatt-hours) or ``mass`` (of grams).

    >>> column([0.0004065, 0.002986, 0.005893], of=0.005893, units="mass")
    ['0.41 mg', '2.99 mg', '5.89 mg']
    >>> column([0.0, 0.0], of=0.0, units="energy")
    ['0 kWh', '0 kWh']
    """
    table = _ENERGY if units == "energy" else _MASS
    if not of:
        return [_fitting(value, table, zero=f"0 {_base(table)}") for value in values]
    scale, unit = next((one for one in table if abs(of) >= 0.9995 * one[0]), table[-1])
    exponent = int(f"{abs(of) / scale:.2e}".partition("e")[2])
    return [f"{value / scale:,.{max(2 - exponent, 0)}f} {unit}" for value in values]


def _base(units: Sequence[tuple[float, str]]) -> str:
    return next(unit for scale, unit in units if scale == 1.0)


def digits(value: float, *, n: int = 3) -> str:
    """A number with so many significant digits, no exponent and thousands apart.

    >>> digits(1234.5), digits(0.000123456), digits(99.96), digits(0)
    ('1,234', '0.000123', '100', '0')
    """
    if not value:
        return "0"
    if abs(value) >= 10 ** (n - 1):
        return f"{value:,.0f}"
    # The exponent of the value as it is rounded: 0.09996 has that of 0.1.
    exponent = int(f"{abs(value):.{n - 1}e}".partition("e")[2])
    text = f"{value:.{max(n - 1 - exponent, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fitting(value: float | None, units: Sequence[tuple[float, str]], *, zero: str) -> str:
    if value is None:
        return "not known"
    if not value:
        return zero
    # A value that rounds to the next unit's first number is shown in that unit.
    found = next((one for one in units if abs(value) >= 0.9995 * one[0]), units[-1])
    return f"{digits(value / found[0])} {found[1]}"
