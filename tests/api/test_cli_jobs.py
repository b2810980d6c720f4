"""Data, jobs, models and predictions on the command line, over HTTP against the app."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api import cli_request as asked
from api.cli import app
from api.cli_files import spec_with_files
from api.cli_run import print_found, waited
from api.cli_shared import exit_code, megabytes, show_table
from automl.errors import DataError
from tests.api.parts import Site

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CSV = "age;y\n41;0\n52;1\n"


@pytest.fixture
def site(site: Site) -> Site:
    """With a model."""
    site.model()
    return site


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(CSV)
    return path


def test_a_data_set_from_its_upload_to_its_end(frugal: Any, table: Path) -> None:
    added = frugal("datasets", "add", str(table), "--option", "delimiter=;", "--json")
    one = json.loads(added.stdout)
    assert (one["state"], one["options"]) == ("READY", {"delimiter": ";"})
    listed = json.loads(frugal("datasets", "list", "--json").stdout)
    assert one["id"] in [item["id"] for item in listed]
    shown = frugal("datasets", "show", one["id"]).stdout
    assert "3 rows, 2 columns" in shown
    assert frugal("datasets", "rm", one["id"]).stdout.strip() == f"deleted {one['id']}"
    assert "not_found" in frugal("datasets", "rm", "0" * 32, status=4).stderr


def test_a_run_that_does_not_wait(frugal: Any, site: Site, table: Path) -> None:
    told = ("--target", "y", "--positive", "1", "--exclude", "age", "--limit-trials", "3")
    more = ("--metric", "roc_auc", "--mode", "eco", "--model", "m", "--seed", "7", "--detach")
    job = frugal("run", str(table), *told, *more).stdout.strip()
    request = json.loads(frugal("jobs", "show", "last", "--json").stdout)["request"]
    assert request["positive"] == 1  # as its column has it, and no text
    assert request["exclude"] == ["age"]
    assert request["limits"]["trials"] == 3
    assert request["objective"]["metric"] == "roc_auc"
    assert (request["mode"], request["model"], request["seed"]) == ("eco", "m", 7)
    assert frugal("jobs", "pause", job).stdout.startswith(job)
    assert frugal("jobs", "resume", job).stdout.startswith(job)
    assert frugal("jobs", "cancel", job).stdout.startswith(job)
    assert frugal("leaderboard", job).stdout.strip() == "no trial has ended yet"
    states = [one["state"] for one in json.loads(frugal("jobs", "list", "--json").stdout)]
    assert len(states) == 2
    assert frugal("jobs", "watch", job, status=5).stdout  # it was cancelled: there is no model


def test_a_run_without_labels_and_one_from_a_model(frugal: Any, table: Path, site: Site) -> None:
    frugal("run", str(table), "--no-target", "--model", "odd", "--detach")
    request = json.loads(frugal("jobs", "show", "last", "--json").stdout)["request"]
    assert (request["target"], request["model"]) == (None, "odd")
    # The little model of these tests reads columns that the table has not: it is what was asked.
    more = ("--target", "y", "--model", "again", "--warm-start-from", "customers-y", "--detach")
    told = frugal("run", str(table), *more, status=1).stderr
    assert "model 'customers-y' to start from reads 1 column(s)" in told
    for other in (("--target", "y"), ("--positive", "1")):
        told = frugal("run", str(table), "--no-target", *other, status=2).stderr
        assert other[0] in told
    told = frugal("plan", str(table), status=1).stderr
    assert "--no-target" in told
    told = frugal("run", str(table), "--target", "y", "--warm-start-from", "nobody", status=4)
    assert "nobody" in told.stderr or "no such model" in told.stderr


def test_a_ranking_that_nothing_picked_is_a_model_all_the_same() -> None:
    client: Any = SimpleNamespace(
        leaderboard=lambda _: [{"picks": []}], receipt=lambda _: {"total": {}}
    )
    job = {"id": "a", "state": "DONE", "problem": None, "stop_reason": None}
    print_found(client, {**job, "model_version": 1}, as_json=True)
    with pytest.raises(typer.Exit) as caught:
        print_found(client, {**job, "model_version": None}, as_json=True)
    assert caught.value.exit_code == 5


def test_ctrl_c_leaves_the_job_of_a_service_alone(
    frugal: Any, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.client_watch.watch", interrupted)
    told = frugal("run", str(table), "--target", "y", "--model", "m", status=130)
    job = json.loads(frugal("jobs", "show", "last", "--json").stdout)
    assert (job["state"], job["model"]) == ("SUBMITTED", "m")
    assert f"frugal jobs cancel {job['id']}" in told.stderr
    assert told.stdout == ""


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_cancels_the_job_of_our_own_service(
    monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    told: list[str] = []

    class Client:
        def cancel(self, job_id: str) -> None:
            told.append(job_id)

    def watch(*_: Any, show: bool) -> dict[str, Any]:
        if show or again:
            raise KeyboardInterrupt
        return {"state": "CANCELLED"}

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("api.client_watch.watch", watch)
    client: Any = Client()
    job: Any = SimpleNamespace(id="a")
    try:
        if again:
            with pytest.raises(typer.Exit) as caught:
                waited(client, job, own=True)
            assert caught.value.exit_code == 130
        else:
            assert waited(client, job, own=True) == {"state": "CANCELLED"}
    finally:
        signal.signal(signal.SIGINT, handler)
    assert told == ["a"]


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_further_fields_come_as_json(frugal: Any, table: Path) -> None:
    body = json.dumps({"objective": {"alert_rate": 0.05}, "seed": 3})
    asking = ("run", str(table), "--target", "y", "--detach", "--json", "--request", "-")
    job = json.loads(frugal(*asking, stdin=body).stdout)
    assert job["request"]["objective"]["alert_rate"] == 0.05
    assert job["request"]["seed"] == 3
    assert "--request is not a JSON object" in frugal(*asking, stdin="[]", status=1).stderr


def test_a_plan_says_what_waiting_saves(frugal: Any, table: Path) -> None:
    planned = ("plan", str(table), "--target", "y", "--low-carbon", "--zone", "DE")
    found = json.loads(frugal(*planned, "--json").stdout)
    shown = frugal(*planned).stdout
    assert found["reason"] in shown
    assert shown.count(" UTC") >= 2 * len(found["alternatives"])


def test_models_and_their_versions(frugal: Any, tmp_path: Path) -> None:
    assert json.loads(frugal("models", "list", "--json").stdout)[0]["name"] == "customers-y"
    assert "version 1" in frugal("models", "show", "customers-y").stdout
    assert frugal("models", "card", "customers-y").stdout.startswith("# customers-y")
    promoted = frugal("models", "promote", "customers-y", "1", "--because", "audited")
    assert promoted.stdout.strip() == "version 1 of customers-y answers"
    assert "audited" in frugal("models", "show", "customers-y").stdout
    assert "no version" in frugal("models", "rollback", "customers-y", status=1).stderr
    assert frugal("models", "rm", "customers-y").stdout.strip() == "deleted customers-y"
    assert frugal("models", "show", "customers-y", status=4)


def test_a_newcomers_faults(frugal: Any, table: Path, tmp_path: Path) -> None:
    assert "is no file" in frugal("run", "nowhere.csv", "--target", "y", status=2).stderr
    assert "--spec" in frugal("run", str(tmp_path), status=2).stderr
    assert "could be 'y'" in frugal("run", str(table), status=1).stderr
    wrong = frugal("datasets", "add", str(table), "--option", "delimiter", status=2)
    assert "NAME=VALUE" in wrong.stderr
    assert frugal("predict", "m", "nowhere.csv", status=2)
    assert "does not exist" in frugal("datasets", "add", "nowhere.csv", status=2).stderr
    assert "--spec" in frugal("datasets", "add", str(tmp_path), status=2).stderr
    unknown = frugal("datasets", "add", str(table), "--option", "sep=;", status=2)
    assert "delimiter" in unknown.stderr
    no_number = frugal("run", str(table), "--limit-seconds", "nan", status=2)
    assert "--limit-seconds" in no_number.stderr
    not_json = frugal("run", str(table), "--request", "-", stdin='{"seed": NaN}', status=1)
    assert "NaN is no JSON" in not_json.stderr
    assert "no time" in frugal("plan", str(table), "--deadline", "soon", status=2).stderr
    assert "Traceback" not in wrong.output


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("90min", "2026-11-23T13:30:00+00:00"),
        ("+2d", "2026-11-25T12:00:00+00:00"),
        ("2026-11-24T08:00Z", "2026-11-24T08:00:00+00:00"),
    ],
)
def test_a_deadline_is_a_moment_in_utc(text: str, iso: str) -> None:
    assert asked.moment_of(text, now=NOW).isoformat() == iso


def test_a_time_of_day_is_the_next_one() -> None:
    for text in ("00:00", "23:59", "12:00"):
        at = asked.moment_of(text, now=NOW)
        assert 0 < (at - NOW).total_seconds() <= 24 * 3600
        assert f"{at.astimezone():%H:%M}" == text


def test_values_are_as_their_column_has_them() -> None:
    columns = [
        {"name": "n", "type": "integer"},
        {"name": "t", "type": "string"},
        {"name": "b", "type": "boolean"},
        {"name": "x", "type": "number"},
    ]
    assert asked.typed(["1"], columns, "n") == 1
    assert asked.typed(["1"], columns, "t") == "1"
    assert asked.typed(["true"], columns, "b") is True
    assert asked.typed(["0.5", "2"], columns, "x") == [0.5, 2]
    assert asked.typed(None, columns, "n") is None


def test_the_files_of_a_spec(tmp_path: Path) -> None:
    for name in ("a.csv", "events.parquet"):
        (tmp_path / name).touch()
    spec = tmp_path / "spec.json"
    tables = {
        "a": {"role": "entities"},
        "e": {"role": "events", "source": {"file": "events.parquet"}},
        "d": {"role": "static", "source": {"dataset": "x"}},
    }
    spec.write_text(json.dumps({"tables": tables, "key": "id"}))
    with spec.open() as file:
        given, files = spec_with_files(file, tmp_path)  # type: ignore[arg-type]
    assert files == {"a": tmp_path / "a.csv", "e": tmp_path / "events.parquet"}
    assert given["tables"]["d"]["source"] == {"dataset": "x"}
    assert "source" not in given["tables"]["e"]
    (tmp_path / "a.csv").unlink()
    with spec.open() as file, pytest.raises(FileNotFoundError):
        spec_with_files(file, tmp_path)  # type: ignore[arg-type]


def test_a_folder_is_read_in_place_and_not_sent(frugal: Any, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,y\n1,0\n")
    (tmp_path / "visits").mkdir()
    spec = tmp_path / "spec.json"
    tables = {"people": {"role": "entities"}, "visits": {"role": "events", "key": "id"}}
    spec.write_text(json.dumps({"tables": tables, "key": "id"}))
    for command in (("run",), ("datasets", "add")):
        told = frugal(*command, str(tmp_path), "--spec", str(spec), status=2).stderr
        assert "file://" in told.replace("\n", "")
        assert "FRUGAL_FEED_ROOTS" in told


def test_what_is_ours_is_no_plain_error() -> None:
    assert exit_code(KeyError("x")) is None
    assert exit_code(DataError("x")) == 1
    assert megabytes(1_500_000_000) == "1.5 GB"


def test_nothing_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FRUGAL_URL", "FRUGAL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("api.cli_service._answers", lambda: False)
    monkeypatch.setenv("FRUGAL_DATA_DIR", str(tmp_path / "none"))
    result = CliRunner().invoke(app, ["jobs", "list"])
    assert result.exit_code == 3
    assert "no service is configured" in result.stderr
    assert not (tmp_path / "none").exists()
    monkeypatch.setattr("api.cli_service._answers", lambda: True)
    result = CliRunner().invoke(app, ["jobs", "list"])
    assert result.exit_code == 3
    assert "FRUGAL_TOKEN" in result.stderr


def test_who_stops_reading_ends_it_quietly(url: str, site: Site) -> None:
    code = "from api.cli import main; main(['carbon', 'zones', '--json'])"
    known = {"FRUGAL_URL": url, "FRUGAL_TOKEN": site.secret}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | known,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_doctor(frugal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(frugal("doctor", "--data-dir", str(tmp_path), "--json").stdout)
    names = [one["name"] for one in found["findings"]]
    assert found["ok"]
    for name in ("versions", "meter", "RAPL", "intensity", "disk", "database", "service"):
        assert name in names
    wrong = json.loads(frugal("doctor", "--token", "wrong", "--json", status=1).stdout)
    assert [one["name"] for one in wrong["findings"] if one["verdict"] == "broken"] == ["service"]
    monkeypatch.setenv("FRUGAL_DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/x.db")
    broken = frugal("doctor", status=1).stdout
    assert "broken" in broken
    assert "database" in broken


def test_a_narrow_terminal_cuts_no_id_and_no_number(
    frugal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job] = json.loads(frugal("jobs", "list", "--json").stdout)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "40")
    shown = frugal("jobs", "list").stdout
    assert job["id"] in shown
    assert "…" not in shown
    text = "a reason of many words that is longer than the terminal is wide"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        show_table(("joules", "why"), [("0.0001234", text)])
    assert "0.0001234" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines()[1:])) <= 40


def test_bash_completes(tmp_path: Path) -> None:
    code = "import sys; from api.cli import app; app(prog_name='frugal')"
    for words, position, expected in (
        ("frugal jo", 1, "jobs"),
        ("frugal jobs wa", 2, "watch"),
        ("frugal run --limit-t", 2, "--limit-trials"),
        ("frugal rep", 1, "report"),
        ("frugal report --form", 2, "--format"),
    ):
        asking = {
            "_FRUGAL_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | asking,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert expected in done.stdout.split(), done.stderr
