"""How far the rows have moved from those of a model's training, as it is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from api.schemas_answers import Answer


class ShiftAnswer(Answer):
    """The cells that moved most: a range of numbers, a frequent level, the other ones, or none."""

    above: float | None = Field(description="lower end of the range; null: no lower end, no range")
    up_to: float | None = Field(description="upper end of the range; null: no upper end, no range")
    level: str | None = Field(description="a frequent level; null: no such one")
    others: bool = Field(description="levels that were rare or absent, taken together")
    missing: bool = Field(description="missing cells")
    before: float = Field(description="their share of the rows then")
    now: float = Field(description="their share of the new rows")


class DriftColumn(Answer):
    """How far a column, or the scores, have moved."""

    column: str
    psi: float = Field(
        description="population stability index: 0 is no change, below 0.1 is usually called "
        "none, above 0.2 much"
    )
    chance: float | None = Field(
        description="what chance alone reaches in one of all columns once in a hundred times; null "
        "where nothing can be told"
    )
    moved: bool = Field(description="more than 0.1, and more than chance reaches")
    since: str | None = Field(
        description="the first of the days in a row on which it was found moved; null: it is not"
    )
    shift: ShiftAnswer | None


class DriftDay(Answer):
    """What was found on a day."""

    day: str
    n_rows: int = Field(description="new rows that were looked at")
    n_moved: int = Field(description="columns that had moved")
    score_psi: float | None


class DriftAnswer(Answer):
    """Drift of a version, as schedules found it: none is known before one has looked."""

    model: str
    version: int
    day: str | None = Field(description="UTC day of the newest look; null: nothing was looked at")
    n_rows: int | None = Field(description="new rows on that day")
    against: str | None = Field(
        description="training: the rows it was trained on; judged: all rows until its last "
        "challenger"
    )
    trained_at: datetime
    columns: list[DriftColumn] = Field(description="the most moved first")
    scores: DriftColumn | None = Field(description="its log-odds")
    days: list[DriftDay] = Field(description="at most 31, newest first")
