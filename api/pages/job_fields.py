"""What the form of a job asks for, and the request that comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.datastructures import MultiDict

from api.pages import fields
from api.pages.asking import Refused
from api.pages.fields import YES_NO, Field
from api.pages.labels import named
from scheduler.plan import DEFAULT_FLOOR

OBJECTIVES = {
    "average_precision": "average precision",
    "roc_auc": "area under the ROC curve",
    "recall_at_alert_rate": "positives found at the alert rate",
    "precision_at_recall": "precision at the recall asked for",
    "expected_cost": "cost of alerts and misses",
}
MODES = {"balanced": "balanced", "eco": "eco: the least", "best": "best: up to the limits"}
PICKS = {
    "recommended": "the recommended one",
    "most_accurate": "the most accurate one",
    "most_frugal": "the most frugal one",
}

GOAL = (
    Field(
        name="objective.metric",
        label="Models are compared by",
        choices=OBJECTIVES,
        default="average_precision",
    ),
    Field(
        name="objective.alert_rate",
        label="Share of rows to alert",
        kind="number",
        hint="that can be looked at; else 0.01",
    ),
    Field(name="model", label="Name of the model", hint="else from the data and the target"),
    Field(name="mode", label="How much to spend", choices=MODES, default="balanced"),
)
USE = (
    Field(
        name="objective.recall",
        label="Recall to reach",
        kind="number",
        hint="share of the positives to find, for precision at a recall",
    ),
    Field(name="objective.missed_cost", label="Cost of a missed positive", kind="number"),
    Field(
        name="objective.alert_cost",
        label="Cost of a false alert",
        kind="number",
        hint="both costs in one unit, or neither",
    ),
    Field(
        name="objective.pick",
        label="Model that is taken",
        choices=PICKS,
        default="recommended",
        hint="of those that none beats in both accuracy and energy",
    ),
    Field(
        name="objective.predictions_per_day",
        label="Predictions a day, expected",
        kind="number",
        hint="the energy of its use then counts in the choice",
    ),
    Field(
        name="objective.horizon_days",
        label="Used for so many days",
        kind="number",
        hint="a year where nothing is said",
    ),
    Field(
        name="objective.retrains",
        label="Trained again so often",
        hint="in that time",
        kind="number",
    ),
)
ROWS = (
    Field(
        name="time_column",
        label="When a row was known",
        none_of="none",
        hint="models are then judged forward in time",
    ),
    Field(
        name="gap",
        label="Labels are known so much later",
        kind="number",
        hint="in days where the time is a date, else in its units",
    ),
    Field(
        name="group_column",
        label="Entity of a row",
        none_of="none",
        hint="an entity stays on one side of every split",
    ),
    Field(
        name="weight_column",
        label="Weight of a row",
        none_of="none",
        hint="how much a row counts; numbers above 0",
    ),
)
LIMITS = (
    Field(name="limits.gco2e", label="Grams of CO₂e, at most", kind="number"),
    Field(name="limits.joules", label="Joules, at most", kind="number"),
    Field(name="limits.cpu_seconds", label="CPU-seconds, at most", kind="number"),
    Field(name="limits.wall_seconds", label="Seconds, at most", kind="number"),
    Field(name="limits.trials", label="Trials, at most", kind="whole"),
    Field(
        name="limits.least_gain_per_gram",
        label="Least gain per gram, percent",
        kind="number",
        hint="of the score, that a further gram has to bring; 0 never stops for it",
    ),
)
WHEN = (Field(name="when.finish_by", label="Ended by (UTC)", kind="moment"),)
WAITING = (
    Field(
        name="when.zone",
        label="Zone of the grid",
        none_of="the service's own",
        hint="the bill is made with it, too",
    ),
    Field(
        name="when.floor",
        label="Least that a wait must save",
        kind="number",
        hint=f"share of the emissions, {DEFAULT_FLOOR} where nothing is said; 0 waits for any gain",
    ),
    Field(name="when.start_after", label="Not before (UTC)", kind="moment"),
    Field(
        name="when.latest_start",
        label="Started by (UTC)",
        kind="moment",
        hint="then it starts whatever the forecast says",
    ),
    Field(
        name="when.interruptible",
        label="May pause",
        hint="between clean hours, at the end of a trial",
        kind="yes_no",
        choices=YES_NO,
        none_of="if it takes more than 8 hours",
    ),
)
MORE = (
    Field(
        name="warm_start_from",
        label="Start from a model",
        none_of="none",
        hint="its configurations come first, of several tables its features too; nothing else is "
        "tried where it still holds",
    ),
    Field(
        name="webhook",
        label="Webhook",
        hint="an address that is told of a failure, of a host that the operator allows",
    ),
    Field(name="seed", label="Seed", kind="whole", default="0"),
)
SEARCHED = (*GOAL, *USE, *ROWS, *LIMITS, *WHEN, *WAITING, *MORE)
# What says nothing about labels or a search: all that a ranking without a target takes.
UNLABELLED = tuple(
    one
    for one in SEARCHED
    if one.name in ("objective.alert_rate", "model", "webhook", "seed")
    or one.name.startswith(("limits.", "when."))
)
LISTS = ("exclude", "subgroups", "accept_leakage")
DIRECTIONS = {"increasing": "only raises it", "decreasing": "only lowers it"}
# Refusals that name no field, by the field that they are about.
FIELD_OF_CODE = {
    "target_not_found": "target",
    "constant_target": "target",
    "not_binary": "target",
    "positive_label_required": "positive",
    "no_positives": "positive",
    "time_is_text": "time_column",
    "gap_without_unit": "gap",
    "gap_too_long": "gap",
    "bad_weight": "weight_column",
    "no_usable_features": "exclude",
}


def faults_of(refused: Refused) -> dict[str, str]:
    """What is wrong with which field, also where the refusal names a column only."""
    found = refused.field_errors()
    field = FIELD_OF_CODE.get(str(refused.problem.get("code")))
    return found or ({field: str(refused)} if field else {})


def names(form: MultiDict[str, str], field: str) -> list[str]:
    """Columns of a list: those ticked, and those written one to a line where they are many.

    >>> names(MultiDict([("exclude", "a"), ("exclude.lines", "b\\r\\n\\r\\nc")]), "exclude")
    ['a', 'b', 'c']
    """
    written = form.get(f"{field}.lines", "").splitlines()
    return list(dict.fromkeys([*form.getlist(field), *filter(None, map(str.strip, written))]))


def monotone(form: MultiDict[str, str]) -> dict[str, str]:
    """The direction of each column that has one.

    >>> monotone(MultiDict({"monotone:age": "increasing", "monotone:debt": ""}))
    {'age': 'increasing'}
    """
    found = {name: way for way in DIRECTIONS for name in names(form, f"monotone.{way}")}
    chosen = {
        key.removeprefix("monotone:"): way
        for key, way in form.items()
        if key.startswith("monotone:") and way
    }
    return {**found, **chosen}


def requested(form: MultiDict[str, str], columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the form asks for, as POST /v1/jobs takes it; fields that are empty are left out.

    Raises
    ------
    Refused
        A field has no number, or no time, where one is needed; `field_errors` names it.
    """
    found: dict[str, Any] = {"dataset": form.get("dataset", "")}
    found["exclude"] = names(form, "exclude")
    if form.get("when.policy"):
        fields.put(found, "when.policy", form["when.policy"])
    if form.get("no_target"):
        return _joined({**found, "target": None}, fields.read(UNLABELLED, form))
    if form.get("target"):
        found["target"] = form["target"]
    target = next((one for one in columns if one["name"] == form.get("target")), None)
    positive = [text for text in form.getlist("positive") if text.strip()]
    if positive:
        values = named(target or {"type": "string"}, positive)
        found["positive"] = values[0] if len(values) == 1 else values
    for name in ("subgroups", "accept_leakage"):
        found[name] = names(form, name)
    found["monotone"] = monotone(form)
    found["accept_missing_target"] = bool(form.get("accept_missing_target"))
    return _joined(found, fields.read(SEARCHED, form))


def _joined(found: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in more.items():
        if isinstance(value, dict):
            found[name] = {**found.get(name, {}), **value}
        else:
            found[name] = value
    return {
        name: value for name, value in found.items() if value is not False and value not in ([], {})
    }
