"""A model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scheduler.records import Model

MAX_ITEMS = 200


def markdown(model: Model) -> str:
    """The card of a model for people; every text of the data is shown as text, never as markup."""
    lines = [
        f"# {escaped(model.name)}, version {model.version}",
        "",
        f"- Trained by job `{model.job_id}` on data set `{model.dataset_id}`",
        f"- Registered {model.created_at.isoformat(timespec='seconds')}",
        f"- SHA-256 of its manifest `{model.sha256}`",
    ]
    for name, value in model.card.items():
        lines += ["", f"## {_title(name)}", "", *_body(value, depth=0)]
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    return escaped(name.replace("_", " ").capitalize())


def _body(value: Any, *, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Mapping):
        for name, below in list(value.items())[:MAX_ITEMS]:
            if isinstance(below, Mapping | list) and below:
                yield f"{indent}- {escaped(str(name))}:"
                yield from _body(below, depth=depth + 1)
            else:
                yield f"{indent}- {escaped(str(name))}: {_scalar(below)}"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value[:MAX_ITEMS]:
            if isinstance(item, Mapping):
                pairs = (f"{escaped(str(k))} {_scalar(v)}" for k, v in item.items())
                yield f"{indent}- {', '.join(pairs)}"
            else:
                yield f"{indent}- {_scalar(item)}"
        if len(value) > MAX_ITEMS:
            yield f"{indent}- and {len(value) - MAX_ITEMS:,} more"
    else:
        yield f"{indent}{_scalar(value)}"


def _scalar(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | Mapping):
        return ", ".join(_scalar(item) for item in value) or "none"
    return escaped(str(value))


def escaped(text: str) -> str:
    """Text that Markdown and HTML show as it is.

    >>> escaped("<script> *x*")
    '&lt;script&gt; \\\\*x\\\\*'
    """
    text = " ".join(text.split())
    for mark in "\\`*_[]#|~":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
