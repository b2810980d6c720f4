"""The wheel is whole, the locks are exact, and no file names a machine or a package index."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("automl", "scheduler", "api")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {
    "requirements.lock": [],
    "requirements-dev.lock": [
        *PROJECT["project"]["optional-dependencies"]["postgres"],
        *(r for r in PROJECT["dependency-groups"]["dev"] if isinstance(r, str)),
        *PROJECT["dependency-groups"]["build"],
    ],
    "deploy/requirements.lock": PROJECT["project"]["optional-dependencies"]["postgres"],
}

# Written in pieces: this file is searched too.
FORBIDDEN_TEXT = re.compile(
    "|".join(
        [
            "/wo" + "rk/",
            "/ro" + "ot/",
            "/ho" + "me/[a-z]",
            "/opt/" + "wheels",
            "pypi" + r"\.org",
            "python" + r"hosted\.org",
            "deb" + r"\.debian\.org",
            "registry" + r"\.npmjs",
            "--(extra-)?index" + "-url [^ ]",
        ]
    )
)


def package_files() -> set[str]:
    """Every file of the packages that belongs into the wheel."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=600,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == package_files()


def test_the_wheel_has_what_is_not_python(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert any(re.fullmatch(r"scheduler/migrations/versions/\w+\.py", name) for name in names)
    assert "scheduler/migrations/env.py" in names
    assert any(name.startswith("api/templates/") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_command_of_the_wheel_exists(wheel: zipfile.ZipFile) -> None:
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    line = re.search(r"^frugal = ([\w.]+):(\w+)$", wheel.read(entry).decode(), re.MULTILINE)
    assert line
    assert callable(getattr(import_module(line[1]), line[2]))


def pins(lock: str) -> dict[str, set[str]]:
    """Name -> versions of a lock file."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;]+)", line)
        if match:
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


@pytest.mark.parametrize("lock", [*LOCKS, "deploy/build.lock"])
def test_a_lock_pins_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=sha256:[0-9a-f]{64}\b)", text, re.MULTILINE)
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+(\[[^\]]*\])?==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_meets_what_the_project_asks_for(lock: str) -> None:
    locked = pins(lock)
    for text in [*PROJECT["project"]["dependencies"], *LOCKS[lock]]:
        requirement = Requirement(text)
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{lock} lacks {requirement.name}: make lock"
        assert all(v in requirement.specifier for v in versions), f"{lock}: {text}: make lock"


def test_the_locks_agree() -> None:
    everything = pins("requirements-dev.lock")
    for lock in ("requirements.lock", "deploy/requirements.lock", "deploy/build.lock"):
        for name, versions in pins(lock).items():
            assert everything.get(name) == versions, f"{name} differs in {lock}: make lock"


# These come with Flask, pydantic, typer and requests, and are part of their interface.
COMPANIONS = ("werkzeug", "markupsafe", "pydantic-core", "click", "jinja2", "urllib3")


def test_every_import_of_the_packages_is_declared() -> None:
    """A module that is only here because another distribution needs it may go any day."""
    from importlib.metadata import packages_distributions

    declared = {
        canonicalize_name(Requirement(text).name)
        for text in [
            *PROJECT["project"]["dependencies"],
            *PROJECT["project"]["optional-dependencies"]["postgres"],
            *PROJECT["project"]["optional-dependencies"]["plot"],
        ]
    }
    declared |= {canonicalize_name(n) for n in COMPANIONS}
    homes = packages_distributions()
    for name in sorted(package_files()):
        if not name.endswith(".py"):
            continue
        for module in imports(ast.parse((ROOT / name).read_text())):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top in PACKAGES:
                continue
            distributions = {canonicalize_name(home) for home in homes.get(top, [])}
            assert distributions & declared, f"{name} imports {top}, which is not declared"


def test_every_requirement_is_imported() -> None:
    """What nothing imports is only weight; tzdata is read by zoneinfo."""
    from importlib.metadata import packages_distributions

    sources = [(ROOT / name).read_text() for name in package_files() if name.endswith(".py")]
    tops = {module.partition(".")[0] for text in sources for module in imports(ast.parse(text))}
    homes = packages_distributions()
    used = {canonicalize_name(home) for top in tops for home in homes.get(top, [])}
    declared = {canonicalize_name(Requirement(r).name) for r in PROJECT["project"]["dependencies"]}
    assert not declared - used - {"tzdata"}


def imports(tree: ast.AST) -> set[str]:
    """Absolute names of the modules a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def test_no_file_names_a_machine_or_a_package_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the project is not known")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        hit = FORBIDDEN_TEXT.search(text)
        assert hit is None, f"{name} names {hit[0]}"


LOADERS = {"pickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_METHODS = {"read_pickle", "to_pickle", "unsafe_load"}


def test_nothing_that_can_run_code_is_read() -> None:
    """No pickle, joblib, eval or exec in the packages: a model file is data."""
    for name in sorted(package_files()):
        if not name.endswith(".py"):
            continue
        tree = ast.parse((ROOT / name).read_text())
        loaders = {m for m in imports(tree) if m.partition(".")[0] in LOADERS}
        assert not loaders, f"{name} imports {loaders}"
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            where = f"{name}:{node.lineno}"
            if isinstance(node.func, ast.Name):
                assert node.func.id not in UNSAFE_CALLS, f"{where} calls {node.func.id}"
            elif isinstance(node.func, ast.Attribute):
                assert node.func.attr not in UNSAFE_METHODS, f"{where} calls {node.func.attr}"
            allow = {k.arg: k.value for k in node.keywords}.get("allow_pickle")
            assert not (isinstance(allow, ast.Constant) and allow.value), f"{where} allows pickle"
