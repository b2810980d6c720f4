"""A page as a browser sees it: its elements, what a form sends, what is told of a field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as made_by
from html.parser import HTMLParser

VOID = {"input", "link", "meta", "br", "hr", "img", "rect"}


@dataclass
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str]
    content: list[Element | str] = made_by(default_factory=list)

    @property
    def parts(self) -> list[Element]:
        return [one for one in self.content if isinstance(one, Element)]

    def get(self, name: str) -> str | None:
        return self.attributes.get(name)

    def all(self) -> Iterator[Element]:
        """It and all that is in it, in the order of the page."""
        yield self
        for part in self.parts:
            yield from part.all()

    @property
    def text(self) -> str:
        said = (one.text if isinstance(one, Element) else one for one in self.content)
        return " ".join(" ".join(said).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].content.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open[-1].tag == tag, f"</{tag}> ends <{self.open[-1].tag}>"
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def page_of(text: str) -> Element:
    """The page; fails where an element is not ended or ended twice."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is not ended"
    return reader.open[0]


def field(text: str, name: str) -> Element:
    """The one element of that id."""
    found = [one for one in page_of(text).all() if one.get("id") == name]
    assert len(found) == 1, f"{len(found)} elements are called {name}"
    return found[0]


def told_beside(text: str, name: str) -> str:
    """What a screen reader says of a field."""
    return " ".join(
        field(text, one).text for one in (field(text, name).get("aria-describedby") or "").split()
    )


def form_of(text: str, name: str = "spec") -> dict[str, str]:
    """What a browser would send of a form, but for its buttons."""
    found = {}
    for one in field(text, name).all():
        called = one.get("name")
        if called is None or one.tag == "button":
            continue
        if one.tag == "select":
            chosen = [o for o in one.all() if o.tag == "option" and "selected" in o.attributes]
            options = chosen or [o for o in one.all() if o.tag == "option"]
            found[called] = (options[-1] if chosen else options[0]).get("value") or ""
        elif one.tag == "textarea":
            found[called] = "".join(map(str, one.content))
        elif one.get("type") not in ("radio", "checkbox") or "checked" in one.attributes:
            found[called] = one.get("value") or ""
    return found
