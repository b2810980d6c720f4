"""What validation found, in words for people: JSON has objects, lists and texts, no instances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# By pydantic's type of error; whatever is not here is said in pydantic's own words.
_WORDS = {
    "model_type": "it must be a JSON object",
    "model_attributes_type": "it must be a JSON object",
    "dict_type": "it must be a JSON object",
    "mapping_type": "it must be a JSON object",
    "list_type": "it must be a list",
    "tuple_type": "it must be a list",
    "string_type": "it must be a text",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a finite number",
    "bool_type": "it must be true or false",
    "none_required": "it must be null",
    "missing": "it is needed",
    "extra_forbidden": "there is no such field",
}
PYDANTIC_MISSING = "Field required"
_MODEL = "small letters, digits, '-', '_' and '.', at most 100, the first a letter or digit"
# Of fields whose pattern is not for people to read.
PATTERNS: Mapping[str | int, str] = {
    "model": f"it must be {_MODEL}",
    "warm_start_from": f"it must be the name of a model ({_MODEL}), or a name/version or an id",
}
ALTERNATIVE = re.compile(
    r"(constrained|function|lax-or-strict|json-or-python)-|(list|dict|literal)\["
)
UNKNOWN_PARAMETER = "there is no such query parameter here"


def said(error: Mapping[str, Any], *, location: str) -> str:
    """The sentence of one of pydantic's errors; it never repeats what was sent.

    >>> said({"type": "model_type", "msg": "valid dictionary or instance of When"}, location="json")
    'it must be a JSON object'
    """
    if error["type"] == "extra_forbidden" and location == "query":
        return UNKNOWN_PARAMETER
    if error["type"] == "missing" and error["msg"] != PYDANTIC_MISSING:
        return str(error["msg"])  # a check of ours that says what else is needed, and what for
    if error["type"] == "string_pattern_mismatch":
        return PATTERNS.get(error["loc"][-1], str(error["msg"]))
    return _WORDS.get(error["type"], str(error["msg"]))


def field_of(place: Sequence[str | int]) -> str:
    """A place as a dotted path, without pydantic's names of the alternatives it tried.

    >>> field_of(("positive", "constrained-str")), field_of(("exclude", 3))
    ('positive', 'exclude.3')
    """
    return ".".join(
        str(part) for part in place if not (isinstance(part, str) and ALTERNATIVE.match(part))
    )
