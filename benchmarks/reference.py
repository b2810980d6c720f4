"""Write docs/reference.md from the code: routes, commands, the client's methods, error statuses.

`python -m benchmarks.reference`, or `make generated`, which renews what README.md has of it, too.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import typer.main

from api import create_app
from api.client import FrugalClient
from api.errors import STATUS_OF_CLASS, STATUS_OF_CODE
from api.roles import role_needed
from scheduler.config import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
METHODS = ("get", "post", "put", "patch", "delete")


def first_line(text: str | None) -> str:
    """The first sentence of a docstring, on one line and safe in a Markdown table."""
    head = inspect.cleandoc(text or "").partition("\n\n")[0]
    return " ".join(head.split()).replace("|", "\\|")


def make_app() -> Any:
    """The application without any of its parts: enough to describe it."""
    nothing = cast(Any, None)
    return create_app(
        store=nothing,
        artifacts=nothing,
        ingestor=nothing,
        service=nothing,
        predictor=nothing,
        settings=Settings(),
    )


def routes() -> Iterator[str]:
    """Every route: method, path, the least role that may use it, what it does."""
    app = make_app()
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    roles = {
        (method.lower(), rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")): (
            role_needed(rule.endpoint)
        )
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    yield "| route | role | what it does |"
    yield "|---|---|---|"
    for path in sorted(paths):
        for method in METHODS:
            operation = paths[path].get(method)
            if operation is None:
                continue
            public = operation.get("security") == []
            role = "public" if public else roles.get((method, path), "")
            yield f"| `{method.upper()} {path}` | {role} | {first_line(operation.get('summary'))} |"


def commands() -> Iterator[str]:
    """Every command with its options, as `--help` says them."""
    from api.cli import app

    def walk(command: Any, name: str) -> Iterator[str]:
        for part in sorted(
            getattr(command, "commands", {}).values(), key=lambda one: str(one.name)
        ):
            if not part.hidden:
                yield from walk(part, f"{name} {part.name}")
        if not hasattr(command, "commands"):
            yield f"| `{name}` | {first_line(command.help)} | {_options(command)} |"

    yield "| command | what it does | arguments and options |"
    yield "|---|---|---|"
    yield from walk(typer.main.get_command(app), "frugal")


def _options(command: Any) -> str:
    names = [
        str(parameter.metavar or parameter.name).upper()
        if parameter.param_type_name == "argument"
        else max(parameter.opts, key=len)
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and parameter.name != "help"
    ]
    return ", ".join(f"`{name}`" for name in names)


def methods() -> Iterator[str]:
    """The public methods of the client: how they are called, what they do."""
    yield "| method | what it does |"
    yield "|---|---|"
    for name, value in inspect.getmembers(FrugalClient, inspect.isfunction):
        if not name.startswith("_"):
            given = list(inspect.signature(value).parameters.values())[1:]
            call = f"{name}({', '.join(_parameter(one) for one in given)})"
            yield f"| `{call}` | {first_line(value.__doc__)} |"


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    return parameter.name if parameter.default is inspect.Parameter.empty else f"{parameter.name}="


def statuses() -> Iterator[str]:
    """What each status means, by the errors that lead to it."""
    meanings: dict[int, list[str]] = {}
    for kind, status in STATUS_OF_CLASS.items():
        meanings.setdefault(status, []).append(f"`{getattr(kind, 'code', kind.__name__)}`")
    for code, status in STATUS_OF_CODE.items():
        meanings.setdefault(status, []).append(f"`{code}`")
    yield "| status | codes, among others |"
    yield "|---|---|"
    for status, codes in sorted(meanings.items()):
        yield f"| {status} | {', '.join(dict.fromkeys(codes))} |"


def reference() -> str:
    """The whole page."""
    parts = [
        "# Reference",
        "Made from the code by `make generated`. The fields of requests and answers are in the"
        " service's own `/docs` and `/openapi.json`; settings and the map of the code are in"
        " [README.md](../README.md).",
        "## Routes",
        "A role may do what those before it may: viewer, analyst, approver, admin. Public routes"
        " need no token.",
        "\n".join(routes()),
        "## Commands",
        "\n".join(commands()),
        "## Client",
        "`from api.client import FrugalClient`; `FrugalClient(url, token)`. An argument that ends"
        " with `=` may be left out.",
        "\n".join(methods()),
        "## Statuses",
        "Errors are `application/problem+json` (RFC 9457) with a stable `code`.",
        "\n".join(statuses()),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(reference())
    return 0


if __name__ == "__main__":
    sys.exit(main())
