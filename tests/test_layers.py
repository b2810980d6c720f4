"""The layers hold, the checker would notice if they did not, and idle processes stay small."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("automl", "scheduler", "api")
HEAVY = ("pandas", "pyarrow", "sklearn", "lightgbm", "codecarbon", "optuna", "imblearn", "polars")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the three packages and their contracts, to plant wrong imports in."""
    folder = tmp_path_factory.mktemp("layers")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_contract_is_kept(copy: Path) -> None:
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("automl/cost.py", "import scheduler.records"),
        ("scheduler/records.py", "def late():\n    import api"),
        ("automl/errors.py", "from automl.search import pareto"),
        ("automl/data/dataset.py", "import automl.models.catalog"),
        ("scheduler/config.py", "import scheduler.records"),
        ("automl/cost.py", "import requests"),
        ("api/__init__.py", "import sqlalchemy"),
        ("scheduler/records.py", "def late():\n    import pandas"),
    ],
)
def test_a_planted_import_is_caught(copy: Path, file: str, line: str) -> None:
    path = copy / file
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")
    try:
        result = lint_imports(copy)
    finally:
        path.write_text(before)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


def test_a_module_outside_the_layers_is_noticed(copy: Path) -> None:
    stray = copy / "automl" / "helpers.py"
    stray.write_text('"""A module that nobody gave a place."""\n')
    try:
        assert lint_imports(copy).returncode != 0
    finally:
        stray.unlink()


def test_no_module_hides_one_of_the_standard_library() -> None:
    names = {path.stem for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert not (names - {"__init__", "__main__", "typing"}) & sys.stdlib_module_names


def imported_by(*modules: str) -> set[str]:
    """Top-level names in sys.modules after a fresh interpreter imported these."""
    code = f"import sys, {', '.join(modules)}; print(*{{m.split('.')[0] for m in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_nouns_are_cheap_to_import() -> None:
    assert not imported_by("automl.cost", "automl.trial", "automl.errors", "automl.meters.base") & {
        *HEAVY,
        "numpy",
        "scipy",
    }


def test_the_idle_process_imports_nothing_heavy() -> None:
    """The service at rest is what runs all day: 150 MB, and no library of a job in it."""
    assert not imported_by("api", "scheduler.service", "scheduler.store") & set(HEAVY)


def test_contracts_cover_the_packages_of_the_wheel() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    wheel = config["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(config["importlinter"]["root_packages"]) == set(wheel) == set(PACKAGES)
