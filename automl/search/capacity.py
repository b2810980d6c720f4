"""Where a boosted model was still getting better at the last round, the next larger one."""

from __future__ import annotations

from typing import Any

from automl.models.catalog import family
from automl.models.rounds import most_rounds
from automl.search.parts import BOOSTED
from automl.trial import Candidate, Trial

# The best round of the parts, by the most that were tried, from which a score was still climbing.
CLIMBING = 0.85
# Four times the leaves need about as many fewer rounds, where there is something to be told.
GROWTH, MOST_LEAVES = 4, 255


def larger(trial: Trial) -> Candidate | None:
    """The trial's candidate with four times the leaves; None where early stopping had its say.

    A score whose best round is the last that was tried tells nothing of how far it would have
    risen. Larger trees get there in as many rounds.
    """
    candidate = trial.candidate
    if trial.score is None or family(candidate) not in BOOSTED or "rounds" in candidate.params:
        return None
    best = [part["best_iteration"] for part in trial.details.get("parts", ())]
    most = most_rounds(candidate.params)
    leaves = int(candidate.params.get("num_leaves", 31))
    if not best or sum(best) / len(best) < CLIMBING * most or leaves >= MOST_LEAVES:
        return None
    grown: dict[str, Any] = {"num_leaves": min(GROWTH * leaves, MOST_LEAVES)}
    return Candidate(model=candidate.model, params={**candidate.params, **grown})
