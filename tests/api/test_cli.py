"""The command line as its user sees it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from api.cli import app
from scheduler.store import Store

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def frugal(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The folder of a service that has run once."""
    folder = tmp_path / "data"
    folder.mkdir()
    store = Store(f"sqlite:///{folder / 'frugal.db'}")
    store.migrate()
    project = store.add_project("default", now=NOW)
    store.add_token(project.id, name="first", now=NOW)
    store.close()
    return folder


@pytest.fixture
def store(data_dir: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{data_dir / 'frugal.db'}")
    yield opened
    opened.close()


def test_help_has_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom api.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'flask', 'sqlalchemy', 'pydantic', 'requests', 'waitress', 'pandas', 'numpy'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for verb in (
        "serve", "demo", "backup", "restore", "token", "schedules", "carbon", "version", "run",
        "plan", "predict", "leaderboard", "receipt", "report", "datasets", "jobs", "models",
        "doctor",
    ):  # fmt: skip
        assert verb in done.stdout


@pytest.mark.parametrize(
    "verb",
    [
        "serve",
        "demo",
        "backup",
        "restore",
        *(f"token {verb}" for verb in ("add", "list", "revoke")),
        *(
            f"schedules {verb}"
            for verb in ("list", "add", "show", "runs", "pause", "resume", "delete")
        ),
        *(f"carbon {verb}" for verb in ("ledger", "now", "zones")),
        *(f"datasets {verb}" for verb in ("add", "list", "show", "rm")),
        *(f"jobs {verb}" for verb in ("list", "show", "watch", "cancel", "pause", "resume")),
        *(
            f"models {verb}"
            for verb in ("list", "show", "card", "export", "promote", "rollback", "rm")
        ),
        *("run", "plan", "predict", "leaderboard", "receipt", "report", "doctor", "version"),
    ],
)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = frugal(*verb.split(), "--help")
    assert result.exit_code == 0
    assert f"frugal {verb}" in result.stdout


def test_every_verb_takes_json() -> None:
    def verbs(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
        for one, below in getattr(command, "commands", {}).items():
            yield from verbs(below, f"{name} {one}")
        if not hasattr(command, "commands"):
            yield name, {option for one in command.params for option in one.opts}

    without = {
        name for name, options in verbs(get_command(app), "frugal") if "--json" not in options
    }
    assert without == {"frugal serve"}


def test_version() -> None:
    assert frugal("version").stdout.startswith("frugal ")
    assert json.loads(frugal("version", "--json").stdout)["version"]


def test_a_token_is_shown_once_listed_without_secret_and_revoked(
    data_dir: Path, store: Store
) -> None:
    made = json.loads(
        frugal("token", "add", "analyst", "--days", "90", "--data-dir", data_dir, "--json").stdout
    )
    found = store.token_by_secret(made["token"], now=datetime.now(UTC))
    assert found is not None
    assert found.id == made["id"]
    assert found.expires_at is not None
    assert (found.expires_at - datetime.now(UTC)).days == 89

    listed = frugal("token", "list", "--data-dir", data_dir)
    assert made["token"] not in listed.stdout
    as_json = json.loads(frugal("token", "list", "--data-dir", data_dir, "--json").stdout)
    assert [token["name"] for token in as_json] == ["first", "analyst"]
    assert {token["project"] for token in as_json} == {"default"}
    assert made["token"] not in json.dumps(as_json)

    revoked = frugal("token", "revoke", made["id"], "--data-dir", data_dir, "--json")
    assert json.loads(revoked.stdout) == {"revoked": made["id"]}
    assert store.token_by_secret(made["token"], now=datetime.now(UTC)) is None
    assert "revoked" in frugal("token", "list", "--data-dir", data_dir).stdout


def test_a_token_of_another_project(data_dir: Path, store: Store) -> None:
    for _ in range(2):
        result = frugal("token", "add", "b", "--project", "risk", "--data-dir", data_dir)
        token = store.token_by_secret(result.stdout.strip(), now=datetime.now(UTC))
        assert token is not None
    assert sorted(project.name for project in store.list_projects()) == ["default", "risk"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["token", "list", "--data-dir", "{tmp}/nowhere"], 1, "no service has run"),
        (["token", "revoke", "nonsense", "--data-dir", "{tmp}"], 4, "token"),
        (["token", "add", "x" * 10_000, "--data-dir", "{tmp}"], 1, "1 to 200 printable"),
        (["token", "add", "x", "--project", "y" * 201, "--data-dir", "{tmp}"], 1, "project name"),
        (["token", "add", "a\nb", "--data-dir", "{tmp}"], 1, "invalid_name"),
        (["restore", "{tmp}/nowhere", "--data-dir", "{tmp}/new"], 1, "nowhere"),
    ],
)
def test_faults_of_the_user_are_one_sentence(
    data_dir: Path, arguments: list[str], status: int, words: str
) -> None:
    result = frugal(*(argument.format(tmp=data_dir) for argument in arguments))
    assert result.exit_code == status
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert isinstance(result.exception, SystemExit)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = f"from api.cli import main; main(['serve', '--port', '{port}'])"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"FRUGAL_DATA_DIR": str(tmp_path / "new"), "FRUGAL_HOST": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"127.0.0.1:{port} is taken")


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRUGAL_PORT", "many")
    result = frugal("serve", "--data-dir", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("FRUGAL_PORT: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--port", "70000"], ["backup"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert frugal(*arguments).exit_code == 2


def test_a_backup_comes_back(data_dir: Path, tmp_path: Path) -> None:
    copy, new = tmp_path / "copy", tmp_path / "new"
    assert frugal("backup", copy, "--data-dir", data_dir).exit_code == 0
    result = frugal("restore", copy, "--data-dir", new)
    assert result.exit_code == 0, result.output
    tokens = json.loads(frugal("token", "list", "--data-dir", new, "--json").stdout)
    assert [token["name"] for token in tokens] == ["first"]
    for folder in (copy, new):
        modes = {path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))}
        assert modes == {0}, "for nobody else"


def test_a_token_has_the_least_role_unless_told_and_its_making_is_on_record(
    data_dir: Path, store: Store
) -> None:
    made = [
        json.loads(frugal("token", "add", "x", *role, "--data-dir", data_dir, "--json").stdout)
        for role in ((), ("--role", "viewer"), ("--role", "admin"))
    ]
    assert [one["role"] for one in made] == ["analyst", "viewer", "admin"]
    assert frugal("token", "add", "x", "--role", "root", "--data-dir", data_dir).exit_code == 2
    frugal("token", "revoke", made[1]["id"], "--data-dir", data_dir)
    listed = json.loads(frugal("token", "list", "--data-dir", data_dir, "--json").stdout)
    assert [one["role"] for one in listed] == ["admin", "analyst", "viewer", "admin"]
    lines = store.audit_lines(store.list_projects()[0].id, limit=9)[0]
    assert [(one.actor, one.action) for one in lines] == [
        ("service", "token.add"),
        *[("operator", "token.add")] * 3,
        ("operator", "token.revoke"),
    ]
