"""Points of the frugality report's checklists, and evidence that several of them give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from api.frugality_facts import Facts
from api.quantities import digits, share, size
from api.schemas_frugality import Checklist, Point, Reference

Status = Literal["answered", "partly", "not available"]


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


def limits(facts: Facts) -> list[str]:
    """The hard limits of the request, in a sentence; none where there is none."""
    asked = facts.request.get("limits") or {}
    named = {"gco2e": "g CO2e", "joules": "J", "cpu_seconds": "CPU-seconds"}
    given = [f"{digits(asked[name])} {unit}" for name, unit in named.items() if asked.get(name)]
    return [f"Hard limits of the request: {', '.join(given)}."] if given else []


def compressed(id: str, facts: Facts, theme: str, *, of: Sequence[Reference]) -> Point:
    """The point on the compression of data, which two of the lists have."""
    dataset, evidence = facts.dataset, []
    if dataset is not None and dataset.bytes_stored and dataset.bytes_in:
        evidence.append(
            f"{size(dataset.bytes_in)} came, {size(dataset.bytes_stored)} are kept: "
            f"{share(dataset.bytes_stored / dataset.bytes_in)}."
        )
    return point(
        id,
        theme,
        "Are data compressed?",
        evidence=evidence,
        missing=None if evidence else "The sizes of the data are not known.",
        of=of,
    )


def n_tasks(facts: Facts) -> int:
    """On how many earlier tasks the order of configurations was learnt."""
    return int((facts.result.get("knowledge") or {}).get("n_tasks") or 0)
