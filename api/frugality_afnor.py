"""AFNOR SPEC 2314 on frugal AI, as far as public texts tell of it, and what the service shows."""

from __future__ import annotations

from collections.abc import Iterator

from api import frugality_sources as sources
from api.frugality_afnor_measuring import measuring
from api.frugality_afnor_practices import practices
from api.frugality_facts import Facts
from api.frugality_points import checklist, point
from api.quantities import digits
from api.schemas_frugality import Checklist, Point

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


def afnor(facts: Facts) -> Checklist:
    """The points in the order of the document's own subjects: definition, measuring, practices."""
    points = [*_definition(facts), *measuring(facts), *practices(facts), *_telling(facts)]
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
