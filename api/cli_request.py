"""What a job is asked for on the command line: the options of `frugal run` and `frugal plan`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from api.cli_files import Option
from api.cli_shared import read_object, read_text

SPAN = re.compile(r"\+?([0-9]+(?:\.[0-9]+)?)(min|h|d)")
SECONDS = {"min": 60.0, "h": 3600.0, "d": 86400.0}


class Mode(StrEnum):
    """How much to spend where no limit says so."""

    eco = "eco"
    balanced = "balanced"
    best = "best"


class Metric(StrEnum):
    """What models are compared by, as `api.schemas_jobs.MetricName` has them."""

    average_precision = "average_precision"
    roc_auc = "roc_auc"
    recall_at_alert_rate = "recall_at_alert_rate"
    precision_at_recall = "precision_at_recall"
    expected_cost = "expected_cost"


def _panel(name: str, **more: Any) -> dict[str, Any]:
    return {"rich_help_panel": name, "show_default": False, **more}


DATA, GOAL, LIMITS, TIME = "The data", "What a good model is", "Where it stops", "When it runs"
Target = Annotated[
    str | None,
    typer.Option(help="Column that says whether the event happened.", **_panel(DATA)),
]
NoTarget = Annotated[
    bool,
    typer.Option(
        "--no-target",
        help="There are no labels: rank the rows by how odd they are, instead of --target.",
        **_panel(DATA),
    ),
]
Spec = Annotated[
    typer.FileText | None,
    typer.Option(help="JSON that says what several tables are to each other.", **_panel(DATA)),
]
Name = Annotated[str | None, typer.Option(help="Name of the data set.", **_panel(DATA))]
Positive = Annotated[
    list[str] | None,
    typer.Option(
        help="Value of the target that is the rare event; needed unless it has 0 and 1 "
        "(again for another).",
        **_panel(DATA),
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        help="Column not to learn from, e.g. one that is known only afterwards (again for "
        "another).",
        **_panel(DATA),
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(help="When a row was known: judge forward in time.", **_panel(DATA)),
]
Gap = Annotated[
    float | None,
    typer.Option(help="How long after its time a label is known, e.g. days.", **_panel(DATA)),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(help="Entity that stays on one side of each split.", **_panel(DATA)),
]
Goal = Annotated[
    Metric | None, typer.Option("--metric", help="What models are compared by.", **_panel(GOAL))
]
AlertRate = Annotated[
    float | None,
    typer.Option(help="Share of rows that can be looked at (default 0.01).", **_panel(GOAL)),
]
Recall = Annotated[
    float | None, typer.Option(help="Share of the positives to be found.", **_panel(GOAL))
]
MissedCost = Annotated[
    float | None, typer.Option(help="Cost of a positive that is missed.", **_panel(GOAL))
]
AlertCost = Annotated[
    float | None, typer.Option(help="Cost of alerting a negative.", **_panel(GOAL))
]
PerDay = Annotated[
    float | None,
    typer.Option("--predictions-per-day", help="Count the energy of so much use.", **_panel(GOAL)),
]
WarmStart = Annotated[
    str | None,
    typer.Option(
        "--warm-start-from",
        metavar="MODEL",
        help="Start from what a model has found: its name, name/version or id.",
        **_panel(LIMITS),
    ),
]
LimitGrams = Annotated[
    float | None, typer.Option("--limit-gco2e", help="Grams of CO2e.", **_panel(LIMITS))
]
LimitJoules = Annotated[float | None, typer.Option("--limit-joules", **_panel(LIMITS))]
LimitCpu = Annotated[
    float | None, typer.Option("--limit-cpu-seconds", help="Of the processor.", **_panel(LIMITS))
]
LimitSeconds = Annotated[
    float | None, typer.Option("--limit-seconds", help="Of the clock.", **_panel(LIMITS))
]
LimitTrials = Annotated[
    int | None, typer.Option("--limit-trials", help="Models tried.", **_panel(LIMITS))
]
HowMuch = Annotated[
    Mode | None,
    typer.Option("--mode", help="How much to spend without a limit.", **_panel(LIMITS)),
]
LowCarbon = Annotated[
    bool,
    typer.Option("--low-carbon", help="Wait for the cleanest hours within a day.", **_panel(TIME)),
]
Deadline = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="Wait for the cleanest hours that end before: 8h, 2d, 08:00, or a date and time; "
        "without an offset it is this machine's.",
        **_panel(TIME),
    ),
]
Zone = Annotated[
    str | None, typer.Option(help="Zone of the grid: `frugal carbon zones`.", **_panel(TIME))
]
Seed = Annotated[
    int | None, typer.Option(help="The same seed gives the same model.", show_default=False)
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", help="Name of the model (default: of data and target).", show_default=False
    ),
]
More = Annotated[
    typer.FileText | None,
    typer.Option(
        "--request",
        help="JSON of further fields as POST /v1/jobs takes them; - for stdin.",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search is asked for; its order is that of the help."""

    target: Target = None
    no_target: NoTarget = False
    positive: Positive = None
    exclude: Exclude = None
    spec: Spec = None
    name: Name = None
    option: Option = None
    time_column: TimeColumn = None
    gap: Gap = None
    group_column: GroupColumn = None
    metric: Goal = None
    alert_rate: AlertRate = None
    recall: Recall = None
    missed_cost: MissedCost = None
    alert_cost: AlertCost = None
    predictions_per_day: PerDay = None
    limit_gco2e: LimitGrams = None
    limit_joules: LimitJoules = None
    limit_cpu_seconds: LimitCpu = None
    limit_seconds: LimitSeconds = None
    limit_trials: LimitTrials = None
    mode: HowMuch = None
    warm_start_from: WarmStart = None
    low_carbon: LowCarbon = False
    deadline: Deadline = None
    zone: Zone = None
    seed: Seed = None
    model: ModelName = None
    request: More = None

    def body(self, *, now: datetime) -> dict[str, Any]:
        """The request as the API has it, without data set and positive value.

        Raises BadParameter, and DataError ``malformed_json``.

        >>> Asked(target="y", limit_trials=3).body(now=datetime(2026, 11, 23, tzinfo=UTC))
        {'limits': {'trials': 3}, 'target': 'y'}
        """
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                option = f"--{name.replace('_', '-')}"
                raise typer.BadParameter("it has to be a number", param_hint=option)
        if self.no_target and (self.target is not None or self.positive):
            other = "--target" if self.target is not None else "--positive"
            raise typer.BadParameter(f"it goes without {other}", param_hint="--no-target")
        objective = said(
            metric=self.metric and self.metric.value,
            alert_rate=self.alert_rate,
            recall=self.recall,
            missed_cost=self.missed_cost,
            alert_cost=self.alert_cost,
            predictions_per_day=self.predictions_per_day,
        )
        limits = said(
            gco2e=self.limit_gco2e,
            joules=self.limit_joules,
            cpu_seconds=self.limit_cpu_seconds,
            wall_seconds=self.limit_seconds,
            trials=self.limit_trials,
        )
        when = when_of(low_carbon=self.low_carbon, deadline=self.deadline, zone=self.zone, now=now)
        own = said(
            time_column=self.time_column,
            gap=self.gap,
            group_column=self.group_column,
            objective=objective,
            limits=limits,
            when=when,
            mode=self.mode and self.mode.value,
            seed=self.seed,
            model=self.model,
            exclude=self.exclude or None,
            target=self.target,
            warm_start_from=self.warm_start_from,
        )
        unlabelled = {"target": None} if self.no_target else {}
        return {**(own or {}), **unlabelled, **further(self.request)}


def moment_of(text: str, *, now: datetime) -> datetime:
    """A time, or a span from now, in UTC; a time without an offset is this machine's.

    Raises BadParameter.

    >>> moment_of("8h", now=datetime(2026, 11, 23, 12, tzinfo=UTC)).isoformat()
    '2026-11-23T20:00:00+00:00'
    >>> moment_of("2026-11-24T08:00:00+01:00", now=datetime(2026, 11, 23, tzinfo=UTC)).isoformat()
    '2026-11-24T07:00:00+00:00'
    """
    span = SPAN.fullmatch(text)
    if span:
        return now + timedelta(seconds=float(span[1]) * SECONDS[span[2]])
    try:
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text):
            hour, minute = map(int, text.split(":"))
            here = now.astimezone()
            at = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (at if at > here else at + timedelta(days=1)).astimezone(UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 8h, 2d, 08:00 or 2026-11-24T08:00+01:00",
            param_hint="--deadline",
        ) from None


def when_of(
    *, low_carbon: bool, deadline: str | None, zone: str | None, now: datetime
) -> dict[str, Any] | None:
    """The `when` of a request; None where nothing was said."""
    found: dict[str, Any] = {}
    if low_carbon or deadline is not None:
        found["policy"] = "low_carbon"
    if deadline is not None:
        found["finish_by"] = moment_of(deadline, now=now).isoformat()
    if zone is not None:
        found["zone"] = zone
    return found or None


def typed(values: Sequence[str] | None, columns: Sequence[Mapping[str, Any]], target: str) -> Any:
    """Values of a target as its column has them: numbers are no texts.

    >>> typed(["1"], [{"name": "y", "type": "integer"}], "y"), typed(["yes"], [], "y")
    (1, 'yes')
    """
    if not values:
        return None
    kind = next((one["type"] for one in columns if one["name"] == target), "string")
    found = [_value(one, kind) for one in values]
    return found[0] if len(found) == 1 else found


def _value(text: str, kind: str) -> Any:
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("integer", "number"):
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text


def further(request: typer.FileText | None) -> dict[str, Any]:
    """The fields of a file. Raises DataError ``malformed_json``."""
    if request is None:
        return {}
    return read_object(read_text(request, what="--request"), what="--request")


def said(**values: Any) -> dict[str, Any] | None:
    """What was given, or None where nothing was.

    >>> said(trials=3, joules=None), said(trials=None)
    ({'trials': 3}, None)
    """
    found = {name: value for name, value in values.items() if value is not None}
    return found or None
