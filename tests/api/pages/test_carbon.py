"""The carbon page under a filter: every figure of it is of the days that were asked for."""

from __future__ import annotations

import pytest

from tests.api.pages.test_pages import ask
from tests.api.parts import NOW, Site
from tests.api.test_ledger import line


def _job(site: Site, name: str, *, day: str, gco2e: float, brute: float) -> str:
    """Id of a job of a day, with what it emitted and what brute force would have."""
    made = site.job(model=name)
    job = site.claim()
    expected = {"expected_gco2e": brute, "expected_saved_gco2e": brute - gco2e}
    site.finish(job, receipt={"levers": {"less": {"brute_force": expected}}})
    own = line(site, job_id=made, day=day, gco2e=gco2e, gco2e_at_submission=gco2e + 1)
    site.store.settle(made, receipt=None, lines=[own], settle_at=None, now=NOW)
    return made


@pytest.fixture
def two_days(site: Site) -> None:
    _job(site, "first-day", day="2026-11-20", gco2e=10.0, brute=110.0)
    _job(site, "second-day", day="2026-11-21", gco2e=20.0, brute=320.0)


@pytest.mark.parametrize(
    ("query", "saved", "expected", "emitted", "name", "other"),
    [
        ("from=2026-11-20&to=2026-11-20", "100 g", "110 g", "10.0 g", "first-day", "second-day"),
        ("from=2026-11-21", "300 g", "320 g", "20.0 g", "second-day", "first-day"),
    ],
)
@pytest.mark.usefixtures("two_days")
def test_saved_by_less_is_of_the_days_asked_for(
    site: Site, query: str, saved: str, expected: str, emitted: str, name: str, other: str
) -> None:
    page = ask(site, f"/ui/carbon?{query}").text
    for said in (f">{saved}</td>", f"{expected} expected", f"<dd>{emitted}</dd>", name):
        assert said in page
    assert other not in page
    table = ask(site, f"/ui/carbon.csv?{query}")
    assert len(table.text.splitlines()) == 2


@pytest.mark.usefixtures("two_days")
def test_without_a_filter_it_is_of_all_days(site: Site) -> None:
    page = ask(site, "/ui/carbon").text
    for said in (">400 g</td>", "430 g expected", "the 2 jobs that searched", "first-day"):
        assert said in page
    assert len(ask(site, "/ui/carbon.csv").text.splitlines()) == 3


@pytest.mark.usefixtures("two_days")
def test_days_without_anything_say_so(site: Site) -> None:
    page = ask(site, "/ui/carbon?from=2025-01-01&to=2025-01-02").text
    assert "Nothing was spent on these days" in page
    assert "no finished job of these days says" in page
    assert ask(site, "/ui/carbon.csv?from=nonsense").status_code == 422


def test_a_reading_links_to_its_data_and_not_to_a_job(site: Site) -> None:
    dataset = site.upload()
    own = line(site, job_id=dataset, dataset_id=dataset, phase="ingest")
    site.store.settle(dataset, receipt=None, lines=[own], settle_at=None, now=NOW)
    page = ask(site, "/ui/carbon").text
    assert f"/ui/jobs/{dataset}" not in page
    assert f"/ui/datasets/{dataset}" in page
    assert "reading of the data" in page
    assert "France" in page  # the zone of the work, with its intensity then
    assert "50.0" in page
