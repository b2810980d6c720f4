"""What of `deploy/` can be checked without Docker: syntax, paths, names, and the two commands."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.readme_demo import env_example
from scheduler.config import Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
VARIABLES = {f"FRUGAL_{name.upper()}" for name in Settings.model_fields}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def dockerfile() -> list[tuple[str, str]]:
    """Instructions as (word, rest), continued lines joined, comments dropped."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line.strip()]


def test_compose_has_the_three_services_and_their_order(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"api", "scheduler", "postgres"}
    assert services["api"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["scheduler"]["depends_on"]["api"]["condition"] == "service_healthy"


def test_compose_shares_one_database_and_one_volume(compose: dict[str, Any]) -> None:
    api, scheduler = compose["services"]["api"], compose["services"]["scheduler"]
    assert api["environment"]["FRUGAL_DATABASE_URL"].startswith("postgresql+psycopg://")
    assert api["environment"] == scheduler["environment"]
    assert api["volumes"] == scheduler["volumes"] == ["data:/data"]
    named = {
        v.split(":")[0] for service in compose["services"].values() for v in service["volumes"]
    }
    assert named == set(compose["volumes"])


def test_compose_has_no_password_and_no_privilege(compose: dict[str, Any]) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    uses = re.findall(r"\$\{POSTGRES_PASSWORD([^}]*)\}", text)
    assert uses
    assert all(rest.startswith(":?") for rest in uses), "a password must have no default"
    for name in ("api", "scheduler"):
        service = compose["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert "privileged" not in service
    ports = [p for s in compose["services"].values() for p in s.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


def test_compose_builds_the_dockerfile_that_is_here(compose: dict[str, Any]) -> None:
    build = compose["services"]["api"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


def test_the_containers_settings_are_settings(compose: dict[str, Any]) -> None:
    named = set(compose["services"]["api"]["environment"])
    named |= set(re.findall(r"\bFRUGAL_[A-Z0-9_]+", (DEPLOY / "Dockerfile").read_text()))
    named |= set(
        re.findall(r"\bFRUGAL_[A-Z0-9_]+", (DEPLOY / "systemd" / "frugal.service").read_text())
    )
    assert named <= VARIABLES


def test_the_commands_of_the_containers_exist(compose: dict[str, Any]) -> None:
    """`frugal serve --without-scheduler` and `python -m scheduler`."""
    from api.cli import main  # noqa: F401

    services = compose["services"]
    assert services["api"]["command"] == ["serve", "--without-scheduler"]
    assert services["scheduler"]["entrypoint"] == ["python", "-m", "scheduler"]
    assert (ROOT / "scheduler" / "__main__.py").is_file()
    frugal = ROOT / ".venv" / "bin" / "frugal"
    command = [str(frugal)] if frugal.is_file() else ["frugal"]
    text = subprocess.run(
        [*command, "serve", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    ).stdout
    assert "--without-scheduler" in text


def test_the_dockerfile_copies_what_exists_and_what_is_not_ignored() -> None:
    allowed = [
        line.removeprefix("!").strip("/")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for word, rest in dockerfile():
        if word != "COPY" or rest.startswith("--from"):
            continue
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(Path(source).match(pattern) for pattern in allowed), f"{source} is ignored"


def test_the_image_is_slim_and_not_root() -> None:
    instructions = dockerfile()
    bases = [rest for word, rest in instructions if word == "FROM"]
    assert all(base.startswith("python:3.11-slim") for base in bases)
    last_stage = instructions[
        max(i for i, (word, _) in enumerate(instructions) if word == "FROM") :
    ]
    words = dict(last_stage)
    assert words["USER"] == "frugal"
    assert words["ENTRYPOINT"] == '["frugal"]'
    assert "HEALTHCHECK" in words
    assert "libgomp1" in words["RUN"], "LightGBM's wheel needs the system's OpenMP"
    installs = [rest for word, rest in instructions if word == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in rest or "--no-index" in rest for rest in installs)


def test_the_health_check_is_python() -> None:
    (check,) = (rest for word, rest in dockerfile() if word == "HEALTHCHECK")
    code = re.search(r'"-c", "((?:[^"\\]|\\.)*)"\]', check)
    assert code
    program = code[1].replace('\\"', '"')
    compile(program, "HEALTHCHECK", "exec")
    assert "/healthz" in program


def test_the_unit_is_hardened() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / "frugal.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("/frugal serve")
    assert service["User"] == "frugal"
    assert service["KillMode"] == "mixed"
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"):
        assert service[key] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    # The command is not installed here; everything else must pass.
    text = (DEPLOY / "systemd" / "frugal.service").read_text()
    unit = tmp_path / "frugal.service"
    unit.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    result = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True)
    complaints = [line for line in result.stderr.splitlines() if "frugal.service" in line]
    assert not complaints


def test_env_example_is_every_setting_at_its_default() -> None:
    text = (DEPLOY / "env.example").read_text()
    assert text == env_example(), "make generated"
    assert set(re.findall(r"^#(FRUGAL_[A-Z0-9_]+)=", text, re.MULTILINE)) == VARIABLES


def test_env_example_uncommented_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    lines = re.findall(r"^#(FRUGAL_[A-Z0-9_]+)=(.+)$", env_example(), re.MULTILINE)
    defaults = Settings()
    for name, value in lines:
        monkeypatch.setenv(name, value)
    assert Settings() == defaults
