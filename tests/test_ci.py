"""CI's rule about skipped tests: what it lets pass and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

RAN = """
import pytest

@pytest.mark.data
def test_data(): pass

@pytest.mark.postgres
def test_postgres(): pass

@pytest.mark.server
def test_server(): pass

@pytest.mark.browser
def test_browser(): pass
"""
PLAIN_SKIP = """
def test_other_system(): pytest.skip("not on this system")

@pytest.mark.xfail(reason="known", strict=True)
@pytest.mark.data
def test_known_fault(): assert False
"""
DATA_SKIP = """
@pytest.mark.data
@pytest.mark.slow
def test_more_data(): pytest.skip("no data here")
"""
FIXTURE_SKIP = """
@pytest.fixture
def server(): pytest.skip("no port")

@pytest.mark.server
def test_with_fixture(server): pass
"""


def verdict(folder: Path, *sources: str, workers: str = "0") -> subprocess.CompletedProcess[str]:
    """Run pytest with this project's conftest on the sources, then CI's look at the report."""
    tests = folder / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    conftest = (ROOT / "tests" / "conftest.py").read_text()
    (tests / "conftest.py").write_text(conftest)
    for number, source in enumerate(sources):
        (tests / f"test_{number}.py").write_text(source)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--junitxml=report.xml"]
    arguments = ["-p", "no:cacheprovider", "-p", "no:schemathesis", "tests"]
    subprocess.run([*command, *arguments], cwd=folder, capture_output=True, timeout=600)
    look = [sys.executable, str(ROOT / ".ci" / "skipped.py"), "report.xml"]
    return subprocess.run(look, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_everything_that_needs_real_input_ran(tmp_path: Path, workers: str) -> None:
    result = verdict(tmp_path, RAN, "import pytest\n" + PLAIN_SKIP, workers=workers)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "4 passed, 0 failed, 2 skipped"


@pytest.mark.parametrize(("source", "reason"), [(DATA_SKIP, "no data"), (FIXTURE_SKIP, "no port")])
def test_a_skip_of_real_input_fails(tmp_path: Path, source: str, reason: str) -> None:
    result = verdict(tmp_path, RAN + source)
    assert result.returncode == 1
    assert reason in result.stderr


def test_a_whole_file_that_was_skipped_fails(tmp_path: Path) -> None:
    source = 'import pytest\npytest.skip("no library", allow_module_level=True)\n'
    result = verdict(tmp_path, RAN, source)
    assert result.returncode == 1
    assert "no library" in result.stderr


def test_tests_that_are_not_there_fail(tmp_path: Path) -> None:
    result = verdict(tmp_path, "def test_arithmetic(): assert 1 + 1 == 2\n")
    assert result.returncode == 1
    assert "no test marked 'postgres' ran" in result.stderr


def test_the_script_of_ci_is_bash() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    check = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert check.returncode == 0, check.stderr
    assert "set -euo pipefail" in script.read_text()
