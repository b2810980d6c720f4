"""Run the Dockerfile's own COPY and RUN lines of its first stage in a plain folder.

No Docker is needed: `/src` and `/opt` become folders under a temporary one, and every other line
is left to a real build. What this shows: the lock files install by hash, the wheel builds from
the files that are copied and from no others, and the installed command starts without the
development tools. What it does not show: the base image and the second stage.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """Instructions of the first stage as (word, rest), continued lines joined."""
    text = dockerfile.read_text().replace("\\\n", " ")
    stages = 0
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        stages += word == "FROM"
        if stages == 1 and word in {"COPY", "RUN"}:
            yield word, rest.strip()


def copy(sources: list[str], destination: Path) -> None:
    """COPY as Docker does it: a folder's contents, or files into a folder."""
    destination.mkdir(parents=True, exist_ok=True)
    for source in sources:
        path = ROOT / source
        if path.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, destination, dirs_exist_ok=True, ignore=ignore)
        else:
            shutil.copy(path, destination)


def main() -> int:
    """Exit status 0 when every line worked and `frugal version` answers."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        src, opt = Path(folder, "src"), Path(folder, "opt")
        src.mkdir()
        opt.mkdir()
        for word, rest in instructions(ROOT / "deploy" / "Dockerfile"):
            print(f"{word} {rest}", flush=True)
            if word == "COPY":
                *sources, destination = rest.split()
                copy(sources, src / destination)
                continue
            command = rest.replace("/src", str(src)).replace("/opt", str(opt))
            subprocess.run(["bash", "-c", command], cwd=src, check=True)
        frugal = [opt / "frugal" / "bin" / "frugal", "version"]
        return subprocess.run(frugal, cwd=folder, env={"PATH": "/usr/bin:/bin"}).returncode


if __name__ == "__main__":
    sys.exit(main())
