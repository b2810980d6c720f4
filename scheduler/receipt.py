"""The bill of a job: what was measured, with what, and how sure it is. Nothing is invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.cost import JOULES_PER_KWH, Cost
from automl.trial import Trial
from scheduler.emissions import Emissions
from scheduler.equivalents import equivalents, readable
from scheduler.pricing import Price

PUE = 1.0
COUNTED = {"direct": "the chimneys only", "lifecycle": "the plants' whole life"}
# `python -m benchmarks.cost_model`: each table left out of the fit in turn.
BRUTE_UNCERTAINTY = (
    "Of single fits on tables that the cost model had not seen, nine in ten were expected to take "
    "0.52 to 1.89 times what they took."
)
UNCERTAINTY = {
    # Repeatability of one fit 30 times under load: coefficient of variation of CPU time 11 %.
    "cpu_time": (
        "CPU-seconds are exact to 1 %; the same work varies by about 11 % with the machine's load. "
        "Joules are CPU-seconds times a constant of watts, not a reading: right within a factor "
        "of about 2, and good to compare pieces of work with each other."
    ),
    "rapl": (
        "Joules are the processor's own counters, shared out by CPU time; memory sticks, disks, "
        "fans and power supply are not in them on most machines."
    ),
}

# Limits of a request that are of computing, as `api.schemas_jobs.Limits` has them.
COMPUTING = ("gco2e", "joules", "cpu_seconds", "wall_seconds")


def uncertainty_of(meter: str) -> str:
    """How sure the figures of a meter are, in words; of one that is not known, as of CPU time."""
    return UNCERTAINTY.get(meter, UNCERTAINTY["cpu_time"])


def bill(name: str, cost: Cost, *, grams_per_kwh: float) -> dict[str, Any]:
    """Return one line of the receipt.

    >>> line = bill("search", Cost(cpu_seconds=10, joules=3600, meter="cpu_time"),
    ...             grams_per_kwh=56)
    >>> line["kwh"], line["gco2e"], line["gco2e_text"]
    (0.001, 0.056, '56 mg')
    """
    grams = cost.grams(grams_per_kwh)
    return {
        "name": name,
        **cost.to_json(),
        "kwh": cost.joules / JOULES_PER_KWH,
        "gco2e": grams,
        "gco2e_text": readable(grams),
    }


def receipt(
    price: Price,
    *,
    meter: Mapping[str, Any],
    reference: Mapping[str, Any],
    own_cpu_joules: float | None,
    trials: Sequence[Trial],
    n_rows: int,
    predict_per_1000_rows: Cost | None,
    attempts: int = 1,
    start: Mapping[str, Any] | None = None,
    brute_joules: float | None = None,
    limits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the bill of a job as JSON values.

    Parameters
    ----------
    price : what its phases took and emitted
    meter : what the meter says of itself
    reference : codecarbon's joules over the job's process, ``cpu_joules`` and ``ram_joules``, or
        a ``reason`` why there are none
    own_cpu_joules : the processor's part of the same process's phases, features to predict; None
        where the meter cannot tell it apart
    trials : all of the job
    n_rows : rows of the data that could have been trained on
    predict_per_1000_rows : of the champion, measured; None when there is none
    attempts : processes that worked on the job
    start : what the search says of the model it started from; None when it started from none
    brute_joules : what a brute-force search is expected to take; None where nobody said
    """
    total = price.whole()
    kind = str(meter.get("meter", total.cost.meter))
    made = {
        "meter": dict(meter),
        "pue": PUE,
        "uncertainty": uncertainty_of(kind),
        "reference": _compared(reference, own_cpu_joules),
        "levers": {
            "less": _less(trials, n_rows)
            | {"start": None if start is None else dict(start), "brute_joules": brute_joules},
            "lighter": {
                "predict_joules_per_1000_rows": (
                    None if predict_per_1000_rows is None else predict_per_1000_rows.joules
                )
            },
        },
        "predict_per_1000_rows": (
            None if predict_per_1000_rows is None else predict_per_1000_rows.to_json()
        ),
        "attempts": attempts,
        "method": [
            *_measured(meter, reference, own_cpu_joules, attempts, phases=price.phases),
            *_limited(limits or {}, price.phases),
        ],
    }
    return priced(made, price)


def priced(made: Mapping[str, Any], price: Price) -> dict[str, Any]:
    """Return a receipt with these prices: in place of those it had, when more is known of them."""
    total = price.whole()
    # What is expected of this model and of other searches: at the grid's level of the job's own
    # work, whatever the reading of the data was priced at.
    intensity = price.intensity(price.own())
    grams = intensity["grams_per_kwh"]
    predict = made.get("predict_per_1000_rows")
    levers = dict(made.get("levers") or {})
    less = dict(levers.get("less") or {})
    less["start"] = _spared(less.get("start"), grams)
    less["brute_force"] = _brute(less.get("brute_joules"), total.cost.joules, grams)
    last = set(_emitted(made)) if "intensity" in made else set()
    found = {
        **made,
        "phases": [_line(name, one, price) for name, one in price.phases.items()],
        "total": _total(price),
        "predict_per_1000_rows": (
            None if predict is None else bill("predict", _cost(predict), grams_per_kwh=grams)
        ),
        "intensity": {**intensity, "error_grams": price.rates.series.error_grams},
        "levers": {**levers, "less": less, "later": dict(price.later)},
        "equivalents": equivalents(total.gco2e),
    }
    measured = [line for line in made.get("method", ()) if line not in last]
    return found | {"method": [*measured, *_emitted(found)]}


def so_far(price: Price) -> dict[str, Any]:
    """Return what the ended phases of a job took, before there is a bill of the whole."""
    return {
        "phases": [_line(name, one, price) for name, one in price.phases.items()],
        "total": _total(price),
    }


def _total(price: Price) -> dict[str, Any]:
    return _line("total", price.whole(), price, intensity=price.intensity_of_all())


def _line(
    name: str, emitted: Emissions, price: Price, *, intensity: dict[str, Any] | None = None
) -> dict[str, Any]:
    intensity = intensity or price.intensity(emitted, phase=name)
    line = bill(name, emitted.cost, grams_per_kwh=intensity["grams_per_kwh"])
    exact = {"gco2e": emitted.gco2e, "gco2e_text": readable(emitted.gco2e)}
    return {**line, **exact, "intensity": intensity}


def _cost(line: Mapping[str, Any]) -> Cost:
    return Cost(**{name: line[name] for name in ("cpu_seconds", "joules", "wall_seconds", "meter")})


def _brute(joules: float | None, own_joules: float, grams_per_kwh: float) -> dict[str, Any] | None:
    """What brute force is expected to emit at the job's intensity: an expectation, not a saving."""
    if joules is None:
        return None
    grams = joules / JOULES_PER_KWH * grams_per_kwh
    own = own_joules / JOULES_PER_KWH * grams_per_kwh
    return {
        "expected_joules": joules,
        "expected_gco2e": grams,
        "expected_saved_gco2e": grams - own,
        "is_expectation": True,
        "uncertainty": BRUTE_UNCERTAINTY,
    }


def _compared(reference: Mapping[str, Any], own: float | None) -> dict[str, Any]:
    """Return codecarbon's figures beside the sum of our phases; the processor's part compares."""
    found = {"own_cpu_joules": own, "ratio": None, **reference}
    theirs = reference.get("cpu_joules")
    if own is not None and theirs:
        found["ratio"] = own / theirs
    return found


def _less(trials: Sequence[Trial], n_rows: int) -> dict[str, Any]:
    """Return what the search did not train on: counts only, no guess of what that would cost."""
    fitted = [t for t in trials if t.candidate.model != "ensemble" and t.error is None]
    rows = sum(trial.proposal.n_rows for trial in fitted)
    everything = n_rows * len(fitted)
    return {
        "n_trials": len(fitted),
        "n_failed": sum(trial.error is not None for trial in trials),
        "rows_trained_on": rows,
        "rows_if_every_trial_had_all": everything,
        "share_of_rows": rows / everything if everything else None,
    }


def _limited(limits: Mapping[str, Any], phases: Mapping[str, Emissions]) -> list[str]:
    """Return what the limits covered, where there were any of computing."""
    if all(limits.get(name) is None for name in COMPUTING):
        return []
    took = {name: phases[name].cost.cpu_seconds for name in phases}
    outside = ", ".join(
        f"{name} {took[name]:.3g}" for name in ("ingest", "predict", "challenge") if name in took
    )
    covered = sum(took.get(name, 0.0) for name in ("search", "refit"))
    return [
        "The limits cover search and refit, and of several tables the choice of their features:"
        f" search and refit took {covered:.3g} CPU-s. Outside them are the reading and loading of"
        " the data and what measures the champion in use"
        + (f" (CPU-s: {outside})." if outside else ".")
    ]


def _spared(start: Mapping[str, Any] | None, grams_per_kwh: float) -> dict[str, Any] | None:
    """Return what the start spared, as expected: what did not run cannot be measured."""
    if start is None:
        return None
    joules = start["expected_saved_joules"]
    return {**start, "expected_saved_gco2e": joules / JOULES_PER_KWH * grams_per_kwh}


def _measured(
    meter: Mapping[str, Any],
    reference: Mapping[str, Any],
    own: float | None,
    attempts: int,
    *,
    phases: Mapping[str, Emissions],
) -> list[str]:
    """How the energy was measured, and what is not in it."""
    lines = []
    if "watts_per_core" in meter:
        lines.append(
            f"Joules = {meter['watts_per_core']:g} W x CPU-seconds"
            f" + {meter['watts_per_gb']:g} W/GB x resident memory x time"
            f" (watts per core: {meter['source']}); PUE {PUE:g}."
        )
    elif meter.get("meter") == "cpu_time":
        lines.append(f"Joules = watts of the settings x CPU-seconds, and memory; PUE {PUE:g}.")
    else:
        lines.append(f"Joules by the counter {meter.get('meter')}; PUE {PUE:g}.")
    if "unfinished" in phases:
        lines.append(
            "Unfinished is what processes took in vain or for what a pause or failure cut short."
        )
    theirs = reference.get("cpu_joules")
    if theirs and own is not None:
        lines.append(
            f"codecarbon over the same process: processor {theirs:.4g} J (our phases are"
            f" {own / theirs:.3f} of it), memory {reference.get('ram_joules') or 0:.4g} J, which"
            " grows with the wall clock."
        )
    elif theirs:
        lines.append(f"codecarbon over the same process: processor {theirs:.4g} J.")
    else:
        lines.append(f"No reference: {reference.get('reason') or 'codecarbon gave no figure'}.")
    if attempts > 1:
        lines.append(
            f"{attempts} processes worked on this job; of one that was killed only finished trials"
            " and ended phases are in the bill."
        )
    if "challenge" in phases:
        lines.append(
            "Challenge is what it took to hold it beside the champion, on the rows kept for that."
        )
    if "predict" in phases:
        lines.append(
            "Predict is what it took to measure the champion in use, by 1,000 rows twice, and to"
            " see which columns it leans on."
        )
    lines.append(
        "Ingestion is that of the data set, and stands in the bill of each of its jobs; the ledger"
        " counts it once."
    )
    lines.append(
        "Not in it: the service itself, the warm process that jobs are forked from, and later"
        " predictions. Those of whole data sets are metered, and in the ledger as phase predict;"
        " single requests are not: predict_per_1000_rows, measured once when the model was made,"
        " says what they are expected to take."
    )
    return lines


def _emitted(found: Mapping[str, Any]) -> list[str]:
    """How the emissions came about, and what waiting did: from the receipt's own figures."""
    intensity, later = found["intensity"], found["levers"]["later"]
    known = f"as known on {str(intensity['issued_at'])[:16].replace('T', ' ')} UTC"
    if intensity.get("year") is not None:
        known = f"figures of {intensity['year']}"
    lines = [
        f"gCO2e = kWh x the g/kWh that was while each phase ran, zone {intensity['zone']}: over"
        f" the job's own work on average {intensity['grams_per_kwh']:.4g} g/kWh by"
        f" {intensity['source']}"
        f" ({intensity['signal']}, {intensity['factor_type']}, {known});"
        f" {intensity['share_estimated']:.0%} of the energy has an estimated intensity."
    ]
    ingest = next((one for one in found["phases"] if one["name"] == "ingest"), None)
    instead_of = None if ingest is None else ingest["intensity"].get("instead_of")
    if ingest is not None and instead_of is not None:
        lines.append(
            f"The data set was read in zone {instead_of['zone']}, where the service runs, whose"
            f" figures ({instead_of['source']}) count {COUNTED[instead_of['factor_type']]}: not to"
            " be added to these, so its energy is priced here as the job's is, at"
            f" {ingest['intensity']['grams_per_kwh']:.4g} g/kWh of zone"
            f" {ingest['intensity']['zone']}; the ledger has it at its own."
        )
    elif ingest is not None and ingest["intensity"]["zone"] != intensity["zone"]:
        lines.append(
            f"The data set was read in zone {ingest['intensity']['zone']}, where the service runs,"
            f" at {ingest['intensity']['grams_per_kwh']:.4g} g/kWh."
        )
    if intensity.get("error_grams") is None:
        lines.append("No uncertainty is known of these intensities.")
    elif intensity["share_estimated"]:
        lines.append(
            f"An estimated difference of two hours is off by {intensity['error_grams']:.3g} g/kWh"
            " (one standard deviation)."
        )
    saved = later["saved_gco2e"]
    waited = later["waited_seconds"] + later["paused_seconds"]
    than = f"than the same joules begun at the submission and not interrupted ({waited:.0f} s of"
    if saved is None:
        until = "until then" if later["provisional"] else "so"
        lines.append(
            f"The hours that were and those from the submission on are priced by several sources"
            f" ({'; '.join(later['sources'])}), which do not compare: {until} it is not told what"
            " waiting saved."
        )
    elif saved < 0:
        lines.append(f"Dirtier: it emitted {readable(-saved)} more {than} waiting).")
    elif saved > 0:
        lines.append(f"It emitted {readable(saved)} less {than} waiting).")
    planned = later.get("planned_saving_gco2e")
    if planned is not None:
        lines.append(f"The plan expected to save {readable(planned)} by waiting.")
    if later["provisional"]:
        lines.append("Provisional: intensities not yet published are looked up again.")
    return lines
