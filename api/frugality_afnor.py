"""AFNOR SPEC 2314 on frugal AI, as far as public texts tell of it, and what the service shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from api import frugality_sources as sources
from api.frugality_facts import Facts
from api.quantities import digits, duration, energy, share, size
from api.schemas_frugality import Checklist, Point, Reference
from automl.cost import JOULES_PER_KWH
from scheduler.equivalents import readable

Status = Literal["answered", "partly", "not available"]
N_PRACTICES = 31

NOTES = (
    "AFNOR SPEC 2314 (June 2024), “Référentiel général pour l'IA frugale”, is a voluntary document "
    "and no standard that anything can be certified by; nothing here says that it is met.",
    "Its publisher forbids machine reading of its text. So each point below is in our words and "
    "was taken from the public page named beside it; numbers of practices (BP) are given where "
    "that page gives them.",
    f"Of its {N_PRACTICES} practices those below are what these pages tell of. The others are left "
    "out, not met: whoever reports by the document itself has to add them from its free copy.",
)


def point(
    id: str,
    theme: str,
    asks: str,
    *,
    evidence: Sequence[str] = (),
    missing: str | None = None,
    of: Sequence[Reference],
) -> Point:
    """A point; what is missing makes it partly answered, no evidence not at all.

    >>> point("x", "t", "a?", evidence=["e"], missing="m", of=[]).status
    'partly'
    """
    status: Status = "not available" if not evidence else "partly" if missing else "answered"
    return Point(
        id=id,
        theme=theme,
        asks=asks,
        status=status,
        evidence=list(evidence),
        missing=missing,
        sources=list(of),
    )


def checklist(title: str, notes: Sequence[str], points: Sequence[Point]) -> Checklist:
    """A checklist with its counts."""
    states = [one.status for one in points]
    return Checklist(
        title=title,
        notes=list(notes),
        points=list(points),
        n_answered=states.count("answered"),
        n_partly=states.count("partly"),
        n_not_available=states.count("not available"),
    )


def afnor(facts: Facts) -> Checklist:
    """The points in the order of the document's own subjects: definition, measuring, practices."""
    points = [*_definition(facts), *_measuring(facts), *_practices(facts), *_telling(facts)]
    return checklist("AFNOR SPEC 2314, frugal AI", NOTES, points)


def _definition(facts: Facts) -> Iterator[Point]:
    theme = "What a frugal AI service is"
    scores, evidence = facts.card.get("scores") or {}, []
    metric = scores.get("average_precision")
    if metric is not None and scores.get("prevalence"):
        evidence.append(
            f"Average precision {digits(metric)}, where a random order reaches "
            f"{digits(scores['prevalence'])}: what the model adds to no model at all."
        )
    picks = facts.result.get("picks") or {}
    if picks.get("most_frugal") is not None:
        evidence.append(
            f"The most frugal model of the front is trial {picks['most_frugal']}, the one taken is "
            f"trial {facts.result.get('champion')}: the leaderboard has both scores and both bills."
        )
    yield point(
        "need",
        theme,
        "Is it shown that an AI system is needed, and no less resource-hungry solution would do?",
        evidence=evidence,
        missing="Whether a rule, a list or a change of process would do: nobody but the asker can "
        "show it.",
        of=[sources.AFNOR],
    )
    yield point(
        "adopted",
        theme,
        "Do producer, supplier and customer adopt good practices that lower the impact?",
        evidence=["Those of the service: the points under “Practices”."],
        missing="Those of the machine's supplier and of the service's customer.",
        of=[sources.AFNOR],
    )
    yield point(
        "limits",
        theme,
        "Were uses and needs questioned, and do they aim to stay within planetary boundaries?",
        missing="The service knows no purpose of a model.",
        of=[sources.AFNOR],
    )


def _measuring(facts: Facts) -> Iterator[Point]:
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
            *_limits(facts),
        ],
        missing=None if _limits(facts) else "The request set no limit in energy or CO2e.",
        of=[sources.GENERIA],
    )


def _limits(facts: Facts) -> list[str]:
    limits = facts.request.get("limits") or {}
    named = {"gco2e": "g CO2e", "joules": "J", "cpu_seconds": "CPU-seconds"}
    given = [f"{digits(limits[n])} {unit}" for n, unit in named.items() if limits.get(n)]
    return [f"Hard limits of the request: {', '.join(given)}."] if given else []


def _practices(facts: Facts) -> Iterator[Point]:
    theme = "Practices"
    objective = facts.request.get("objective") or {}
    yield point(
        "BP 01",
        theme,
        "Are methods of needs analysis used?",
        evidence=[
            f"The request states what is judged ({_words(objective.get('metric'))}) and how many "
            f"alerts can be looked at ({share(objective.get('alert_rate'))} of the rows)."
        ]
        if objective
        else [],
        missing="The analysis of the need itself.",
        of=[sources.GENERIA],
    )
    yield _compared(facts, theme)
    yield _compressed(facts, theme)
    yield _reused(facts, theme)
    yield point(
        "equipment",
        theme,
        "Is the use of existing equipment optimised?",
        evidence=["Jobs run on the processor cores at hand; no accelerator is asked for."],
        missing="How well the machine is used beside this service.",
        of=[sources.SILICON],
    )
    yield point(
        "confined",
        theme,
        "Are memory, processors and storage that a service may take confined?",
        evidence=_limits(facts),
        missing="Memory and storage have limits of the service, none of the job.",
        of=[sources.CHANNEL],
    )
    yield point(
        "BP 26",
        theme,
        "Is the code written responsibly: simple, reusable, durable, in efficient languages?",
        evidence=[
            "Models are fitted by compiled libraries in common use (LightGBM, scikit-learn, "
            "NumPy); versions are pinned by checksum, licences are open.",
            "A model is exported as plain text or skops files with a loader: it outlives the "
            "service.",
        ],
        missing="The service is written in Python.",
        of=[sources.ECOLLM, sources.SILICON],
    )
    yield point(
        "prototype",
        theme,
        "Are open data sets used for prototypes?",
        evidence=_knowledge(facts),
        missing=None if _knowledge(facts) else "What earlier searches taught was not used.",
        of=[sources.SILICON],
    )
    yield _registered(facts, theme)


def _compared(facts: Facts, theme: str) -> Point:
    n_trials = facts.less.get("n_trials")
    front = facts.result.get("front") or ()
    evidence = []
    if n_trials:
        evidence.append(
            f"{n_trials} models were compared on the same rows by score and energy; {len(front)} "
            "are on the front of both, and the pick weighs both."
        )
    return point(
        "BP 31",
        theme,
        "Are models compared to find the one with the best ratio of performance to resources?",
        evidence=evidence,
        missing="A test with live traffic: models were compared on past rows."
        if evidence
        else "No model was fitted.",
        of=[sources.GENERIA],
    )


def _compressed(facts: Facts, theme: str) -> Point:
    dataset, evidence = facts.dataset, []
    if dataset is not None and dataset.bytes_stored and dataset.bytes_in:
        evidence.append(
            f"{size(dataset.bytes_in)} came, {size(dataset.bytes_stored)} are kept: "
            f"{share(dataset.bytes_stored / dataset.bytes_in)}."
        )
    return point(
        "compression",
        theme,
        "Are data compressed?",
        evidence=evidence,
        missing=None if evidence else "The sizes of the data are not known.",
        of=[sources.SILICON],
    )


def _reused(facts: Facts, theme: str) -> Point:
    start = facts.less.get("start")
    evidence = ["The models are of published algorithms in existing libraries."]
    if start is not None:
        evidence.append("The search started from an earlier model, and the bill says what of.")
    return point(
        "reuse",
        theme,
        "Are algorithms reused?",
        evidence=evidence,
        missing=None if start is not None else "No earlier model was named to start from.",
        of=[sources.SILICON],
    )


def _knowledge(facts: Facts) -> list[str]:
    n_tasks = (facts.result.get("knowledge") or {}).get("n_tasks")
    if not n_tasks:
        return []
    return [
        f"The order of configurations was learnt on {n_tasks} earlier tasks, public data sets "
        "among them: fewer are tried on the data at hand."
    ]


def _registered(facts: Facts, theme: str) -> Point:
    evidence = [f"Job {facts.job.id}."]
    if facts.model is not None:
        made = ", ".join(
            _words(one.get("model")) for one in facts.card.get("members") or ()
        ) or _words(facts.card.get("kind"))
        serving = "none answers" if facts.serving is None else f"version {facts.serving} answers"
        evidence = [
            f"Model {facts.model.name!r}, version {facts.model.version}, SHA-256 "
            f"{facts.model.sha256[:12]}…; {serving}.",
            f"Made of: {made}.",
        ]
    return point(
        "register",
        theme,
        "Is there one register of frugal AI services: an identifier, the state of deployment, the "
        "team in charge, a description of the models?",
        evidence=evidence,
        missing="The team in charge.",
        of=[sources.SILICON_SIX],
    )


def _telling(facts: Facts) -> Iterator[Point]:
    theme = "People and claims"
    yield point(
        "people",
        theme,
        "Are those concerned made familiar with frugal AI, skills included?",
        missing="What an organisation does to train its people.",
        of=[sources.SILICON, sources.TAVERNE],
    )
    evidence = [
        "Method, meter, source of the carbon intensity and uncertainty stand in this report; "
        "savings by doing less, which are expected, are kept apart from savings by waiting, which "
        "are billed; a negative one is shown."
    ]
    yield point(
        "claims",
        theme,
        "Are claims accurate and verifiable?",
        evidence=evidence,
        missing="A check by a third party.",
        of=[sources.AFNOR],
    )


def _words(name: object) -> str:
    return "not said" if name is None else str(name).replace("_", " ")
