"""Picks for another use, as they are asked for and answered."""

from __future__ import annotations

from pydantic import Field

from api.schemas import Query
from api.schemas_answers import Answer


class PicksQuery(Query):
    """How the model would be used; what is absent is as the job says."""

    predictions_per_day: float | None = Field(None, ge=0, le=1e12)
    horizon_days: float | None = Field(None, gt=0, le=36_500)
    retrains: float | None = Field(None, ge=0, le=1e6)


class FrontPoint(Answer):
    """A trial on the front: its score, and the expected energy of its life in this use."""

    number: int
    model: str
    score: float
    joules: float
    gco2e: float
    picks: list[str]
    per_hundredth_joules: float | None = Field(
        description="what 0.01 more of the score costs, from the point before; null for the first"
    )
    per_hundredth_gco2e: float | None


class PicksAnswer(Answer):
    """The front and its three picks for one use."""

    predictions: float = Field(description="rows that are predicted in all")
    predictions_per_day: float | None
    horizon_days: float | None
    retrains: float
    metric: str | None
    price: float | None = Field(
        description="percent of the best score that a joule has to bring: the price at which the "
        "search itself ended; null of jobs from before it was kept, whose pick does not move"
    )
    grams_per_kwh: float = Field(description="as the leaderboard has it")
    intensity_source: str
    zone: str
    use: str = Field(description="the predictions that the energies count, and who said so")
    items: list[FrontPoint] = Field(description="cheapest first")
