"""What the frugality report tells of the bill: phases, computing, an equivalent, and use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.frugality_facts import Facts
from api.frugality_figures import count, figure
from api.quantities import column, digits, duration, energy, share
from api.schemas_frugality import Equivalence, Figure, PhaseRow
from automl.cost import JOULES_PER_KWH
from scheduler.declared_use import is_declared, use_text
from scheduler.equivalents import readable

LIFE = "Its whole life: the bill, and its use as expected"
NO_USE = "not told: no predictions per day were declared"
# What the request's limits count: neither the reading of the data nor what is done with the model
# once it is there.
LIMITED = ("features", "search", "refit")


def phase_rows(receipt: Mapping[str, Any]) -> tuple[list[PhaseRow], PhaseRow]:
    """The lines of the bill and their total; the figures are the bill's own."""
    lines = [*receipt["phases"], receipt["total"]]
    grams, kwh = ([float(line[name]) for line in lines] for name in ("gco2e", "kwh"))
    texts = zip(
        column(grams, of=grams[-1], units="mass"),
        column(kwh, of=kwh[-1], units="energy"),
        strict=True,
    )
    rows = [
        PhaseRow(
            phase=str(line["name"]),
            duration_seconds=float(line.get("wall_seconds") or 0.0),
            gco2=line["gco2e"],
            kwh=line["kwh"],
            cpu_seconds=line["cpu_seconds"],
            duration=duration(float(line.get("wall_seconds") or 0.0)),
            gco2_text=mass,
            kwh_text=power,
        )
        for line, (mass, power) in zip(lines, texts, strict=True)
    ]
    return rows[:-1], rows[-1]


def compute(facts: Facts) -> list[Figure]:
    """Models fitted, CPU time and energy."""
    total, less, meter = facts.total, facts.less, dict(facts.receipt.get("meter") or {})
    found = [
        count("trials", "Models fitted in the search", less.get("n_trials")),
        count("trials_failed", "Of them failed", less.get("n_failed")),
        figure(
            "cpu_seconds",
            "CPU time of all phases",
            total["cpu_seconds"],
            "s",
            duration(total["cpu_seconds"]),
        ),
        figure("energy", "Energy", total["kwh"], "kWh", energy(total["kwh"])),
    ]
    limits = facts.request.get("limits") or {}
    for name, unit in (("cpu_seconds", "CPU-s"), ("joules", "J"), ("gco2e", "g CO2e")):
        if limits.get(name) is not None:
            found.append(figure(f"limit_{name}", "Limit of the request", limits[name], unit))
            found.append(_counted(facts, name, limits[name], unit))
    expected = facts.admission.get("expected") or {}
    if expected.get("joules") is not None:
        kwh = expected["joules"] / JOULES_PER_KWH
        found.append(
            figure("expected_energy", "Energy expected beforehand", kwh, "kWh", energy(kwh))
        )
    if facts.receipt.get("attempts"):
        found.append(count("attempts", "Processes that worked on it", facts.receipt["attempts"]))
    if meter.get("watts_per_core") is not None:
        found.append(figure("watts_per_core", "Watts of a core", meter["watts_per_core"], "W"))
    return found


def counted(facts: Facts, unit: str) -> float:
    """What counts against a limit of the request, in one of the bill's units."""
    lines = [one for one in facts.receipt["phases"] if one["name"] in LIMITED]
    return float(sum(line[unit] for line in lines))


def _counted(facts: Facts, name: str, limit: float, unit: str) -> Figure:
    value = counted(facts, name)
    return figure(
        f"counted_{name}",
        f"Used of it, by {', '.join(LIMITED[:-1])} and {LIMITED[-1]}",
        value,
        unit,
        f"{digits(value)} {unit} ({share(value / limit)})",
    )


def equivalence(facts: Facts) -> Equivalence | None:
    """The distance by car that emits as much; None before there is a bill."""
    found = (facts.receipt.get("equivalents") or {}).get("car_km")
    if found is None:
        return None
    return Equivalence(
        value=found["value"],
        unit="km",
        text=f"{found['text']} by car",
        source=str(found["source"]),
    )


def use_of(facts: Facts) -> list[Figure]:
    """The model in use: per 1,000 rows as measured, and its whole life where a use was declared."""
    found = []
    line = facts.receipt.get("predict_per_1000_rows")
    if line is not None:
        found += [
            figure(
                "use_energy",
                "1,000 predictions, energy, measured once",
                line["kwh"],
                "kWh",
                energy(line["kwh"]),
            ),
            figure(
                "use_gco2",
                "1,000 predictions, CO2e at the job's own mean intensity",
                line["gco2e"],
                "g",
                readable(line["gco2e"]),
            ),
        ]
    if facts.card.get("lifetime") is None:
        return found
    life = life_grams(facts)
    told = NO_USE if not is_declared(facts.request) else None
    found.append(figure("life_gco2", LIFE, life, "g", told or readable(life or 0.0)))
    if told is None:
        found.append(figure("life_use", "Use that it counts", None, None, use_text(facts.request)))
    return found


def life_grams(facts: Facts) -> float | None:
    """All that the bill has, and what use and retrains are expected to emit; None without a use.

    They are priced as the bill is: never less than what was spent.
    """
    life = facts.card.get("lifetime") or {}
    joules, grams = life.get("joules") or {}, life.get("gco2e") or {}
    per_kwh = facts.intensity.get("grams_per_kwh")
    if not is_declared(facts.request) or not (joules or grams):
        return None
    ahead = 0.0
    for name in ("use", "retrains"):
        if name in joules and per_kwh is not None:
            ahead += joules[name] / JOULES_PER_KWH * per_kwh
        else:
            ahead += grams.get(name) or 0.0
    return float(facts.total["gco2e"]) + ahead
