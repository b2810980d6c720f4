"""JSON request bodies, read strictly: what two parsers could read differently is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn

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


@dataclass(frozen=True, kw_only=True)
class _Refused:
    """Stands where a value may not be, until it is known which field that is."""

    code: str
    detail: str
    key: str | None = None


def _unique(pairs: list[tuple[str, Any]]) -> Any:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        return _Refused(
            code="duplicate_key", detail="an object of the body has the same key twice", key=twice
        )
    return value


def _no_constant(name: str) -> Any:
    return _Refused(code="non_finite", detail=f"{name} is not a JSON number")


def _finite(text: str) -> Any:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return _Refused(code="non_finite", detail="a number of the body is too large")
    return value


def _int64(text: str) -> Any:
    # int() of thousands of digits is slow, and refused by Python beyond 4,300 of them.
    if len(text) > 20 or int(text) not in INT64:
        return _Refused(
            code="integer_range", detail="an integer of the body needs more than 64 bits"
        )
    return int(text)


# Where a value is: the place around it, and its key or position there.
Place = tuple[Any, str | int] | None


def _check(root: Any) -> None:
    """Depth, text and what the parser marked, without recursion."""
    level: list[tuple[Place, Any]] = [(None, root)]
    for _ in range(MAX_DEPTH):
        below: list[tuple[Place, Any]] = []
        for place, value in level:
            if isinstance(value, str):
                _check_text(value, place)
            elif isinstance(value, list):
                below += [((place, i), one) for i, one in enumerate(value)]
            elif isinstance(value, dict):
                for key, one in value.items():
                    _check_text(key, place)
                    below.append(((place, key), one))
            elif isinstance(value, _Refused):
                _refuse(value, place)
        if not below:
            return
        level = below
    raise BadRequest(f"the body is nested more than {MAX_DEPTH} deep", code="too_deep")


def _check_text(text: str, place: Place) -> None:
    # PostgreSQL stores neither; a lone surrogate cannot even be encoded.
    if "\0" in text:
        _refuse(
            _Refused(code="nul_byte", detail="a text of the body contains a NUL character"), place
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse(_Refused(code="encoding", detail="a text of the body is not valid Unicode"), place)


def _refuse(found: _Refused, place: Place) -> NoReturn:
    field = _field(place if found.key is None else (place, found.key))
    if found.code == "duplicate_key":
        raise BadRequest(found.detail, code=found.code, field=field)
    raise DataError(found.detail, code=found.code, details={"field": field} if field else None)


def _field(place: Place) -> str | None:
    """The dotted path of a place, as validation writes it; None for the body itself.

    >>> _field(((None, "exclude"), 3))
    'exclude.3'
    """
    parts: list[str] = []
    while place is not None:
        place, part = place
        parts.append(str(part))
    text = ".".join(reversed(parts))
    # It is sent back: what is no text that could be stored is no text to answer with either.
    return text.encode(errors="replace").decode().replace("\0", "?")[:200] or None
