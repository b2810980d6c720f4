"""`frugal report`, and what a client asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api.client import FrugalClient
from tests.api.parts import Site

MACHINE = ("--embodied-kg", "300", "--lifespan-years", "4", "--cores", "8")


@pytest.fixture
def site(site: Site) -> Site:
    """With a model."""
    site.model()
    return site


def test_a_report_in_every_form(frugal: Any, tmp_path: Path) -> None:
    text = frugal("report").stdout  # of the newest job
    assert text.startswith("# Frugality report, customers-y version 1")
    assert frugal("report", "customers-y").stdout == text
    found = json.loads(frugal("report", "customers-y", "--json").stdout)
    again = json.loads(frugal("report", found["job"], "--format", "json").stdout)
    assert {name: again[name] for name in ("job", "phases", "afnor")} == {
        name: found[name] for name in ("job", "phases", "afnor")
    }
    for name, start in (("a.html", "<!doctype html>"), ("a.md", "# Frugality"), ("a.json", '{"')):
        out = tmp_path / name
        told = frugal("report", "customers-y", "-o", str(out))
        assert (told.stdout, str(out) in told.stderr) == ("", True)
        assert out.read_text().startswith(start)
    assert frugal("report", "--format", "html").stdout.startswith("<!doctype html>")


def test_a_report_with_the_making_of_the_machine(frugal: Any) -> None:
    assert "Not included" in frugal("report").stdout
    assert "300 kg over 4 years of 8 cores" in frugal("report", *MACHINE).stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nobody",), 4, "not_found"),
        (("0" * 32,), 4, "not_found"),
        (("customers-y", "--version", "7"), 4, "not_found"),
        (("last", "--version", "1"), 2, "name its model"),
        (("last", "--cores", "8"), 2, "go together"),
        (("last", "-o", "a.pdf"), 2, "'a.pdf' ends in none of"),
        (("last", "-o", "/dev/null"), 0, ""),
        (("last", "-o", "{tmp}/nowhere/a.md"), 2, "nowhere"),
    ],
)
def test_what_comes_of_odd_wishes(
    frugal: Any, tmp_path: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    given = [one.format(tmp=tmp_path) for one in arguments]
    told = frugal("report", *given, status=status)
    assert words in told.stderr
    assert told.stdout == ""


def test_the_client_asks_for_one_report(site: Site, url: str) -> None:
    with FrugalClient(url, site.secret) as client:
        found = client.frugality(model="customers-y", version=1, machine=(300.0, 4.0, 8))
        assert found["sci"]["embodied_gco2"] is not None
        job = client.job(found["job"])
        assert job.frugality()["sci"]["embodied_gco2"] is None
        assert client.frugality_text(job.id, form="html").startswith("<!doctype html>")
        assert client.card_text("customers-y", form="html").startswith("<!doctype html>")
        for wrong in ({}, {"job_id": job.id, "model": "customers-y"}):
            with pytest.raises(ValueError, match="a job or a model"):
                client.frugality(**wrong)
