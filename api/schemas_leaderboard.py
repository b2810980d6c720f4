"""The leaderboard of a job, as it is answered: its finished trials."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from api.schemas_answers import Answer, JsonObject
from automl.cost import JOULES_PER_KWH
from scheduler.records import StoredTrial


class LeaderboardRow(Answer):
    """A finished trial."""

    number: int
    model: str
    params: JsonObject
    rung: str
    n_rows: int
    metric: str | None = Field(
        description="what the score is: the objective's metric, or cost_saving; null where there "
        "is no target, and so no score"
    )
    score: float | None = Field(description="on validation rows, higher is better, 0 to 1")
    score_low: float | None = Field(description="lower end of the 90 % interval")
    score_high: float | None
    scores: JsonObject = Field(description="every metric by name, the score among them")
    intervals: JsonObject = Field(description="90 % interval of each of the scores")
    cpu_seconds: float
    joules: float = Field(description="as measured in this run")
    expected_joules: float = Field(description="as the catalog expects: what choices are made by")
    gco2e: float | None = Field(description="at the answer's grams_per_kwh")
    predict_joules: float | None = Field(
        description="per 1,000 rows, as this trial's models took on its validation rows, encoding "
        "not counted; the receipt's predict_per_1000_rows is the finished model's, encoding "
        "included, and a lifetime's use is by what the catalog expects"
    )
    row_milliseconds: float | None = Field(
        description="CPU time to predict one row alone, by one of its models, encoding not counted"
    )
    lifetime: JsonObject | None = Field(
        description="expected joules and grams of CO2e of its search, refit, use and retrains, as "
        "the objective describes its use, which `use` says in words: the cost axis of the front. "
        "Not the whole search, which the card's lifetime has"
    )
    peak_memory_bytes: int | None
    front: bool
    picks: list[str]
    error: str | None

    @classmethod
    def of(
        cls,
        stored: StoredTrial,
        *,
        grams_per_kwh: float | None,
        metric: str | None,
        front: frozenset[int],
        picks: dict[str, int],
        lifetime: Mapping[str, float] | None = None,
        use: str | None = None,
    ) -> LeaderboardRow:
        trial = stored.trial
        if trial is None:
            raise ValueError(f"trial {stored.number} still runs")
        return cls(
            number=trial.number,
            model=trial.candidate.model,
            params=dict(trial.candidate.params),
            rung=trial.proposal.rung,
            n_rows=trial.proposal.n_rows,
            metric=metric,
            score=trial.score,
            score_low=None if trial.interval is None else trial.interval[0],
            score_high=None if trial.interval is None else trial.interval[1],
            scores=dict(trial.scores),
            intervals={name: list(spread) for name, spread in trial.intervals.items()},
            cpu_seconds=trial.cost.cpu_seconds,
            joules=trial.cost.joules,
            expected_joules=trial.expected.joules,
            gco2e=None if grams_per_kwh is None else trial.cost.grams(grams_per_kwh),
            predict_joules=trial.predict_joules,
            row_milliseconds=trial.details.get("row_milliseconds"),
            lifetime=None if lifetime is None else _lifetime(lifetime, grams_per_kwh, use),
            peak_memory_bytes=trial.peak_memory_bytes,
            front=trial.number in front,
            picks=sorted(name for name, number in picks.items() if number == trial.number),
            error=trial.error,
        )


def _lifetime(
    joules: Mapping[str, float], grams_per_kwh: float | None, use: str | None
) -> JsonObject:
    found: JsonObject = {"joules": dict(joules), "gco2e": None, "use": use}
    if grams_per_kwh is not None:
        found["gco2e"] = {name: j / JOULES_PER_KWH * grams_per_kwh for name, j in joules.items()}
    return found


class LeaderboardAnswer(Answer):
    """One page of the finished trials of a job."""

    items: list[LeaderboardRow]
    total: int
    state: str
    grams_per_kwh: float | None = Field(
        description="of the job's own zone: as its bill was priced, else its plan, else the "
        "yearly mean"
    )
    intensity_source: str | None = Field(description="the zone, whose figure it is, which mean")
    zone: str
    use: str = Field(description="the predictions that lifetimes count, and who said so")
    tables: JsonObject | None = Field(
        None,
        description="of a job on several tables: each group of features, whether it was kept, what "
        "it gained and took; what is never read; bytes before, after, and read",
    )
