"""What the README says is so: commands, routes, map, links, and the main job word by word."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks import reference
from benchmarks.readme_demo import PACKAGES, code_map, section, with_section

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MAIN_JOB = section(README, "main-job").removeprefix("```sh\n").removesuffix("```")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_two_commands_are_named_and_ci_runs_the_second() -> None:
    assert blocks(README, "sh")[0].split("#")[0].strip() == "make demo"
    assert "\nmake test " in blocks(README, "sh")[0]
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= make_targets()


def test_make_help_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not on this machine")
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"make ([a-z-]+)", shown.stdout)) == make_targets()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_blocks_are_shell(page: Path) -> None:
    for block in blocks(page.read_text(), "sh"):
        check = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_names_imported_in_examples_exist() -> None:
    for block in blocks(README, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_map_is_the_tree() -> None:
    shown = section(README, "map")
    assert shown == code_map(), "make generated"
    folder, named = Path(), set()
    for line in shown.splitlines()[1:-1]:
        if not line.startswith(" "):
            folder = ROOT / line.rstrip("/")
            continue
        name, subject = line.split(maxsplit=1)
        assert (folder / name).is_file()
        assert subject.strip(), f"{folder / name} has no docstring"
        named.add(folder / name)
    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert named == {path for path in files if path.stat().st_size}


def test_the_reference_is_the_code() -> None:
    assert reference.PAGE.read_text() == reference.reference(), "make generated"


def test_a_section_is_replaced_and_nothing_else() -> None:
    text = "before\n<!-- x:start -->\nold\n<!-- x:end -->\nafter\n"
    assert with_section(text, "x", "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="not found"):
        with_section(text, "y", "new")


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    """Paths of the OpenAPI description; no part of the service is needed to make it."""
    from api import create_app
    from scheduler.config import Settings

    nothing = cast(Any, None)
    app = create_app(
        store=nothing,
        artifacts=nothing,
        ingestor=nothing,
        service=nothing,
        predictor=nothing,
        settings=Settings(),
    )
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    return cast(dict[str, Any], answer.get_json()["paths"])


def exists(paths: dict[str, Any], method: str, path: str) -> bool:
    """Whether a path of an example, with variables or values in it, is one of the description."""
    given = path.split("/")
    for pattern, operations in paths.items():
        parts = pattern.split("/")
        if len(parts) == len(given) and method.lower() in operations:
            pairs = zip(parts, given, strict=True)
            if all(part == value or part.startswith("{") for part, value in pairs):
                return True
    return False


def test_the_routes_of_the_main_job_exist(paths: dict[str, Any]) -> None:
    calls = re.findall(r'\bapi (?:--no-buffer )?(?:-X (\w+) )?"\$URL(/[^"?]*)', MAIN_JOB)
    assert len(calls) == len(re.findall(r'"\$URL/', MAIN_JOB)) >= 8
    for method, path in calls:
        assert exists(paths, method or "GET", path), f"{method or 'GET'} {path}"


def test_the_routes_in_the_text_exist(paths: dict[str, Any]) -> None:
    for method, path in re.findall(r"`(GET|POST|DELETE|PUT) (/[^` ]*)`", README):
        assert exists(paths, method, path), f"{method} {path}"
    for path in re.findall(r"`(/(?:v1/)?[a-z.]+)`", README):
        assert exists(paths, "GET", path), path


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.data
def test_the_main_job_works_as_written(shared_data: Path, tmp_path: Path) -> None:
    """The README's own lines, run by bash against a real service with the real file."""
    from api.local_service import LocalService

    packed = shared_data / "bank_marketing" / "bank-additional-full.csv.gz"
    (tmp_path / "bank-additional-full.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    with LocalService(tmp_path / "data") as service:
        script = MAIN_JOB.replace("http://127.0.0.1:8080", service.url)
        script = script.replace("TOKEN=...", f"TOKEN={service.token}")
        assert service.url in script
        assert service.token in script
        run = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=script,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=800,
        )
    assert run.returncode == 0, run.stderr[-2000:] + run.stdout[-2000:]
    assert "event: " in run.stdout
    assert "average_precision" in run.stdout


@pytest.mark.server
@pytest.mark.data
@pytest.mark.slow
def test_the_main_job_on_the_command_line_works_as_written(
    shared_data: Path, tmp_path: Path
) -> None:
    """Without a service it starts one of its own; each command finds what the last one left."""
    packed = shared_data / "bank_marketing" / "bank-additional-full.csv.gz"
    (tmp_path / "bank-additional-full.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    bare = {name: value for name, value in os.environ.items() if not name.startswith("FRUGAL_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=blocks(section(README, "main-job-cli"), "sh")[0],
        cwd=tmp_path,
        env={**bare, "PATH": path},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert run.returncode == 0, run.stderr[-2000:] + run.stdout[-2000:]
    assert "Leaderboard" in run.stdout
    assert '"probability","alert"' in run.stdout
    assert "# bank, version 1" in run.stdout


@pytest.mark.server
@pytest.mark.data
@pytest.mark.slow
def test_the_main_job_in_python_works_as_written(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from api.local_service import LocalService

    packed = shared_data / "bank_marketing" / "bank-additional-full.csv.gz"
    text = gzip.decompress(packed.read_bytes())
    (tmp_path / "bank-additional-full.csv").write_bytes(text)
    (tmp_path / "new.csv").write_bytes(b"\n".join(text.split(b"\n")[:6]) + b"\n")
    monkeypatch.chdir(tmp_path)
    with LocalService(tmp_path / "data") as service:
        known: dict[str, Any] = {"TOKEN": service.token}
        code = blocks(section(README, "main-job-python"), "python")[0]
        exec(code.replace("http://127.0.0.1:8080", service.url), known)  # noqa: S102
        known["client"].close()
    assert "share_of_rows" in capsys.readouterr().out


def test_what_the_how_tos_say_is_a_request() -> None:
    from api.schemas_jobs import JobRequest
    from api.schemas_relations import TableBody

    told = [json.loads(one) for one in blocks((ROOT / "docs" / "how-to.md").read_text(), "json")]
    assert len(told) > 5
    for block in told:
        tables = [one for one in block.values() if isinstance(one, dict) and "role" in one]
        for table in tables:  # of a spec
            TableBody.model_validate_json(json.dumps(table))
        if not tables:
            asked = {"dataset": "d" * 32, "target": "y", **block}
            JobRequest.model_validate_json(json.dumps(asked))


@pytest.mark.server
@pytest.mark.data
@pytest.mark.slow
def test_the_tutorial_works_as_written(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Its blocks, one after the other, against a real service with the real file."""
    from api.local_service import LocalService

    packed = shared_data / "give_me_some_credit" / "cs-training.csv.gz"
    (tmp_path / "cs-training.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    page = (ROOT / "docs" / "tutorial.md").read_text()
    monkeypatch.chdir(tmp_path)
    with LocalService(tmp_path / "data", settings={"FRUGAL_ZONE": "FR"}) as service:
        known: dict[str, Any] = {"TOKEN": service.token}
        for block in blocks(page, "python"):
            code = block.replace("http://127.0.0.1:8080", service.url)
            exec(compile(code, "tutorial.md", "exec"), known)  # noqa: S102
    said = capsys.readouterr().out
    assert "NA and the like mean missing among the numbers of 'MonthlyIncome'" in said
    assert "SeriousDlqin2yrs - two values" in said
    assert "DONE - " in said
    assert known["board"]["score"].iloc[0] > 0.35
    assert len(known["answer"]) == 5
    known["client"].close()
