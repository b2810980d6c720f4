"""AFNOR SPEC 2314 on frugal AI: its practices, with what the service shows."""

from __future__ import annotations

from collections.abc import Iterator

from api import frugality_sources as sources
from api.frugality_facts import Facts
from api.frugality_points import compressed, limits, n_tasks, point
from api.quantities import share
from api.schemas_frugality import Point


def practices(facts: Facts) -> Iterator[Point]:
    """Practices that public texts tell of."""
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
    yield compressed("compression", facts, theme, of=[sources.SILICON])
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
        evidence=limits(facts),
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
    if not n_tasks(facts):
        return []
    return [
        f"The order of configurations was learnt on {n_tasks(facts)} earlier tasks, public data "
        "sets among them: fewer are tried on the data at hand."
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


def _words(name: object) -> str:
    return "not said" if name is None else str(name).replace("_", " ")
