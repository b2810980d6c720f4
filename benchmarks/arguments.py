"""Arguments of the benchmarks' commands: their parser, and lists of names and seeds by commas."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser called as its module is run, with the module's text as it is written."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def names(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads names by commas; another one than those that are known is an error.

    >>> names(("stroke", "hmeq"))("hmeq,stroke")
    ['hmeq', 'stroke']
    """

    def parsed(text: str) -> list[str]:
        found = text.split(",")
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(known)}")
        return found

    return parsed


def seeds(text: str) -> list[int]:
    """Reads whole numbers by commas.

    >>> seeds("100,101")
    [100, 101]
    """
    return [int(one) for one in text.split(",")]
