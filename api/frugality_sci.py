"""The software carbon intensity of a job and of its model in use, ISO/IEC 21031:2024."""

from __future__ import annotations

from api.frugality_bill import life_grams
from api.frugality_facts import Facts
from api.quantities import digits
from api.schemas_frugality import Reference, Sci, SciScore
from scheduler.declared_use import predictions, use_text
from scheduler.equivalents import readable

SCI_SOURCE = Reference(
    title="Software Carbon Intensity (SCI) Specification 1.1.0, the text of ISO/IEC 21031:2024",
    url="https://github.com/Green-Software-Foundation/sci/blob/dev/SPEC.md",
    by="Green Software Foundation",
)
SECONDS_PER_YEAR = 365 * 24 * 3600.0
BOUNDARY = (
    "The processes of the job: features, search, refit and trial predictions, and the reading of "
    "its data set. Not inside: the service at rest, storage, networks, the devices of users, and "
    "what was spent on developing the software."
)


def embodied_grams(
    cpu_seconds: float, *, embodied_kg: float, lifespan_years: float, cores: int
) -> float:
    """M = TE x TS x RS: the share of a machine's making that falls to so much work.

    Time reserved and resources reserved are one product here, core-seconds, and what is used
    stands for what is reserved, since a job reserves no core.

    >>> round(embodied_grams(4 * 3600, embodied_kg=1000, lifespan_years=4, cores=4), 1)
    28.5
    """
    total = lifespan_years * SECONDS_PER_YEAR * cores
    return 1000 * embodied_kg * cpu_seconds / total


def sci_of(facts: Facts, *, machine: tuple[float, float, int] | None = None) -> Sci:
    """((E x I) + M) per R, for a search and for 1,000 predictions.

    E x I is the bill's own sum over phases, each at the intensity that was.

    Parameters
    ----------
    machine : kilograms of CO2e of its making, years of its life, its cores; None: M is left out
    """
    total, line = facts.total, facts.receipt.get("predict_per_1000_rows")
    made = _made(total["cpu_seconds"], machine)
    scores = [
        _score(
            "one search that ends with a model"
            if facts.model is not None
            else "one job as far as it came",
            total["gco2e"] + (made or 0.0),
            "The whole bill, the reading of the data included.",
        )
    ]
    if line is not None:
        in_use = line["gco2e"] + (_made(line["cpu_seconds"], machine) or 0.0)
        scores.append(
            _score(
                "1,000 predictions",
                in_use,
                "As measured once, when the model was made, at the job's own mean intensity. The "
                "search is not spread over them.",
            )
        )
    scores += _whole_life(facts)
    intensity = facts.intensity.get("grams_per_kwh")
    return Sci(
        formula="SCI = ((E x I) + M) per R",
        energy_kwh=total["kwh"],
        grams_per_kwh=total["gco2e"] / total["kwh"] if total["kwh"] else intensity or 0.0,
        operational_gco2=total["gco2e"],
        embodied_gco2=made,
        embodied=_about(machine, made),
        boundary=BOUNDARY,
        conforms=False,
        why=(
            "Embodied emissions and reserved but unused hardware are not in it, and the standard "
            "asks for both: read it as the operational part of a score."
            if machine is None
            else "The standard also counts hardware that is reserved and not used; that is not "
            "known here."
        ),
        scores=scores,
        source=SCI_SOURCE,
    )


def _made(cpu_seconds: float, machine: tuple[float, float, int] | None) -> float | None:
    if machine is None:
        return None
    kilograms, years, cores = machine
    return embodied_grams(cpu_seconds, embodied_kg=kilograms, lifespan_years=years, cores=cores)


def _about(machine: tuple[float, float, int] | None, made: float | None) -> str:
    if machine is None or made is None:
        return (
            "Not included: the service does not know which machine it runs on, nor what making it "
            "emitted. Ask with embodied_kg, lifespan_years and cores to include it."
        )
    kilograms, years, cores = machine
    return (
        f"Included as asked: {readable(made)}, the share in core-seconds of {digits(kilograms)} kg "
        f"over {digits(years)} years of {cores:,} cores."
    )


def _score(unit: str, grams: float, note: str) -> SciScore:
    return SciScore(functional_unit=unit, grams=grams, text=f"{readable(grams)} CO2e", note=note)


def _whole_life(facts: Facts) -> list[SciScore]:
    """Per 1,000 predictions over the life that the request declared, the whole bill in it."""
    grams = life_grams(facts)
    if grams is None:
        return []
    note = (
        f"Expected, not measured: {use_text(facts.request)} The whole bill and the retrainings are "
        "spread over them; without embodied emissions."
    )
    thousands = predictions(facts.request) / 1000
    return [_score("1,000 predictions over its life", grams / thousands, note)]
