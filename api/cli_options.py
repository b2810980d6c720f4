"""Options that travel together: one parameter of a command, one option each for its user."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Let each parameter that is a dataclass stand for its fields, as Typer reads a signature.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Place:
    ...     url: str = ""
    >>> def show(name: str, at: Place) -> None:
    ...     print(name, at.url)
    >>> show.__annotations__["at"] = Place  # as where it is not made in an example
    >>> spread(show)(name="a", url="here")
    a here
    """
    hints = get_type_hints(command, include_extras=True)
    shown: list[Parameter] = []
    groups: dict[str, Any] = {}
    for one in signature(command).parameters.values():
        kind = hints[one.name]
        if not is_dataclass(kind):
            shown.append(one.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind))
            continue
        groups[one.name] = kind
        own = get_type_hints(kind, include_extras=True)
        shown += [
            Parameter(
                field.name,
                Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=own[field.name],
            )
            for field in fields(kind)
        ]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    return shaped(called, shown)


def shaped(function: Callable[..., None], parameters: list[Parameter]) -> Callable[..., None]:
    """The function with this signature, as whoever inspects it sees it."""
    function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {one.name: one.annotation for one in parameters}
    return function
