"""Fields of a form: what a person reads beside them, and what a request gets from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from api.pages.asking import Refused

Kind = Literal["text", "number", "whole", "moment", "yes_no"]
YES_NO = {"true": "yes", "false": "no"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: `name` is the API's own, so that its refusals find the place.

    Attributes
    ----------
    hint : a line under the field
    choices : values and their words; a field without any is typed in
    none_of : words for no choice; without them there is always one
    default : what a new form shows
    listed : id of the list of suggestions, where a page has one
    """

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    choices: Mapping[str, str] | None = None
    none_of: str | None = None
    default: str = ""
    listed: str = ""


def put(found: dict[str, Any], name: str, value: Any) -> None:
    """Set a value of a request by the name of its field, also inside a part of it.

    >>> found = {}
    >>> put(found, "limits.trials", 5); put(found, "seed", 1); found
    {'limits': {'trials': 5}, 'seed': 1}
    """
    head, _, tail = name.partition(".")
    if tail:
        put(found.setdefault(head, {}), tail, value)
    else:
        found[head] = value


def number(text: str, *, whole: bool) -> float | int:
    """A number of a form. Raises ValueError with what to write instead.

    >>> number(" 1 000 ", whole=True), number("0.02", whole=False)
    (1000, 0.02)
    """
    try:
        value = float(text.replace(" ", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (whole and not value.is_integer()):
        raise ValueError(
            "give a whole number" if whole else "give a number, with a point before decimals"
        )
    return int(value) if whole else value


def moment(text: str) -> str:
    """A time of a form as RFC 3339; without an offset it is UTC, as the form says.

    >>> moment("2026-11-30T08:00")
    '2026-11-30T08:00:00+00:00'
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time is written like 2026-11-30T08:00") from None
    return at.replace(tzinfo=at.tzinfo or UTC).isoformat()


def typed(one: Field, text: str) -> Any:
    """The value that a text in a field means. Raises ValueError with what to write instead."""
    if one.kind in ("number", "whole"):
        return number(text, whole=one.kind == "whole")
    if one.kind == "moment":
        return moment(text)
    return text == "true" if one.kind == "yes_no" else text


def read(fields: Iterable[Field], form: MultiDict[str, str]) -> dict[str, Any]:
    """What a form says, as a request has it; fields that are empty are left out.

    Raises
    ------
    Refused
        A field has no number, or no time, where one is needed; `field_errors` names each.
    """
    found: dict[str, Any] = {}
    errors = []
    for one in fields:
        text = form.get(one.name, "").strip()
        if not text:
            continue
        try:
            put(found, one.name, typed(one, text))
        except ValueError as wrong:
            errors.append({"field": one.name, "detail": str(wrong)})
    if errors:
        raise Refused(422, {"detail": "please mend what is marked", "errors": errors})
    return found


def filled(fields: Iterable[Field], form: Mapping[str, str]) -> bool:
    """Whether any field says something else than a new form, so that it is to be seen."""
    return any(form.get(one.name, "").strip() not in ("", one.default) for one in fields)
