"""How the carbon of a card was found: meter, method, intensity and uncertainty, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.quantities import digits
from scheduler.receipt import uncertainty_of

METHOD = {
    "cpu_time": "CPU-seconds times the watts of a core, and memory",
    "rapl": "the processor's own counters",
}
NO_USE = (
    "No use was declared (objective.predictions_per_day), so nothing is told of the energy of its "
    "whole life."
)


def carbon_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """The meter with its uncertainty, and the intensity with its own; nothing of a card without.

    >>> list(carbon_lines({}))
    []
    """
    cost, intensity = card.get("cost") or {}, card.get("intensity") or {}
    meter = str((cost.get("total") or {}).get("meter") or "")
    if meter:
        told = (card.get("energy") or {}).get("uncertainty") or uncertainty_of(meter)
        yield f"Energy by the meter {meter} ({METHOD.get(meter, 'a counter')}). {told}"
    if intensity.get("grams_per_kwh") is not None:
        yield f"Carbon intensity: {intensity_line(intensity)}"
        yield (
            "gCO2e = kWh x the intensity of its hour; what 1,000 predictions emit is told at the "
            "mean. The receipt of its job has each phase."
        )


def intensity_line(intensity: Mapping[str, Any]) -> str:
    """A mean intensity: of which zone and year, by whom, how counted, and how sure."""
    year = intensity.get("year")
    of = "" if year is None or f"of {year}" in str(intensity["source"]) else f", of {year}"
    error = intensity.get("error_grams")
    sure = (
        "no uncertainty is known of it"
        if error is None
        else f"the difference of two estimated hours is off by {digits(error)} g/kWh (one standard "
        "deviation)"
    )
    estimated = intensity.get("share_estimated")
    share = "" if estimated is None else f"; {estimated:.0%} of the energy has an estimated one"
    return (
        f"{digits(intensity['grams_per_kwh'])} gCO2e/kWh on average, zone "
        f"{intensity['zone']}, by {intensity['source']}{of} ({intensity.get('signal')}, "
        f"{intensity.get('factor_type')}){share}; {sure}."
    )
