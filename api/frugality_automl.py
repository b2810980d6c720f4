"""Green AutoML by Tornede et al., as far as public texts tell of it, answered for a job."""

from __future__ import annotations

from collections.abc import Iterator

from api import frugality_sources as sources
from api.frugality_bill import counted
from api.frugality_facts import Facts
from api.frugality_points import checklist, compressed, n_tasks, point
from api.quantities import digits, duration, energy, share
from api.schemas_frugality import Checklist, Point
from automl.cost import JOULES_PER_KWH
from scheduler.equivalents import readable

NOTES = (
    "Tornede et al. propose a checklist to be attached to papers on AutoML. Its abstract names the "
    "core aspects that it features; the wording of its single questions is in the paper (DOI "
    "10.1613/jair.1.14340) and was not in the public pages that could be read, so it is not "
    "repeated here.",
    "The points below are those core aspects, and the ways to a greener AutoML that automl.org "
    "lists.",
)


def green_automl(facts: Facts) -> Checklist:
    """The core aspects, each answered or not available."""
    points = [*_quantified(facts), *_designed(facts), *_benchmarked(facts), *_open(facts)]
    return checklist("Green AutoML, Tornede et al., JAIR 2023", NOTES, points)


def _quantified(facts: Facts) -> Iterator[Point]:
    theme, total = "Quantifying the footprint", facts.total
    yield point(
        "footprint",
        theme,
        "How large is the environmental footprint of the run?",
        evidence=[
            f"{readable(total['gco2e'])} CO2e, {energy(total['kwh'])}, by phase in the table of "
            "this report."
        ],
        missing="The hardware's making, unless asked for; the development of the software.",
        of=[sources.JAIR],
    )
    yield point(
        "hours",
        theme,
        "How much CPU or GPU time did it take, counted by a suitable tool?",
        evidence=[
            f"{duration(total['cpu_seconds'])} of CPU time, counted by the operating system; no "
            "GPU is used."
        ],
        of=[sources.GREEN_AUTOML],
    )


def _designed(facts: Facts) -> Iterator[Point]:
    theme, less = "Designing the tool", facts.less
    part = less.get("share_of_rows")
    yield point(
        "fidelity",
        theme,
        "Are candidates tried at several fidelities?",
        evidence=[]
        if part is None
        else [
            f"Trials climb rungs of growing samples: {share(part)} of the rows were fitted on "
            "that all trials on all rows would have taken."
        ],
        missing=None if part is not None else "No trial ran.",
        of=[sources.GREEN_AUTOML],
    )
    reason = facts.job.stop_reason
    yield point(
        "early",
        theme,
        "Does it terminate early by itself?",
        evidence=[] if not reason else [f"It stopped because: {reason}."],
        missing=None if reason else "It has not stopped by itself.",
        of=[sources.GREEN_AUTOML],
    )
    yield _spent(facts, theme)
    front = facts.result.get("front") or ()
    yield point(
        "objective",
        theme,
        "Does energy count in the objective?",
        evidence=[]
        if not front
        else [f"The front is of score and energy in expectation; {len(front)} models are on it."],
        missing=None if front else "There is no front yet.",
        of=[sources.GREEN_AUTOML],
    )
    n_earlier = n_tasks(facts)
    yield point(
        "zero",
        theme,
        "Does it make use of what is known without training (zero-cost AutoML)?",
        evidence=[]
        if not n_earlier
        else [f"Configurations come in an order learnt on {n_earlier} earlier tasks."],
        missing="It still fits models: no score is predicted without a trial.",
        of=[sources.GREEN_AUTOML],
    )
    yield compressed("data", facts, theme, of=[sources.GREEN_AUTOML])
    line = facts.receipt.get("predict_per_1000_rows")
    yield point(
        "pipelines",
        theme,
        "Does it search for energy-efficient pipelines, by size or by compression of the model?",
        evidence=[]
        if line is None
        else [
            f"The energy of use counts in the choice: {energy(line['kwh'])} per 1,000 predictions. "
            "Where many predictions are declared, a small student of the best model is offered."
        ],
        missing=None if line is not None else "No model was made.",
        of=[sources.GREEN_AUTOML],
    )


def _spent(facts: Facts, theme: str) -> Point:
    stop = facts.stop
    used, limit = stop.get("used"), stop.get("limit")
    evidence = []
    if isinstance(used, int | float) and isinstance(limit, int | float) and limit > 0:
        of_mode = stop.get("unit") == "expected_cpu_seconds"
        whose = (
            f"Its mode lets the trials of a search be expected to take {digits(limit)} CPU-seconds"
            if of_mode
            else f"The request's limit was {digits(limit)} {stop.get('unit')}"
        )
        evidence.append(
            f"{whose}; {digits(used)} ({share(used / limit)}) were used when it stopped. The rest "
            "was left, not searched with."
        )
    for name, unit in (("cpu_seconds", "CPU-seconds"), ("joules", "J"), ("gco2e", "g of CO2e")):
        most = (facts.request.get("limits") or {}).get(name)
        if most:
            taken = counted(facts, name)
            evidence.append(
                f"Of the request's limit of {digits(most)} {unit}, which counts features, search "
                f"and refit, {digits(taken)} ({share(taken / most)}) were used, as billed."
            )
    return point(
        "savings",
        theme,
        "What became of the savings: were they left, or spent on further search?",
        evidence=evidence,
        missing=None if evidence else "There was no limit to compare with.",
        of=[sources.GREEN_AUTOML],
    )


def _benchmarked(facts: Facts) -> Iterator[Point]:
    brute = facts.less.get("brute_force")
    evidence = []
    if brute is not None:
        kwh = brute["expected_joules"] / JOULES_PER_KWH
        times = brute["expected_joules"] / facts.total["joules"] if facts.total["joules"] else 0.0
        evidence.append(
            f"Brute force is expected to take {energy(kwh)} here, {digits(times)} times as much."
        )
    yield point(
        "benchmark",
        "Benchmarking it",
        "Is its greenness compared with that of other ways?",
        evidence=evidence,
        missing="That is an expectation for this job; measured comparisons with brute force and "
        "other tools on other data are in the README."
        if evidence
        else "Nobody said what brute force would take.",
        of=[sources.JAIR],
    )


def _open(facts: Facts) -> Iterator[Point]:
    yield point(
        "transparent",
        "Being transparent",
        "Is it told openly what was spent, and how that was found?",
        evidence=[
            "This report, the receipt with every phase, and the ledger, which counts failed jobs "
            "as well.",
            *([str(facts.receipt["uncertainty"])] if facts.receipt.get("uncertainty") else []),
        ],
        of=[sources.JAIR],
    )
    yield point(
        "incentives",
        "Research incentives",
        "Does it set incentives for a more sustainable direction of research?",
        missing="That is a question to a research community, not to a job.",
        of=[sources.JAIR],
    )
