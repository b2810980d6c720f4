"""What the service answers about its knowledge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas import JobStateName, Query
from api.schemas_answers import Answer, JsonObject


class KnowledgeQuery(Query):
    """Whose suggestions to show beside the knowledge."""

    job: str | None = Field(
        None, min_length=1, max_length=64, description="a job: what was suggested for it and why"
    )


class KnownConfig(Answer):
    """A configuration, and how it did on the tables it was tried on."""

    id: str = Field(description="of model and parameters: a changed parameter is another one")
    name: str
    family: str
    model: str
    params: JsonObject
    n_tasks: int
    mean_score: float | None = Field(description="relative to the best single one of each table")
    mean_cost: float | None = Field(description="relative to the unit of cost")


class KnownStep(Answer):
    """One step of a mode."""

    id: str
    name: str
    family: str
    stage: Literal["first", "expand"] = Field(description="raced at once, or while worth its cost")
    gain_percent: float | None = Field(
        description="of the score, that it adds to those before it, on average; null for the first"
    )
    n_tasks: int


class KnownFamily(Answer):
    """How often a family is near the best score."""

    rate: float
    names: list[str] = Field(description="features of a table that a model tells it by; may be []")
    weights: list[float] = Field(description="of the standardised features, in log-odds")


class KnowledgeGrowth(Answer):
    """What this project's finished jobs added."""

    setting: Literal["grow", "shipped", "off"]
    n_jobs: int = Field(description="that ever added something")
    n_tasks: int = Field(description="that count now")
    n_skipped: int = Field(description="broken lines of the local file")
    most_tasks: int
    explore_every: int = Field(description="one job in so many tries one configuration more")


class SuggestionAnswer(Answer):
    """One configuration that was put forward for a job."""

    candidate: str
    name: str
    model: str
    stage: str = Field(description="first, expand or explore")
    tried: bool
    why: str
    gain_percent: float | None = Field(description="as the tables tell it, of the best score")
    standard_error: float | None = Field(description="of that gain, over the tables")
    weight: float | None = Field(description="of the tables that told the gain")
    alive: float | None = Field(description="probability that its family is near the best")
    expected_cpu_seconds: float | None


class SuggestedAnswer(Answer):
    """What was suggested for a job; empty until it has ended."""

    job: str
    state: JobStateName
    digest: str | None = Field(description="of the knowledge it began with")
    n_tasks: int | None
    suggestions: list[SuggestionAnswer]


class KnowledgeAnswer(Answer):
    """What earlier searches taught, and what the next one would be told."""

    digest: str = Field(description="the same digest: the same suggestions")
    built: JsonObject = Field(description="how the shipped part was made")
    n_shipped: int = Field(description="tasks that came with the service")
    n_local: int = Field(description="tasks of this project")
    sources: list[str] = Field(description="tables behind the shipped tasks")
    cost_unit: str
    configs: list[KnownConfig]
    modes: dict[str, list[KnownStep]]
    families: dict[str, KnownFamily]
    growth: KnowledgeGrowth
    suggested: SuggestedAnswer | None
