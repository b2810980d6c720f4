"""From a pick to the champion: its members fitted or renewed, and where it came from."""

from __future__ import annotations

from automl.meta.knowledge import Knowledge
from automl.meters.base import measure
from automl.search.champion import Champion, Member
from automl.search.distill import STUDENT, student_member
from automl.search.finish import Finish
from automl.search.ledger import Ledger, members_of
from automl.search.refit import crown, fit_member
from automl.search.renew import renewed
from automl.search.spare import SparePart, spare_parts
from automl.search.start import Relation
from automl.search.threshold import rows_affordable


def crowned(
    ledger: Ledger,
    outcome: Finish,
    *,
    pick: str,
    mode: str,
    knowledge: Knowledge,
    relation: Relation | None = None,
) -> Champion:
    """Return the champion of a pick: its members fitted on all rows, calibrated, with thresholds.

    A member that was recalled from an older champion is renewed instead. What the members take
    is charged to the ledger.
    """
    problem = ledger.problem
    by_number = {trial.number: trial for trial in ledger.trials}
    picked = by_number[outcome.picks[pick]]
    weights = members_of(picked)
    old = {
        number: member
        for number in weights
        if (member := ledger.recalled(by_number[number].proposal)) is not None
    }
    if not any(by_number[number].candidate.model == STUDENT for number in weights):
        # Nothing asks for the others any more.
        for number in set(ledger.models) - set(weights):
            del ledger.models[number]
    members: list[Member] = []
    for number in sorted(weights):
        with measure(ledger.meter) as fitting:
            member = (
                student_member(ledger, by_number[number])
                if by_number[number].candidate.model == STUDENT
                else fit_member(
                    by_number[number],
                    problem,
                    weight=weights[number],
                    at_hand=ledger.models.pop(number, ()),
                    meter=ledger.meter,
                    affordable=ledger.affordable,
                )
                if number not in old
                else renewed(
                    by_number[number],
                    old[number],
                    problem,
                    weight=weights[number],
                    affordable=ledger.affordable,
                )
            )
        ledger.charge(fitting.cost)
        members.append(member)
    spare: tuple[SparePart, ...] = ()
    if not old:
        with measure(ledger.meter) as judging:
            spare = spare_parts(members, problem, affordable=ledger.affordable)
        ledger.charge(judging.cost)
    dataset = problem.dataset
    provenance = {
        "trial": picked.number,
        "pick": pick,
        "mode": mode,
        "seed": problem.seed,
        "n_rows": dataset.n_rows,
        "n_positive": dataset.n_positive,
        "dataset": problem.fingerprint,
        "objective": problem.objective.to_json(),
        "knowledge": {"digest": knowledge.digest, "n_tasks": len(knowledge.tasks)},
        "validation": {
            "n_parts": len(problem.validation.parts),
            "forward_in_time": dataset.time is not None,
            "by_group": dataset.group is not None,
            "gap": dataset.gap,
        },
    }
    if relation is not None:
        provenance["started_from"] = {"model": dict(relation.start.parent), **relation.to_json()}
    return crown(
        tuple(members),
        problem,
        logits=outcome.logits,
        finalists=outcome.logits,
        provenance=provenance,
        judged=old,
        ancestors=relation.start.champion.seen if relation is not None and old else (),
        spare=spare,
        shift_rows=rows_affordable(members, problem, ledger.affordable),
    )
