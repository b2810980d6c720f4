"""XML from strangers: no document type, so no entities; names without their namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from scheduler.carbon.readings import bad_answer

_DEEPEST = 32


def parsed(body: bytes) -> Element:
    """The root of a document; ForecastUnavailable `bad_answer` where it is not one.

    A document type is refused, because entities live there: those that grow a thousandfold when
    read, and those that name files.

    >>> parsed(b'<a xmlns="urn:x"><b>1</b></a>')[0].tag
    'b'
    """
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise bad_answer("its elements are nested too deep")
        builder.start(tag.rpartition("}")[2], attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag.rpartition("}")[2])

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise bad_answer("it is not XML") from None
    return builder.close()


def _refuse(*_: object) -> NoReturn:
    raise bad_answer("it declares a document type")


def children(element: Element, tag: str) -> Iterator[Element]:
    """The direct children with that tag."""
    return (one for one in element if one.tag == tag)


def child_text(element: Element, tag: str) -> str | None:
    """The text of the first direct child with that tag, without spaces around; None if none."""
    found = next(children(element, tag), None)
    return None if found is None else (found.text or "").strip()
