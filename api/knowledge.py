"""What the service has learnt from earlier searches, and what it suggested for a job."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from api.context import parts, project_id
from api.schemas_knowledge import (
    KnowledgeAnswer,
    KnowledgeGrowth,
    KnowledgeQuery,
    KnownConfig,
    KnownFamily,
    KnownStep,
    SuggestedAnswer,
    SuggestionAnswer,
)
from automl.meta.gains import mean_gain
from automl.meta.knowledge import COST_UNIT, EXPLORE_EVERY, MOST_TASKS, Knowledge
from automl.meta.portfolio import MODES
from automl.meta.task import Config
from scheduler.knowledge import knowledge_of
from scheduler.records import Job

knowledge = APIBlueprint("knowledge", __name__, url_prefix="/v1", tag="Knowledge")


@knowledge.get("/knowledge")
@knowledge.input(KnowledgeQuery, location="query")
@knowledge.output(KnowledgeAnswer)
@knowledge.doc(operation_id="getKnowledge")
def show(query_data: KnowledgeQuery) -> Any:
    """What earlier searches taught: configurations, their order and gains, and what is behind it.

    With `job`, also what was suggested for that job, what became of it, and why.
    """
    job = None
    if query_data.job is not None:
        job = parts().store.get_job(project_id(), query_data.job)
    settings = parts().settings
    known, growth = knowledge_of(settings, project_id())
    n_local = sum(task.source == "local" for task in known.tasks)
    return KnowledgeAnswer(
        digest=known.digest,
        built=dict(known.built),
        n_shipped=len(known.tasks) - n_local,
        n_local=n_local,
        sources=sorted({task.group for task in known.tasks if task.source == "shipped"}),
        cost_unit=COST_UNIT,
        configs=[_config(known, config) for config in known.configs],
        modes={mode: _steps(known, mode) for mode in MODES},
        families={
            family: KnownFamily(rate=one.rate, names=list(one.names), weights=list(one.weights))
            for family, one in known.alive.items()
        },
        growth=KnowledgeGrowth(
            setting=settings.knowledge,
            n_jobs=growth.n_jobs,
            n_tasks=n_local,
            n_skipped=growth.n_skipped,
            most_tasks=MOST_TASKS,
            explore_every=EXPLORE_EVERY,
        ),
        suggested=None if job is None else _suggested(job),
    )


def _suggested(job: Job) -> SuggestedAnswer:
    kept = (job.result or {}).get("knowledge") or {}
    return SuggestedAnswer(
        job=job.id,
        state=job.state.value,
        digest=kept.get("digest"),
        n_tasks=kept.get("n_tasks"),
        suggestions=[SuggestionAnswer(**one) for one in kept.get("suggestions", ())],
    )


def _config(known: Knowledge, config: Config) -> KnownConfig:
    told = [
        (evidence.weight, score)
        for evidence in known.evidence
        if (score := evidence.single(config.id)) is not None
    ]
    costs = [(t.weight, t.costs[config.id]) for t in known.tasks if config.id in t.costs]
    return KnownConfig(
        id=config.id,
        name=config.name,
        family=config.family,
        model=config.candidate.model,
        params=dict(config.candidate.params),
        n_tasks=len(told),
        mean_score=_mean(told),
        mean_cost=_mean(costs),
    )


def _steps(known: Knowledge, mode: str) -> list[KnownStep]:
    models = known.portfolio(mode)
    steps: list[KnownStep] = []
    before: list[str] = []
    expanded = [candidate for own in models.expand.values() for candidate in own]
    for candidate in (*models.first, *expanded):
        config = known.config(candidate)
        if config is None:  # no task tells of it: the mode has it where it stands
            continue
        gain = round(mean_gain(known.evidence, config.id, before), 3) if before else None
        steps.append(
            KnownStep(
                id=config.id,
                name=config.name,
                family=config.family,
                stage="first" if candidate in models.first else "expand",
                gain_percent=gain,
                n_tasks=sum(task.single(config.id) is not None for task in known.evidence),
            )
        )
        before.append(config.id)
    return steps


def _mean(weighted: list[tuple[float, float]]) -> float | None:
    weight = sum(one for one, _ in weighted)
    return round(sum(w * value for w, value in weighted) / weight, 4) if weight else None
