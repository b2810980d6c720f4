"""Names of columns and labels as they stand in a field of a form, and read back from it."""

from __future__ import annotations

import re
from typing import Any

# One item of a list: in quotes, where two stand for one, or anything without a comma.
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,\n]*?))\s*(?:[,\n]|$)')
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def items(text: str) -> list[tuple[str, bool]]:
    """What is listed by commas or lines, and whether each was in quotes.

    >>> items('a, "b, c", , "1"')
    [('a', False), ('b, c', True), ('1', True)]
    """
    found, at = [], 0
    text = text.replace("\r\n", "\n")
    while at < len(text):
        item = _ITEM.match(text, at)
        assert item is not None  # the second form takes anything up to a comma
        at = max(item.end(), at + 1)
        quoted = item[1] is not None
        said = item[1].replace('""', '"') if quoted else item[2]
        if quoted or said:
            found.append((said, quoted))
    return found


def names(text: str) -> list[str]:
    """Names of columns by commas; one with a comma in it stands in quotes.

    >>> names('account_id, "amount, in EUR"')
    ['account_id', 'amount, in EUR']
    """
    return [one for one, _ in items(text) if one]


def quoted(name: str) -> str:
    """A name as `names` reads it: in quotes where it has to be."""
    plain = name == name.strip() and name and not re.search(r'[,\n\r]|^"', name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def listed(found: Any) -> str:
    """Names of columns as one text; of what is no list of names nothing.

    >>> listed(["a", "b, c"]), listed("a"), listed(None)
    ('a, "b, c"', 'a', '')
    """
    if not isinstance(found, (str, list, tuple)):
        return ""
    return ", ".join(map(quoted, [found] if isinstance(found, str) else map(str, found)))


def value(text: str, kind: str | None) -> Any:
    """A label that was typed, as the column's type has it.

    Parameters
    ----------
    kind : type of the column by its profile; None where that is not known: what looks like a
        number is one, as JSON has it

    >>> value("1", "string"), value("1", "integer"), value("1", "boolean"), value("1", None)
    ('1', 1, True, 1)
    >>> value("0.5", "number"), value("B", "integer"), value("true", "string")
    (0.5, 'B', 'true')
    """
    if kind in (None, "integer", "number"):
        if _WHOLE.fullmatch(text) and not (kind is None and re.match(r"[+-]?0[0-9]", text)):
            return int(text)
        if _NUMBER.fullmatch(text) and _is_finite(text):
            return float(text)
    if kind == "boolean":
        return _TRUTHS.get(text.lower(), text)
    if kind is None and text in ("true", "false"):
        return text == "true"
    return text


def _is_finite(text: str) -> bool:
    return abs(float(text)) < float("inf")


def values(text: str, kind: str | None) -> list[Any]:
    """Labels by commas; what stands in quotes is a text whatever the column's type.

    >>> values('1, "1", B', "integer")
    [1, '1', 'B']
    """
    return [one if by_hand else value(one, kind) for one, by_hand in items(text)]


def value_text(found: Any, kind: str | None) -> str:
    """A label as `values` reads it: in quotes where its type is not the column's.

    >>> value_text("1", "integer"), value_text("1", "string"), value_text(1.0, "integer")
    ('"1"', '1', '1.0')
    """
    if isinstance(found, str):
        bare = quoted(found)
        again = value(found, kind)
        same = isinstance(again, str) and again == found
        return bare if same or bare != found else '"' + found + '"'
    return str(found).lower() if isinstance(found, bool) else str(found)


def values_text(found: Any, kind: str | None) -> str:
    """Labels as one text.

    >>> values_text(["B", "D"], "string"), values_text(1, "integer"), values_text(None, None)
    ('B, D', '1', '')
    """
    if found is None:
        return ""
    return ", ".join(
        value_text(one, kind) for one in (found if isinstance(found, list) else [found])
    )
