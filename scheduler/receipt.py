"""The bill of a job: what was measured, with what, and how sure it is. Nothing is invented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from automl.cost import JOULES_PER_KWH, ZERO, Cost
from automl.trial import Trial

if TYPE_CHECKING:
    from scheduler.carbon.typical import Intensity
    from scheduler.records import Phase

PUE = 1.0
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


def bill(name: str, cost: Cost, *, grams_per_kwh: float) -> dict[str, Any]:
    """Return one line of the receipt.

    >>> line = bill("search", Cost(cpu_seconds=10, joules=3600, meter="cpu_time"),
    ...             grams_per_kwh=56)
    >>> line["kwh"], line["gco2e"]
    (0.001, 0.056)
    """
    return {
        "name": name,
        **cost.to_json(),
        "kwh": cost.joules / JOULES_PER_KWH,
        "gco2e": cost.grams(grams_per_kwh),
    }


def spent(phases: Iterable[Phase], *, epoch: int) -> dict[str, Cost]:
    """Return what each phase took over all processes of a job, the last being `epoch`'s.

    The search of the last process has the trials of the earlier ones in it already; what an
    earlier process spent on anything else was spent in vain, and is added.
    """
    found: dict[str, Cost] = {}
    for phase in phases:
        if phase.epoch == epoch or phase.name != "search":
            found[phase.name] = found.get(phase.name, ZERO) + phase.cost
    return found


def receipt(
    phases: Mapping[str, Cost],
    *,
    meter: Mapping[str, Any],
    intensity: Intensity,
    reference: Mapping[str, Any],
    own_cpu_joules: float | None,
    trials: Sequence[Trial],
    n_rows: int,
    predict_per_1000_rows: Cost | None,
    attempts: int = 1,
    start: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the bill of a job as JSON values.

    Parameters
    ----------
    phases : cost by name, in the order to show: ingest, features, search, refit, predict
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
    """
    grams = intensity.grams_per_kwh
    total = sum(phases.values(), start=ZERO)
    kind = str(meter.get("meter", total.meter))
    predict = predict_per_1000_rows
    return {
        "phases": [bill(name, cost, grams_per_kwh=grams) for name, cost in phases.items()],
        "total": bill("total", total, grams_per_kwh=grams),
        "predict_per_1000_rows": (
            None if predict is None else bill("predict", predict, grams_per_kwh=grams)
        ),
        "meter": dict(meter),
        "intensity": asdict(intensity),
        "pue": PUE,
        "uncertainty": UNCERTAINTY.get(kind, UNCERTAINTY["cpu_time"]),
        "reference": _compared(reference, own_cpu_joules),
        "levers": {
            "less": _less(trials, n_rows) | {"start": _spared(start, grams)},
            "later": {"policy": "now", "saved_gco2e": 0.0},
            "lighter": {
                "predict_joules_per_1000_rows": None if predict is None else predict.joules
            },
        },
        "attempts": attempts,
        "method": _method(
            meter, intensity, reference, own_cpu_joules, attempts, predicts="predict" in phases
        ),
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


def _spared(start: Mapping[str, Any] | None, grams_per_kwh: float) -> dict[str, Any] | None:
    """Return what the start spared, as expected: what did not run cannot be measured."""
    if start is None:
        return None
    joules = start["expected_saved_joules"]
    return {**start, "expected_saved_gco2e": joules / JOULES_PER_KWH * grams_per_kwh}


def _method(
    meter: Mapping[str, Any],
    intensity: Intensity,
    reference: Mapping[str, Any],
    own: float | None,
    attempts: int,
    *,
    predicts: bool,
) -> list[str]:
    lines = []
    if meter.get("meter") == "cpu_time":
        lines.append(
            f"Joules = {meter['watts_per_core']:g} W x CPU-seconds"
            f" + {meter['watts_per_gb']:g} W/GB x resident memory x time"
            f" (watts per core: {meter['source']}); PUE {PUE:g}."
        )
    else:
        lines.append(f"Joules by the counter {meter.get('meter')}; PUE {PUE:g}.")
    lines.append(
        f"gCO2e = kWh x {intensity.grams_per_kwh:g} g/kWh, {intensity.zone}, yearly mean"
        f" {intensity.year}, {intensity.factor_type} ({intensity.source})."
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
            f"{attempts} processes worked on this job; a phase that one of them did not end is"
            " not in the bill, except for its finished trials."
        )
    if predicts:
        lines.append("Predict is what it took to measure the champion in use, by 1,000 rows twice.")
    lines.append("Ingestion is that of the data set, and stands in the bill of each of its jobs.")
    lines.append("Not in it: the service itself, and the warm process that jobs are forked from.")
    return lines
