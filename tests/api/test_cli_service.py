"""`frugal schedules` and `frugal carbon` against a service, over HTTP, and what the client asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from api.client import FrugalClient, ServiceError
from scheduler.records_schedules import RunState
from tests.api.parts import NOW, Site
from tests.api.test_ledger import A, line

ASKED = {
    "model": "customers-y",
    "name": "[red]nightly[/red]",
    "at": {"start": "02:30", "hours": 4},
    "time_zone": "Europe/Paris",
}


@pytest.fixture
def site(site: Site) -> Site:
    """With a model."""
    site.model()
    return site


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_schedule_from_its_making_to_its_end(frugal: Any, site: Site, tmp_path: Path) -> None:
    assert frugal("schedules", "list").stdout.strip() == "there is no schedule"
    file = tmp_path / "nightly.json"
    file.write_text(json.dumps(ASKED))
    made = frugal("schedules", "add", str(file)).stdout
    [known] = as_json(frugal("schedules", "list", "--json"))
    assert made.startswith(f"{known['id']} is due 20")
    assert "there is no 02:30" in made  # what happens when clocks change
    one = known["id"]
    assert as_json(frugal("schedules", "show", one, "--json")) == known
    table = frugal("schedules", "list").stdout
    assert "[red]nightly[/red]" in table  # nobody's name is markup
    assert "customers-y" in table
    shown = frugal("schedules", "show", one).stdout
    assert "Europe/Paris" in shown
    assert frugal("schedules", "pause", one).stdout.strip() == f"paused {one}"
    assert as_json(frugal("schedules", "list", "--json"))[0]["state"] == "PAUSED"
    assert "not while it is paused" in frugal("schedules", "show", one).stdout
    assert f"{one} is due 20" in frugal("schedules", "resume", one).stdout
    assert frugal("schedules", "delete", one).stdout.strip() == f"deleted {one}"
    assert as_json(frugal("schedules", "list", "--json")) == []
    assert "(not_found)" in frugal("schedules", "delete", one, status=4).stderr


def test_runs_say_why(frugal: Any, site: Site) -> None:
    made = as_json(frugal("schedules", "add", "-", "--json", stdin=json.dumps(ASKED)))
    assert "no run yet" in frugal("schedules", "runs", made["id"]).stdout
    schedule = site.store.get_schedule(site.project, made["id"])
    assert schedule.next_at is not None
    for day in range(3):
        window = site.store.get_schedule(site.project, made["id"])
        assert window.next_at is not None
        at = window.next_at
        site.store.open_run(
            window,
            local_date=at.date(),
            due_at=at,
            missed=day,
            next_at=at.replace(year=at.year + 1 + day),
            next_date=at.replace(year=at.year + 1 + day).date(),
        )
        found = site.store.claim_run(owner="test", lease_seconds=60, now=at)
        assert found is not None
        site.store.end_decision(
            found[1],
            state=RunState.SKIPPED,
            decision={"because": f"not worth it, because of {day}"},
            calls=[],
            now=NOW,
        )
    runs = as_json(frugal("schedules", "runs", made["id"], "--json"))
    assert [one["missed"] for one in runs] == [2, 1, 0]
    assert len(as_json(frugal("schedules", "runs", made["id"], "--limit", "2", "--json"))) == 2
    table = frugal("schedules", "runs", made["id"]).stdout
    assert "not worth it, because of 2" in table
    assert "SKIPPED" in table


def test_the_ledger_as_table_and_as_json(frugal: Any, site: Site) -> None:
    assert "nothing was spent" in frugal("carbon", "ledger").stdout
    lines = [
        line(site),
        line(site, phase="refit", gco2e=30.0, gco2e_at_submission=20.0),
        line(site, day="2026-11-23", phase="predict"),
    ]
    site.store.settle(A, receipt=None, lines=lines, settle_at=None, now=NOW)
    found = as_json(frugal("carbon", "ledger", "--json"))
    assert len(found["items"]) == found["total"]["n_lines"] == 3
    table = frugal("carbon", "ledger").stdout
    assert table.splitlines()[-1].split()[0] == "total"
    assert "-10" in table  # a wait that was dirtier is not hidden
    days = frugal("carbon", "ledger", "--by", "day", "--to", "2026-11-22", "--json")
    assert [one["key"] for one in as_json(days)["items"]] == ["2026-11-22"]
    refused = frugal("carbon", "ledger", "--phase", "lunch", status=1)
    assert "phase" in refused.stderr
    assert frugal("carbon", "ledger", "--by", "week", status=2)


def test_all_pages_of_the_ledger_and_of_schedules_are_read(
    site: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.client_carbon.LEDGER_PAGE", 2)
    monkeypatch.setattr("api.client_calls.PAGE", 1)
    lines = [line(site, day=f"2026-11-{day}") for day in range(10, 15)]
    site.store.settle(A, receipt=None, lines=lines, settle_at=None, now=NOW)
    with FrugalClient(url, site.secret) as client:
        days = [one["day"] for one in client.ledger(**{"from": "2026-11-11"})["items"]]
        assert days == [f"2026-11-{day}" for day in range(14, 10, -1)]
        made = [client.add_schedule(ASKED)["id"] for _ in range(3)]
        assert [one["id"] for one in client.schedules()] == made[::-1]
        with pytest.raises(ServiceError, match="job"):
            client.add_schedule({**ASKED, "model": None})


def test_the_grid(frugal: Any) -> None:
    found = as_json(frugal("carbon", "now", "--zone", "DE", "--json"))
    assert frugal("carbon", "now", "--zone", "DE").stdout.startswith(
        f"DE: {found['grams_per_kwh']:.0f} g/kWh from "
    )
    assert "US-CAL-CISO" in frugal("carbon", "zones").stdout
    assert as_json(frugal("carbon", "zones", "--json"))["default"] == "WORLD"
    assert "unknown_zone" in frugal("carbon", "now", "--zone", "XX", status=1).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("schedules", "add", "-"), 1, "not a JSON object"),
        (("schedules", "list", "--token", "wrong"), 3, "invalid_token"),
        (("carbon", "ledger", "--url", "http://127.0.0.1:9"), 3, "no answer"),
        (("carbon", "ledger", "--url", "127.0.0.1:9"), 3, "http"),
        (("schedules", "list", "--token", ""), 3, "FRUGAL_TOKEN"),
        (("schedules", "list", "--token", "a\nb"), 3, "invalid_token"),
        (("schedules", "list", "--url", "http://[::1"), 3, "no address"),
        (("run", "{tmp}/a.csv", "--target", "y", "--request", "-"), 1, "--request"),
        (("report", "customers-y", "-o", "{tmp}"), 2, "Is a directory"),
        (("models", "export", "customers-y", "{tmp}/no/x.zip"), 2, "No such folder: {tmp}/no"),
        (("jobs", "list", "--data-dir", "{tmp}/no"), 3, "no service has run in {tmp}/no"),
    ],
)
def test_faults_are_one_sentence(
    frugal: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    monkeypatch.setattr("api.client_calls.BACKOFF_SECONDS", 0.001)
    (tmp_path / "a.csv").write_text("y\n1\n")
    given = [one.format(tmp=tmp_path) for one in arguments]
    result = frugal(*given, status=status, stdin="[1, 2")
    assert words.format(tmp=tmp_path) in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("jobs", "show", "nonsense"), "there is no job 'nonsense'", "frugal jobs list"),
        (("jobs", "cancel", "a/b"), "there is no job 'a/b'", "frugal jobs list"),
        (("models", "card", "nobody"), "there is no model 'nobody'", "frugal models list"),
        (("models", "promote", "customers-y", "9"), "or no such version", "frugal models show"),
        (("predict", "nobody", "{tmp}/a.csv"), "there is no model 'nobody'", "frugal models list"),
        (("schedules", "runs", "x"), "there is no schedule 'x'", "frugal schedules list"),
        (("datasets", "rm", "x"), "there is no data set 'x'", "frugal datasets list"),
        (("datasets", "add", "{tmp}/a.csv", "--resume", "x"), "no upload 'x'", "without --resume"),
    ],
)
def test_what_is_not_there_is_named(
    frugal: Any, tmp_path: Path, arguments: tuple[str, ...], said: str, hint: str
) -> None:
    (tmp_path / "a.csv").write_text("y\n1\n")
    result = frugal(*(one.format(tmp=tmp_path) for one in arguments), status=4)
    first, second = result.stderr.strip().splitlines()
    assert said in first
    assert first.endswith("(not_found)")
    assert hint in second
    assert result.stdout == ""
