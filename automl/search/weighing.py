"""The ensemble of the finalists as a trial of its own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from automl.cost import Cost
from automl.meters.base import measure
from automl.search.ensemble import admitted, equal_weights, greedy_weights, mean_logit
from automl.search.evaluate import score_logit
from automl.search.ledger import ENSEMBLE, Ledger
from automl.trial import Candidate, Proposal, Trial

Floats = npt.NDArray[np.float64]


def weigh(
    ledger: Ledger,
    finalists: Mapping[int, Trial],
    logits: Mapping[int, Floats],
    *,
    known: Mapping[int, float] | None = None,
    others: Mapping[int, Trial] | None = None,
) -> Trial | None:
    """The ensemble of the finalists as a trial of its own, by weights that are `known` or found.

    `others` may join them by a gain that chance does not explain. `logits` are of them all. None
    where one member is left alone.
    """
    problem = ledger.problem
    y, weight = problem.validation.y, problem.validation.weight
    objective, bootstrap = problem.objective, problem.validation.bootstrap

    def score(logit: Floats) -> float:
        return objective.score(y, logit, weight)

    def error(one: Floats, other: Floats) -> float:
        gap = objective.replicates(bootstrap, one) - objective.replicates(bootstrap, other)
        gap = gap[np.isfinite(gap)]
        return float(gap.std()) if len(gap) else 0.0

    with measure(ledger.meter) as reading:
        if known is not None:
            weights = dict(known)
        elif problem.validation.few_positives:
            weights = equal_weights(list(finalists))
        else:
            own = {number: logits[number] for number in finalists}
            weights = greedy_weights(own, score=score)
            weights = admitted(
                weights,
                {**own, **{number: logits[number] for number in others or {}}},
                score=score,
                error=error,
            )
        whole = mean_logit(logits, weights)
        scores = score_logit(problem, whole)
        intervals = problem.objective.intervals(problem.validation.bootstrap, whole)
    if known is None and len(weights) < 2:
        ledger.charge(reading.cost)
        return None
    found = {**finalists, **(others or {})}
    members = [found[number] for number in sorted(weights)]
    expected = Cost(cpu_seconds=0.0, joules=0.0, meter="expected")
    cost = reading.cost
    for member in members:
        cost, expected = cost + member.cost, expected + member.expected
    candidate = Candidate(
        model=ENSEMBLE, params={"members": {str(n): weights[n] for n in sorted(weights)}}
    )
    trial = Trial(
        number=ledger.next_number,
        proposal=Proposal(
            candidate=candidate, rung="final", n_rows=max(m.proposal.n_rows for m in members)
        ),
        cost=cost,
        expected=expected,
        score=scores[problem.objective.score_name],
        interval=intervals.get(problem.objective.score_name),
        scores=scores,
        intervals=intervals,
        predict_joules=sum(member.predict_joules or 0.0 for member in members),
        peak_memory_bytes=max(member.peak_memory_bytes or 0 for member in members),
        details={"cost_includes_members": True},
    )
    return ledger.record(
        trial, {"rows": problem.validation.rows.astype(np.int64, copy=False), "logit": whole}
    )
