"""Write the generated parts of README.md: settings, map of the code, output of a real demo run.

`python -m benchmarks.readme_demo` runs `frugal demo` and puts what it printed into the page;
`--without-demo` only renews the settings table, the map, `deploy/env.example` and
docs/reference.md.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil
from pydantic_core import PydanticUndefined

from benchmarks import reference
from scheduler.config import Settings

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "FRUGAL_"
PACKAGES = ("api", "scheduler", "automl")


def shown(value: object) -> str:
    """A default as it would be written in the environment; empty for none."""
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def settings_table() -> str:
    """The settings as a Markdown table: variable, default, meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = shown(field.default)
        cell = f"`{default}`" if default else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {cell} | {field.description} |")
    return "\n".join(lines)


def env_example() -> str:
    """Every setting, commented out, at its default."""
    lines = [
        "# Settings of the service; each line shows the default. Uncomment what you change.",
        "# Made from scheduler/config.py by `make generated`.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        lines += [f"# {field.description}", f"#{PREFIX}{name.upper()}={shown(field.default)}", ""]
    return "\n".join(lines)


def code_map() -> str:
    """Every module of the three packages with the first line of its docstring, by folder."""
    lines = []
    for package in PACKAGES:
        folders = sorted({path.parent for path in (ROOT / package).rglob("*.py")})
        for folder in folders:
            files = [path for path in sorted(folder.glob("*.py")) if path.stat().st_size]
            if not files:
                continue
            lines.append(f"{folder.relative_to(ROOT).as_posix()}/")
            for path in files:
                subject = ast.get_docstring(ast.parse(path.read_text())) or ""
                lines.append(f"    {path.name:<22} {subject.partition(chr(10))[0].rstrip('.')}")
    return "\n".join(["```text", *lines, "```"])


def section(text: str, name: str) -> str:
    """What stands between the two markers of a section, without the line breaks around it."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    return text[text.index(start) + len(start) : text.index(end)].strip("\n")


def with_section(text: str, name: str, content: str) -> str:
    """The text with a section's content replaced.

    Raises
    ------
    ValueError
        The text has no such markers.
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    head, tail = text.index(start) + len(start), text.index(end)
    return f"{text[:head]}\n{content}\n{text[tail:]}"


def machine() -> str:
    """What the figures were measured on, in one line."""
    memory = psutil.virtual_memory().total / 2**30
    system, python = platform.system(), platform.python_version()
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB, {system} {platform.machine()}, Python {python}"
    )


def demo_output() -> str:
    """Run the demo and show what it printed, as a Markdown block.

    Raises
    ------
    subprocess.CalledProcessError
        The demo failed.
    """
    began = time.perf_counter()
    run = subprocess.run(
        [Path(sys.executable).with_name("frugal"), "demo"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    output = "\n".join(line.rstrip() for line in run.stdout.strip("\n").splitlines())
    return f"Measured on {machine()}; {seconds:.0f} s after set-up.\n\n```text\n{output}\n```"


def main() -> int:
    """Rewrite the sections in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-demo", action="store_true", help="leave its output alone")
    arguments = parser.parse_args()
    readme = ROOT / "README.md"
    text = with_section(readme.read_text(), "settings", settings_table())
    (ROOT / "deploy" / "env.example").write_text(env_example())
    text = with_section(text, "map", code_map())
    if not arguments.without_demo:
        text = with_section(text, "demo-output", demo_output())
    readme.write_text(text)
    return reference.main()


if __name__ == "__main__":
    sys.exit(main())
