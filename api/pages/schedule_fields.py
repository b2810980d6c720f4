"""What the form of a schedule asks for, and the request that comes of it."""

from __future__ import annotations

import json
import zoneinfo
from functools import lru_cache
from typing import Any

from werkzeug.datastructures import MultiDict

from api.pages import fields, job_fields
from api.pages.asking import Refused
from api.pages.fields import Field

EDGES = {"finish_by": "ended by", "start": "begun at"}
POLICIES = {"low_carbon": "in its cleanest hours", "now": "at once"}
PROMOTE = {"manual": "is proposed", "auto": "answers at once"}

WHAT = (
    Field(name="name", label="Name", default="daily", hint="for people"),
    Field(name="model", label="Model", none_of="none yet: by the request of a job, below"),
)
TIMES = (
    Field(name="at.edge", label="The window of each day is", choices=EDGES, default="finish_by"),
    Field(name="at.time", label="Local time", default="07:00", hint="HH:MM"),
    Field(name="at.hours", label="Hours of the window", kind="number", default="8"),
    Field(
        name="time_zone",
        label="Time zone",
        default="Europe/Paris",
        hint="a place of the IANA data base",
        listed="time-zones",
    ),
    Field(
        name="when.policy", label="In the window it runs", choices=POLICIES, default="low_carbon"
    ),
)
WAITING = tuple(
    one
    for one in job_fields.WAITING
    if one.name in ("when.zone", "when.floor", "when.interruptible")
)
FEED = (
    Field(
        name="feed.dataset",
        label="Rows of a data set",
        none_of="of the model's own data set",
        hint="the newest version of its series",
    ),
    Field(
        name="feed.folder",
        label="Or files of a folder",
        hint="absolute path that the operator allows; what is new there is appended first. Of "
        "several tables, a folder with a folder or files for each, called like it",
    ),
)
GATE = (
    Field(
        name="gate.min_new_labels",
        label="New labels, at least",
        kind="whole",
        default="50",
        hint="that the champion did not see",
    ),
    Field(
        name="gate.psi",
        label="Drift of a column",
        kind="number",
        default="0.2",
        hint="population stability index, above chance",
    ),
    Field(
        name="gate.score_psi",
        label="Drift of the scores",
        kind="number",
        default="0.2",
        hint="population stability index, above chance",
    ),
    Field(
        name="gate.max_days",
        label="In any case after days",
        kind="whole",
        default="30",
        hint="if there are labels to judge by; empty: never for that",
    ),
    Field(
        name="gate.min_days",
        label="Never more often than days",
        kind="whole",
        default="0",
        hint="0: every day may have a training",
    ),
)
PROMOTION = (
    Field(
        name="promote",
        label="A challenger that wins",
        hint="on the newest labels, against the champion",
        choices=PROMOTE,
        default="manual",
    ),
)
MORE = (
    Field(
        name="webhook",
        label="Webhook",
        hint="told when a run fails or is skipped; of a host that the operator allows",
    ),
)
READ = (
    *WHAT,
    *(one for one in TIMES if one.name not in ("at.edge", "at.time")),
    *WAITING,
    *FEED,
    *GATE,
    *PROMOTION,
    *MORE,
)
# What the form says in one field and the API in another.
PLACES = {"at": "at.time", "at.finish_by": "at.time", "at.start": "at.time"}


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """Names of places in the IANA data base, to choose from."""
    found = (one for one in zoneinfo.available_timezones() if "/" in one)
    return tuple(sorted(one for one in found if not one.startswith(("Etc/", "SystemV/"))))


def requested(form: MultiDict[str, str]) -> dict[str, Any]:
    """What the form asks for, as POST /v1/schedules takes it; empty fields are left out.

    Raises
    ------
    Refused
        A field has no number, or the request of the job is no JSON; `field_errors` names it.
    """
    errors = []
    found: dict[str, Any] = {"at": {}}
    edge = form.get("at.edge", "finish_by")
    found["at"][edge if edge in EDGES else "finish_by"] = form.get("at.time", "").strip()
    text = form.get("job", "").strip()
    if text:
        try:
            found["job"] = json.loads(text)
        except (ValueError, RecursionError) as wrong:
            told = f"this is no JSON: {wrong}" if isinstance(wrong, ValueError) else "too deep"
            errors.append({"field": "job", "detail": told})
    try:
        for name, value in fields.read(READ, form).items():
            found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    except Refused as refused:
        errors += refused.problem["errors"]
    if errors:
        raise Refused(422, {"detail": "please mend what is marked", "errors": errors})
    if "gate.max_days" in form and not form["gate.max_days"].strip():
        found.setdefault("gate", {})["max_days"] = None
    found.setdefault("time_zone", "")
    return found


def faults_of(refused: Refused) -> dict[str, str]:
    """What is wrong with which field of the form."""
    found: dict[str, str] = {}
    for name, text in refused.field_errors().items():
        place = "job" if name.startswith("job.") else PLACES.get(name, name)
        found.setdefault(place, text if place == name else f"{name}: {text}")
    return found
