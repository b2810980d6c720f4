"""Jobs that start from a model: what is refused, and train, add rows, train again over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from automl.search.champion import Champion
from scheduler.execution import execute
from tests.api import tables
from tests.api.parts import Site, build


def test_an_unknown_model_is_404(site: Site) -> None:
    for name in ("nothing", "nothing/2", "0" * 32):
        answer = site.submit(warm_start_from=name)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_model_of_another_project_is_404(site: Site) -> None:
    site.model("customers-y")
    body = {"dataset": site.upload(), "target": "y", "warm_start_from": "customers-y"}
    answer = site.post("/v1/jobs", json=body, secret=site.other_secret)
    assert answer.status_code == 404


def test_a_deleted_model_is_410_and_one_still_building_409(site: Site) -> None:
    site.model("customers-y")
    site.call("DELETE", "/v1/models/customers-y")
    assert site.submit(warm_start_from="customers-y").status_code == 410
    site.job(model="coming")
    answer = site.submit(warm_start_from="coming")
    assert (answer.status_code, answer.json["code"]) == (409, "model_not_ready")


@pytest.mark.parametrize("name", ["", "Name", "a/0", "a/b", "a/1/2", 7, "a/99999999999"])
def test_what_can_be_no_model_is_422(site: Site, name: Any) -> None:
    answer = site.submit(warm_start_from=name)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")


def test_columns_that_the_job_does_not_have_are_422(site: Site) -> None:
    site.model("customers-y")  # its card names a column that the data do not have
    answer = site.submit(warm_start_from="customers-y/1")
    assert (answer.status_code, answer.json["code"]) == (422, "missing_columns")
    assert answer.json["column"] == "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("warm"), reads_files=True)
    yield made
    made.predictor.stop()  # type: ignore[attr-defined]
    made.store.close()


ROWS = tables.rows(3000, n_positive=300, seed=4)


def uploaded(site: Site, rows: list[dict[str, Any]]) -> str:
    answer = site.post(
        "/v1/datasets?name=cards.csv", data=tables.csv(rows), content_type="text/csv"
    )
    end = time.monotonic() + 240
    while site.get(answer.headers["Location"]).json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return str(answer.json["id"])


def searched(site: Site, dataset: str, **request: Any) -> Any:
    answer = site.post("/v1/jobs", json={"dataset": dataset, "target": "y", **request})
    assert answer.status_code == 202, answer.text
    job = site.claim()
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    found = site.get(f"/v1/jobs/{job.id}").json
    assert found["state"] == "DONE", found["problem"]
    return found


def search_seconds(site: Site, job: Any) -> float:
    phases = site.get(f"/v1/jobs/{job['id']}/receipt").json["phases"]
    return float(sum(p["cpu_seconds"] for p in phases if p["name"] in ("search", "refit")))


@pytest.mark.slow
def test_train_add_rows_train_again(real: Site) -> None:
    old = searched(real, uploaded(real, ROWS[:2100]))
    grown = uploaded(real, ROWS)
    new = searched(real, grown, warm_start_from=old["model"])
    assert search_seconds(real, new) < 0.6 * search_seconds(real, old)
    card = real.get(f"/v1/models/{new['model']}/card").json
    parent = card["provenance"]["started_from"]["model"]
    assert (parent["name"], parent["version"]) == (old["model"], 1)
    assert card["version"] == 2
    start = real.get(f"/v1/jobs/{new['id']}/receipt").json["levers"]["less"]["start"]
    assert start["kind"] == "recalled"
    assert abs(start["n_rows_new"] - 900) <= 30
    assert 0 < start["expected_cpu_seconds"] < start["expected_cpu_seconds_without"]
    assert start["expected_saved_gco2e"] > 0
    text = real.get(f"/v1/models/{new['model']}/card", headers={"Accept": "text/markdown"}).text
    assert "started from" in text
    life = card["lifetime"]["joules"]
    assert life["total"] == pytest.approx(sum(one for n, one in life.items() if n != "total"))
    assert 0 < card["lifetime"]["gco2e"]["total"] < life["total"]
    bill = real.get(f"/v1/jobs/{new['id']}/receipt").json
    spent = life["search"] + life["refit"]
    assert spent == pytest.approx(bill["total"]["joules"])  # never less than what was billed
    use = bill["predict_per_1000_rows"]["joules"] * card["lifetime"]["predictions"] / 1000
    assert life["use"] == pytest.approx(use)
    assert card["lifetime"]["declared"] is False
    assert 0 < card["row_milliseconds"] < 1000
    assert "## What its life is expected to take" in text
    # By id, and an older version by number: both are the first model here.
    first = real.store.get_model(real.project, old["model"], version=1)
    for reference in (first.id, f"{old['model']}/1"):
        again = searched(real, grown, warm_start_from=reference)
        newest = real.store.get_model(real.project, again["model"])
        champion = Champion.load(real.artifacts.path(newest.artifact), sha256=newest.sha256)
        assert champion.provenance["started_from"]["model"]["id"] == first.id


@pytest.mark.slow
def test_another_value_of_the_target_is_said(real: Site) -> None:
    rows = [{**row, "y": "yes" if row["y"] else "no"} for row in ROWS]
    dataset = uploaded(real, rows)
    old = searched(real, dataset, positive="yes", model="texts", mode="eco")
    answer = real.post(
        "/v1/jobs",
        json={"dataset": dataset, "target": "y", "positive": ["yes"], "warm_start_from": "texts"},
    )
    assert [w["code"] for w in answer.json["warnings"]] == ["other_target"]
    real.post(f"/v1/jobs/{answer.json['id']}/cancel")
    assert old["state"] == "DONE"


@pytest.mark.slow
def test_a_model_deleted_after_the_job_was_accepted_fails_it(real: Site) -> None:
    dataset = uploaded(real, ROWS[:1500])
    searched(real, dataset, model="gone", mode="eco")
    body = {"dataset": dataset, "target": "y", "model": "next", "warm_start_from": "gone"}
    answer = real.post("/v1/jobs", json=body)
    real.call("DELETE", "/v1/models/gone")
    job = real.claim()
    assert job.id == answer.json["id"]
    execute(job.id, job.epoch, store=real.store, artifacts=real.artifacts, settings=real.settings)
    found = real.get(f"/v1/jobs/{job.id}").json
    assert (found["state"], found["problem"]["code"]) == ("FAILED", "deleted")
