"""What validation found, in words for people: JSON has objects, lists and texts, no instances."""

from __future__ import annotations

from collections.abc import Mapping
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
UNKNOWN_PARAMETER = "there is no such query parameter here"


def said(error: Mapping[str, Any], *, location: str) -> str:
    """The sentence of one of pydantic's errors; it never repeats what was sent.

    >>> said({"type": "model_type", "msg": "valid dictionary or instance of When"}, location="json")
    'it must be a JSON object'
    """
    if error["type"] == "extra_forbidden" and location == "query":
        return UNKNOWN_PARAMETER
    return _WORDS.get(error["type"], str(error["msg"]))
