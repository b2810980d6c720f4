"""Every snippet of the pages on command line and client, run as written on a real service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from api.cli_shared import EXIT_CODES
from api.demo import write_bank
from api.local_service import LocalService
from benchmarks.readme_demo import section

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMMANDS = (DOCS / "command-line.md").read_text()
PYTHON = (DOCS / "python.md").read_text()
BANK_SPEC = """{"tables": {
  "customers": {"role": "entities"},
  "balances": {"role": "series", "key": "customer_id", "to": "customers", "time": "month_end"}},
  "key": "customer_id", "target": "became_fragile", "cut_off": {"column": "cut_off"}}"""


def snippet(text: str, name: str, language: str) -> str:
    return section(text, name).removeprefix(f"```{language}\n").removesuffix("```")


def names(text: str) -> list[str]:
    return re.findall(r"<!-- ([a-z]+):start -->", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages speak of."""
    made = tmp_path_factory.mktemp("documents")
    chance = np.random.default_rng(0)
    n = 2000
    age, balance = chance.integers(18, 90, n), chance.normal(500, 300, n).round(2)
    fragile = (balance < 150) & (chance.random(n) < 0.6)
    rows = zip(age, balance, chance.integers(0, 9, n), fragile.astype(int), strict=True)
    lines = [f"{a},{b},{c},{y}" for a, b, c, y in rows]
    (made / "customers.csv").write_text("\n".join(["age,balance,branch,fragile", *lines, ""]))
    write_bank(made / "bank", n_customers=3000, seed=0)
    (made / "bank" / "spec.json").write_text(BANK_SPEC)
    return made


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """As a newcomer's: `frugal` on the path, nothing configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FRUGAL_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with LocalService(tmp_path_factory.mktemp("service")) as running:
        yield running


def bash(script: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def test_every_snippet_is_one_of_those_that_are_run() -> None:
    assert names(COMMANDS) == ["run", "more", "warm", "spec", "look", "remote"]
    assert COMMANDS.count("```sh\n") == len(names(COMMANDS))
    assert PYTHON.count("```python\n") == len(names(PYTHON))


def test_the_exit_codes_of_the_page_are_those_of_the_help() -> None:
    told = {int(one) for one in re.findall(r"^\| (\d+) \|", COMMANDS, re.MULTILINE)}
    assert told == {int(one) for one in re.findall(r"(?:^|; |: )(\d+) ", EXIT_CODES)}


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(1800)  # each of some twenty commands starts a service of its own
def test_the_commands_work_as_written(folder: Path, environment: dict[str, str]) -> None:
    shown = bash(snippet(COMMANDS, "run", "sh"), folder, environment)
    assert "Leaderboard" in shown
    assert "Receipt" in shown
    scores = (folder / "scores.csv").read_text().splitlines()
    assert scores[0] == '"probability","alert"'
    assert len(scores) == 2001
    for name in ("more", "warm", "spec", "look"):
        shown = bash(snippet(COMMANDS, name, "sh"), folder, environment)
    assert "lightgbm" in shown or "ok    database" in shown
    assert (folder / "card.md").read_text().startswith("# fragile, version 1")
    assert (folder / "fragile.zip").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.server
def test_the_commands_work_with_a_service(
    folder: Path, environment: dict[str, str], service: LocalService
) -> None:
    script = snippet(COMMANDS, "remote", "sh").replace("http://127.0.0.1:8080", service.url)
    script = script.replace("FRUGAL_TOKEN=...", f"FRUGAL_TOKEN={service.token}")
    assert service.url in script
    assert service.token in script
    bash(script, folder, environment)
    assert '"leaderboard": [{' in (folder / "found.json").read_text()


@pytest.mark.slow
@pytest.mark.server
def test_the_client_works_as_written(
    folder: Path, environment: dict[str, str], service: LocalService
) -> None:
    script = "".join(snippet(PYTHON, name, "python") for name in names(PYTHON))
    configured = {"FRUGAL_URL": service.url, "FRUGAL_TOKEN": service.token}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        cwd=folder,
        env=environment | configured,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("DONE ")
    assert "422 target_not_found" in done.stdout
    assert (folder / "front.html").stat().st_size > 1000
