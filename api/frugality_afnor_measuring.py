"""AFNOR SPEC 2314 on frugal AI: its points on measuring, with what the service shows."""

from __future__ import annotations

from collections.abc import Iterator

from api import frugality_sources as sources
from api.frugality_facts import Facts
from api.frugality_points import limits, point
from api.quantities import digits, duration, energy
from api.schemas_frugality import Point
from automl.cost import JOULES_PER_KWH
from scheduler.equivalents import readable


def measuring(facts: Facts) -> Iterator[Point]:
    """Points on what is measured, and how."""
    theme = "Measuring"
    total, intensity, receipt = facts.total, facts.intensity, facts.receipt
    emitted = f"{readable(total['gco2e'])} CO2e of {energy(total['kwh'])}"
    yield point(
        "categories",
        theme,
        "Are several categories of environmental impact assessed?",
        evidence=[f"Climate change: {emitted}, of electricity in use."],
        missing="Water, metals, land and the other categories.",
        of=[sources.MINISTRY],
    )
    evidence = []
    if intensity:
        evidence.append(
            f"Electricity mix: {digits(intensity['grams_per_kwh'])} g/kWh, zone "
            f"{intensity['zone']} ({intensity['signal']}, {intensity['factor_type']})."
        )
    if receipt.get("pue") is not None:
        evidence.append(f"Data centre: a PUE of {digits(receipt['pue'])} is assumed.")
    evidence.append(f"Use of the machine: {duration(total['cpu_seconds'])} of CPU time.")
    yield point(
        "machine",
        theme,
        "Are the hardware, what making it cost, the local electricity, the efficiency of the data "
        "centre and the use of the equipment taken into account?",
        evidence=evidence,
        missing="What making the hardware cost, unless the report was asked with it; a PUE that "
        "was measured.",
        of=[sources.VEILLE],
    )
    evidence = [f"Training and search: {emitted}, by phase in the table of this report."]
    line = receipt.get("predict_per_1000_rows")
    if line is not None:
        evidence.append(
            f"Inference: {readable(line['gco2e'])} per 1,000 predictions, measured once."
        )
    yield point(
        "both",
        theme,
        "Are training and inference both calculated?",
        evidence=evidence,
        missing="Predictions in service are not metered.",
        of=[sources.DIGITAL_LEAGUE],
    )
    reference = receipt.get("reference") or {}
    ratio = reference.get("ratio")
    yield point(
        "tools",
        theme,
        "Is a tool such as CodeCarbon or CarbonTracker used to measure?",
        evidence=[]
        if ratio is None
        else [
            f"codecarbon ran over the same process: our processor figure is {digits(ratio)} of its."
        ],
        missing=None if ratio is not None else str(reference.get("reason") or "No reference ran."),
        of=[sources.EMBARQUE, sources.CHANNEL],
    )
    expected = (facts.admission.get("expected") or {}).get("joules")
    evidence = []
    if expected is not None:
        evidence.append(
            f"Expected before it ran: {energy(expected / JOULES_PER_KWH)}; measured: "
            f"{energy(total['kwh'])}."
        )
    yield point(
        "BP 23",
        theme,
        "Is the consumption of a model estimated beforehand?",
        evidence=evidence,
        missing=None if evidence else "No expectation was kept with this job.",
        of=[sources.GENERIA],
    )
    yield point(
        "BP 25",
        theme,
        "Do measuring strategies evolve with what is at stake, so that the service stays frugal?",
        evidence=[
            "A bill whose carbon intensities were not yet published is priced again when they are."
        ],
        missing="Reviewing criteria several times a year is the organisation's.",
        of=[sources.GENERIA, sources.SILICON_SIX],
    )
    yield point(
        "BP 13",
        theme,
        "Is the environmental performance of AI systems managed?",
        evidence=[
            "A ledger holds energy and CO2e by project, job, phase and day, of failed jobs too.",
            *limits(facts),
        ],
        missing=None if limits(facts) else "The request set no limit in energy or CO2e.",
        of=[sources.GENERIA],
    )
