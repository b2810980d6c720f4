"""Figures and times as people read them; filters of the templates."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Flask
from jinja2 import Undefined

from api.report import number

STEPS = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))
JOULES_PER_WATT_HOUR = 3600.0


def scaled(value: float | None, unit: str) -> str:
    """A quantity in the unit that fits, with three digits; joules as watt-hours, like all energy.

    >>> scaled(0.0000236, "kWh"), scaled(0.0112, "g"), scaled(84.96, "J"), scaled(None, "g")
    ('23.6 mWh', '11.2 mg', '23.6 mWh', '–')
    >>> scaled(7.2e6, "J"), scaled(3.6, "J")
    ('2.00 kWh', '1.00 mWh')
    """
    if value is None:
        return "–"
    if unit == "J":
        value, unit = value / JOULES_PER_WATT_HOUR / 1000, "kWh"
    if unit == "kWh" and 0 < abs(value) < 1:
        value, unit = value * 1000, "Wh"
    for step, prefix in STEPS:
        if value == 0 or abs(value) >= step:
            return f"{number(value / step)} {prefix}{unit}"
    return f"{number(value / 1e-6)} µ{unit}"


def count(value: float | None) -> str:
    """A whole number with commas.

    >>> count(41188), count(None)
    ('41,188', '–')
    """
    return "–" if value is None else f"{value:,.0f}"


def counted(value: float | None, noun: str, plural: str | None = None) -> str:
    """A whole number of things, one of them without an s.

    >>> counted(1, "trial"), counted(4119, "trial"), counted(2, "finding", "findings")
    ('1 trial', '4,119 trials', '2 findings')
    """
    return f"{count(value)} {noun if value == 1 else plural or noun + 's'}"


def share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage.

    >>> share(0.1127), share(None)
    ('11.3 %', '–')
    """
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def n_bytes(value: float | None) -> str:
    """A size in the unit that fits.

    >>> n_bytes(5_834_924), n_bytes(120), n_bytes(None)
    ('5.8 MB', '120 B', '–')
    """
    if value is None:
        return "–"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float | None) -> str:
    """A length of time in two units.

    >>> duration(3725), duration(42.4), duration(0.034), duration(None)
    ('1 h 2 min', '42 s', '34 ms', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def moment(value: Any) -> str:
    """A time in UTC, to the minute; of an ISO 8601 text or a datetime.

    >>> moment("2026-11-22T12:00:31Z"), moment(None)
    ('2026-11-22 12:00 UTC', '–')
    """
    if not value:
        return "–"
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return f"{at:%Y-%m-%d %H:%M} UTC"


def settings(values: Mapping[str, Any]) -> str:
    """Parameters in words, numbers with three digits.

    >>> settings({"num_leaves": 15, "learning_rate": 0.0895512, "members": {"9": 1 / 3}})
    'num leaves 15, learning rate 0.0896, members 9: 0.333'
    """

    def shown(value: Any) -> str:
        if isinstance(value, Mapping):
            return " ".join(f"{name}: {shown(one)}" for name, one in value.items())
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name.replace('_', ' ')} {shown(one)}" for name, one in values.items())


def _known(show: Callable[..., str]) -> Callable[..., str]:
    """The filter, to which what a template does not find is None: cards differ by their age."""

    @functools.wraps(show)
    def shown(value: Any = None, *more: Any, **named: Any) -> str:
        return show(None if isinstance(value, Undefined) else value, *more, **named)

    return shown


def install(app: Flask) -> None:
    """Give the templates of `app` these filters."""
    app.jinja_env.filters.update(
        number=_known(number),
        scaled=_known(scaled),
        count=_known(count),
        counted=_known(counted),
        share=_known(share),
        n_bytes=_known(n_bytes),
        duration=_known(duration),
        moment=_known(moment),
        settings=_known(settings),
    )
