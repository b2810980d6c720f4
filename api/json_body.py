"""JSON request bodies, read strictly: what two parsers could read differently is refused."""

from __future__ import annotations

import json
from typing import Any

from flask import Request

from api.errors import BadRequest, UnsupportedMediaType
from automl.errors import DataError

# A job request may name 5,000 columns of 256 characters, thrice.
MAX_JSON_BYTES = 4 * 2**20
MAX_DEPTH = 32
INT64 = range(-(2**63), 2**63)


class StrictRequest(Request):
    """A request whose JSON body is UTF-8, finite, shallow and without duplicate keys."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The parsed body.

        Raises
        ------
        UnsupportedMediaType
            The content type is not JSON; `force` does not change that.
        BadRequest
            No JSON, duplicate keys, or nested too deeply.
        DataError
            Numbers or text that JSON allows and no database column holds.
        """
        if self.mimetype != "application/json":
            raise UnsupportedMediaType("the body must be sent as Content-Type: application/json")
        self.max_content_length = MAX_JSON_BYTES
        return strict_json(self.get_data(cache=cache))


def strict_json(body: bytes | str) -> Any:
    """Parse JSON; see StrictRequest.get_json for what is refused.

    >>> strict_json('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    try:
        text = body.decode() if isinstance(body, bytes) else body
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_int64,
        )
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8", code="malformed_json") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply", code="too_deep") from None
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"the body is not JSON: line {error.lineno}, column {error.colno}",
            code="malformed_json",
        ) from None
    _check(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadRequest("an object of the body has the same key twice", code="duplicate_key")
    return value


def _no_constant(name: str) -> float:
    raise DataError(f"{name} is not a JSON number", code="non_finite")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise DataError("a number of the body is too large", code="non_finite")
    return value


def _int64(text: str) -> int:
    # int() of thousands of digits is slow, and refused by Python beyond 4,300 of them.
    if len(text) > 20 or int(text) not in INT64:
        raise DataError("an integer of the body needs more than 64 bits", code="integer_range")
    return int(text)


def _check(root: Any) -> None:
    """Depth and text, without recursion."""
    level = [root]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, list):
                below += value
            elif isinstance(value, dict):
                below += value.values()
                for key in value:
                    _check_text(key)
        if not below:
            return
        level = below
    raise BadRequest(f"the body is nested more than {MAX_DEPTH} deep", code="too_deep")


def _check_text(text: str) -> None:
    # PostgreSQL stores neither; a lone surrogate cannot even be encoded.
    if "\0" in text:
        raise DataError("a text of the body contains a NUL character", code="nul_byte")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("a text of the body is not valid Unicode", code="encoding") from None
