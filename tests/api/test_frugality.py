"""The frugality report repeats the bill, escapes everything, and names a source for each point."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.frugality_afnor import afnor
from api.frugality_facts import Facts
from api.frugality_report import markdown, report_of
from api.schemas_frugality import FrugalityAnswer
from automl.trial import Candidate, Proposal, Trial
from scheduler.receipt import receipt
from scheduler.records import Job
from tests.api.parts import NOW, Site
from tests.api.test_documents import Page
from tests.scheduler.test_receipt import METER, REFERENCE, cost, grid, price, stretch

SCRIPT = "<script>alert(1)</script>"


def trial(number: int, n_rows: int) -> Trial:
    proposal = Proposal(
        candidate=Candidate(model="lightgbm", params={}), rung="final", n_rows=n_rows
    )
    return Trial(
        number=number, proposal=proposal, score=0.2, cost=cost(1), expected=cost(1), error=None
    )


def bill(**changes: Any) -> dict[str, Any]:
    """A real receipt: two trials on parts of 1,000 rows."""
    return receipt(
        price(**changes),
        meter=METER,
        reference=REFERENCE,
        own_cpu_joules=39.0,
        trials=[trial(0, 200), trial(1, 400)],
        n_rows=1000,
        predict_per_1000_rows=cost(0.02),
        brute_joules=50_000.0,
    )


@pytest.fixture
def done(site: Site) -> Site:
    """A job that ended with a bill, on data whose names are markup."""
    dataset = site.upload(path_or_name(SCRIPT))
    site.job(dataset=dataset, exclude=["age"], limits={"joules": 1000}, model="bank")
    site.finish(site.claim(), receipt=bill())
    return site


def path_or_name(name: str) -> bytes:
    return f"age;{name};y\n41;1;0\n42;2;1\n43;3;0\n".encode()


def job_id(site: Site) -> str:
    return str(site.get("/v1/jobs").json["items"][0]["id"])


def path(site: Site) -> str:
    return f"/v1/jobs/{job_id(site)}/frugality"


def test_the_figures_are_those_of_the_receipt(done: Site) -> None:
    found = done.get(path(done)).json
    billed = done.get(f"/v1/jobs/{job_id(done)}/receipt").json
    FrugalityAnswer.model_validate(found)
    assert [one["phase"] for one in found["phases"]] == [one["name"] for one in billed["phases"]]
    for row, line in zip(
        [*found["phases"], found["total"]], [*billed["phases"], billed["total"]], strict=True
    ):
        assert (row["gco2"], row["kwh"]) == (line["gco2e"], line["kwh"])
        assert row["duration_seconds"] == (line["wall_seconds"] or 0)
    assert found["total"]["gco2"] == pytest.approx(sum(one["gco2"] for one in found["phases"]))
    levers = billed["levers"]
    assert found["less"]["saved_gco2"] == levers["less"]["brute_force"]["expected_saved_gco2e"]
    assert found["less"]["is_expectation"]
    assert found["later"]["saved_gco2"] == levers["later"]["saved_gco2e"]
    assert found["method"] == billed["method"]
    assert found["uncertainty"] == billed["uncertainty"]
    assert found["equivalence"]["value"] == billed["equivalents"]["car_km"]["value"]
    assert "ADEME" in found["equivalence"]["source"]
    used = {one["name"]: one for one in found["data"]["used"]}
    assert used["row_fits"]["text"] == "600 of 2,000 (30 %)"
    assert {"name": "age", "why": "excluded by the request"} in found["data"]["columns_left_out"]


def test_what_is_shown_of_the_phases_adds_up_and_needs_no_zeros(done: Site) -> None:
    found = done.get(path(done)).json
    for text in ("gco2_text", "kwh_text"):
        numbers = [float(one[text].split()[0]) for one in found["phases"]]
        total, unit = found["total"][text].split()
        assert {one[text].split()[1] for one in found["phases"]} == {unit}
        assert sum(numbers) == pytest.approx(float(total), abs=0.01 * float(total) + 0.05)
        assert 1 <= float(total) < 1000
    assert not re.search(r"\d0\.000", done.get(f"{path(done)}?format=markdown").text)
    assert "e-0" not in done.get(f"{path(done)}?format=html").text


def test_three_forms_by_accept_or_format(done: Site) -> None:
    for form, kind in (
        ("json", "application/json"),
        ("html", "text/html"),
        ("markdown", "text/markdown"),
    ):
        assert done.get(f"{path(done)}?format={form}").mimetype == kind
        assert done.get(path(done), headers={"Accept": kind}).mimetype == kind
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert done.get(path(done), headers={"Accept": browser}).mimetype == "text/html"
    assert done.get(path(done)).mimetype == "application/json"
    assert done.get(path(done), headers={"Accept": "image/png"}).status_code == 406
    assert done.get(f"{path(done)}?format=pdf").status_code == 422


def test_the_table_has_these_columns(done: Site) -> None:
    text = done.get(f"{path(done)}?format=markdown").text
    assert "| Phase | Duration | gCO2 | kWh |" in text
    heads = re.findall(r'<th scope="col">([^<]*)</th>', done.get(f"{path(done)}?format=html").text)
    assert heads[:4] == ["Phase", "Duration", "gCO2", "kWh"]
    row = next(line for line in text.splitlines() if line.startswith("| total |"))
    assert re.fullmatch(r"\| total \| [\d.]+ (ms|s|min \d+ s) \| [\d.]+ m?g \| [\d.]+ m?Wh \|", row)


def test_the_page_is_one_file_that_runs_nothing_and_escapes_everything(site: Site) -> None:
    site.job(dataset=site.upload(), exclude=[], target="y")
    job = site.claim()
    made = replace(
        site.store.get_job(site.project, job.id),
        receipt=bill(),
        request={**job.request, "target": SCRIPT, "exclude": [SCRIPT]},
        stop_reason=SCRIPT,
    )
    site.finish(job, receipt=bill(), stop_reason=SCRIPT)
    answer = site.get(f"{path(site)}?format=html")
    page = Page(answer.text)
    assert SCRIPT not in answer.text
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    assert all(link.startswith("https://") for link in page.links)
    assert page.tags.count("h1") == 1
    assert ("lang", "en") in page.attributes
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "--accent" in style
    assert "@media print" in style
    text = markdown(report_of(facts(made)))
    assert SCRIPT not in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def facts(job: Job, **changes: Any) -> Facts:
    values: dict[str, Any] = {"receipt": job.receipt or bill(), "dataset": None, "model": None}
    return Facts(job=job, **{**values, **changes})


def a_job(site: Site, **changes: Any) -> Job:
    site.job()
    return replace(site.claim(), **changes)


def test_a_wait_that_turned_out_dirtier_is_shown_as_such(site: Site) -> None:
    dirtier = bill(known=grid({0: 50.0}, otherwise=400.0), late=timedelta(hours=12))
    assert dirtier["levers"]["later"]["saved_gco2e"] < 0
    site.job()
    site.finish(site.claim(), receipt=dirtier)
    found = site.get(path(site)).json
    assert found["later"]["saved_gco2"] == dirtier["levers"]["later"]["saved_gco2e"]
    assert found["later"]["saved_text"].endswith("more: nothing was saved")
    assert found["less"]["saved_gco2"] > 0
    assert "more: nothing was saved" in site.get(f"{path(site)}?format=html").text
    assert "more: nothing was saved" in site.get(f"{path(site)}?format=markdown").text


def test_a_running_job_has_its_phases_so_far(site: Site) -> None:
    site.job()
    site.claim()
    found = site.get(path(site)).json
    assert (found["final"], found["model"], found["equivalence"]) == (False, None, None)
    assert found["less"]["saved_text"] == found["later"]["saved_text"] == "not known"
    assert found["sci"]["operational_gco2"] == found["total"]["gco2"]
    for form in ("html", "markdown"):
        assert "has not ended" in site.get(f"{path(site)}?format={form}").text


def test_a_receipt_of_other_words_is_no_server_error(site: Site) -> None:
    model = site.model()
    found = site.get(f"/v1/models/{model.name}/frugality")
    assert found.status_code == 200
    assert (found.json["model"], found.json["version"], found.json["job"]) == (
        model.name,
        1,
        model.job_id,
    )
    assert site.get(f"/v1/models/{model.name}/frugality?version=7").status_code == 404


def test_sci_is_energy_times_intensity_and_says_what_is_missing(done: Site) -> None:
    found = done.get(path(done)).json
    sci = found["sci"]
    assert sci["energy_kwh"] * sci["grams_per_kwh"] == pytest.approx(found["total"]["gco2"])
    assert (sci["embodied_gco2"], sci["conforms"]) == (None, False)
    assert sci["embodied"].startswith("Not included")
    assert [one["functional_unit"] for one in sci["scores"]] == [
        "one job as far as it came",
        "1,000 predictions",
    ]
    assert sci["scores"][0]["grams"] == found["total"]["gco2"]
    assert sci["boundary"]
    assert sci["source"]["url"].startswith("https://")


def test_sci_with_the_machines_making(done: Site) -> None:
    plain = done.get(path(done)).json
    query = "embodied_kg=800&lifespan_years=5&cores=32"
    sci = done.get(f"{path(done)}?{query}").json["sci"]
    core_seconds = 5 * 365 * 24 * 3600 * 32
    expected = 800_000 * plain["total"]["cpu_seconds"] / core_seconds
    assert sci["embodied_gco2"] == pytest.approx(expected)
    assert sci["scores"][0]["grams"] == pytest.approx(plain["total"]["gco2"] + expected)
    assert sci["scores"][1]["grams"] == pytest.approx(
        plain["sci"]["scores"][1]["grams"] + 800_000 * 0.02 / core_seconds
    )
    for part in ("embodied_kg=800", "cores=4", "lifespan_years=5&cores=4"):
        assert done.get(f"{path(done)}?{part}").status_code == 422
    assert done.get(f"{path(done)}?embodied_kg=0&lifespan_years=5&cores=1").status_code == 422


def test_sci_over_a_life_is_spread_over_its_predictions(site: Site) -> None:
    model = site.model()
    life = {"gco2e": {"total": 7.3, "use": 7.0}}
    job = replace(
        site.store.get_job(site.project, model.job_id),
        request={"objective": {"predictions_per_day": 2000, "horizon_days": 100}},
    )
    made = facts(job, receipt=bill(), model=replace(model, card={"lifetime": life}))
    report = report_of(made)
    last = report.sci.scores[-1]
    whole = report.total.gco2 + 7.0  # the bill, whatever the card took the search for
    assert last.grams == pytest.approx(whole / 200)
    assert "not measured" in last.note
    assert "2,000 predictions a day for 100 days, 200,000 in all, as declared." in last.note
    told = {one.name: one for one in report.use}
    assert told["life_gco2"].value == pytest.approx(whole)
    assert told["life_use"].text.startswith("2,000 predictions a day")
    # The job's own intensity prices what is to come, where joules are there to price.
    joules = {**life, "joules": {"use": 3.6e6, "retrains": 0.0}}
    made = facts(job, receipt=bill(), model=replace(model, card={"lifetime": joules}))
    whole = report.total.gco2 + bill()["intensity"]["grams_per_kwh"]
    assert report_of(made).sci.scores[-1].grams == pytest.approx(whole / 200)


def test_a_life_without_a_declared_use_is_not_told(site: Site) -> None:
    model = site.model()
    life = {"joules": {"use": 1.0, "total": 2.0}, "gco2e": {"total": 1e-9, "use": 1e-10}}
    job = replace(site.store.get_job(site.project, model.job_id), request={})
    report = report_of(facts(job, receipt=bill(), model=replace(model, card={"lifetime": life})))
    told = {one.name: one for one in report.use}
    assert told["life_gco2"].value is None
    assert told["life_gco2"].text == "not told: no predictions per day were declared"
    assert not any("life" in one.functional_unit for one in report.sci.scores)


def test_the_limit_and_what_was_used_of_it_are_of_one_basis(site: Site) -> None:
    """Features, search and refit count against a limit: not the reading, nor the trial use."""
    result = {"stop": {"used": 3.0, "limit": 56.0, "unit": "expected_cpu_seconds"}}
    job = a_job(site, request={"limits": {"cpu_seconds": 60}}, result=result)
    billed = bill()
    taken = sum(one["cpu_seconds"] for one in billed["phases"] if one["name"] != "ingest")
    report = report_of(facts(job, receipt=billed))
    told = {one.name: one for one in report.compute}
    assert told["counted_cpu_seconds"].value == pytest.approx(taken) == 36
    assert told["counted_cpu_seconds"].text == "36 CPU-s (60 %)"
    (point,) = (one for one in report.green_automl.points if one.id == "savings")
    assert point.evidence == [
        "Its mode lets the trials of a search be expected to take 56 CPU-seconds; 3 (5.4 %) were "
        "used when it stopped. The rest was left, not searched with.",
        "Of the request's limit of 60 CPU-seconds, which counts features, search and refit, 36 "
        "(60 %) were used, as billed.",
    ]


def test_a_job_that_was_not_put_off_says_what_its_seconds_are(site: Site) -> None:
    receipt = bill()
    receipt["levers"]["later"] |= {"policy": "now", "waited_seconds": 17.2, "paused_seconds": 0}
    later = report_of(facts(a_job(site), receipt=receipt)).later
    (waited,) = (one for one in later.figures if one.name == "waited")
    assert (waited.label, waited.text) == ("In the queue, starting, and between phases", "17.2 s")
    assert "It was not put off: nothing was moved to a cleaner hour." in later.notes
    assert not any("at once" in note for note in later.notes)


def test_no_uncertainty_of_an_intensity_is_said(site: Site) -> None:
    assert "no uncertainty is known of it" in markdown(report_of(facts(a_job(site))))
    receipt = bill()
    receipt["intensity"]["error_grams"] = 7.5
    text = markdown(report_of(facts(a_job(site), receipt=receipt)))
    assert "off by 7.5 g/kWh" in text


def test_brute_force_is_told_with_how_sure_it_is(done: Site) -> None:
    notes = done.get(path(done)).json["less"]["notes"]
    assert any("0.52 to 1.89 times" in note for note in notes)


def test_every_point_has_a_public_source_and_claims_no_more_than_is_shown(done: Site) -> None:
    found = done.get(path(done)).json
    for name in ("green_automl", "afnor"):
        listed = found[name]
        points = listed["points"]
        assert len({one["id"] for one in points}) == len(points) >= 10
        for one in points:
            assert one["sources"], one["id"]
            for source in one["sources"]:
                assert source["url"].startswith("https://")
                assert source["title"]
                assert source["by"]
            status = {(True, False): "answered", (True, True): "partly"}.get(
                (bool(one["evidence"]), bool(one["missing"])), "not available"
            )
            assert one["status"] == status, one["id"]
            assert one["evidence"] or one["missing"], one["id"]
        counted = [listed[f"n_{state}"] for state in ("answered", "partly", "not_available")]
        assert sum(counted) == len(points)
    text = done.get(f"{path(done)}?format=html").text
    for one in (*found["afnor"]["points"], *found["green_automl"]["points"]):
        assert one["sources"][0]["url"].replace("&", "&amp;") in text


def test_evidence_follows_the_job(site: Site) -> None:
    with_limit = a_job(site, request={"limits": {"gco2e": 5.0}})
    without = replace(with_limit, request={})

    def statuses(job: Job, **changes: Any) -> dict[str, str]:
        return {one.id: one.status for one in afnor(facts(job, **changes)).points}

    assert statuses(with_limit)["BP 13"] == "answered"
    assert statuses(without)["BP 13"] == "partly"
    assert statuses(without)["confined"] == "not available"
    assert statuses(without)["tools"] == "answered"
    silent = {**bill(), "reference": {"ratio": None, "reason": "it would not start"}}
    assert statuses(without, receipt=silent)["tools"] == "not available"
    assert statuses(without)["limits"] == "not available"


def test_no_brute_force_no_saving(site: Site) -> None:
    silent = json.loads(json.dumps(bill()))
    silent["levers"]["less"] |= {"brute_joules": None, "brute_force": None}
    site.job()
    site.finish(site.claim(), receipt=silent)
    found = site.get(path(site)).json
    assert (found["less"]["saved_gco2"], found["less"]["saved_text"]) == (None, "not known")


def test_a_phase_that_took_no_time(site: Site) -> None:
    empty = bill(work=[stretch("search", 5, 5, 0)])
    site.job()
    site.finish(site.claim(), receipt=empty)
    assert site.get(path(site)).json["total"]["kwh_text"] == "0 kWh"
    for form in ("html", "markdown"):
        assert site.get(f"{path(site)}?format={form}").status_code == 200


def test_the_data_may_be_gone(done: Site) -> None:
    job = done.store.get_job(done.project, job_id(done))
    done.store.delete_dataset(done.project, job.dataset_id, force=True, now=NOW, actor="test")
    found = done.get(path(done))
    assert found.status_code == 200
    assert found.json["total"]["kwh"] > 0
