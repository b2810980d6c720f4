"""Jobs over HTTP: accepted once, cancelled once, told truly."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from api.jobs import model_name
from api.schemas import JobStateName
from automl.cost import Cost
from automl.errors import DataError
from scheduler.records import JobState, Phase
from scheduler.store_outbox import Call
from tests.api.parts import NOW, Site, build


def test_accepted_with_every_default_said(site: Site) -> None:
    site.ingestor.warnings = [{"code": "few_positives", "detail": "1 positive row"}]
    answer = site.submit()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    assert answer.json["state"] == "SUBMITTED"
    assert answer.json["warnings"] == [{"code": "few_positives", "detail": "1 positive row"}]
    request = answer.json["request"]
    assert request["objective"] == {
        "metric": "average_precision",
        "alert_rate": 0.01,
        "recall": None,
        "missed_cost": None,
        "alert_cost": None,
        "predictions_per_day": None,
        "horizon_days": None,
        "retrains": None,
        "pick": "recommended",
    }
    assert request["limits"] == dict.fromkeys(
        ("gco2e", "joules", "cpu_seconds", "wall_seconds", "trials", "least_gain_per_gram")
    )
    assert request["when"] == {
        "policy": "now",
        "zone": None,
        "start_after": None,
        "latest_start": None,
        "finish_by": None,
        "interruptible": None,
        "floor": 0.03,
    }
    assert (request["seed"], request["mode"], request["positive"]) == (0, "balanced", None)
    assert request["model"] == answer.json["model"] == "data-y"
    assert site.service.woken == 1
    assert site.get(answer.headers["Location"]).json == answer.json


def test_admission_sees_the_whole_request(site: Site) -> None:
    site.job(positive=["oui", 1], time_column="t", group_column="g", exclude=["duration"])
    seen = site.ingestor.admitted[0]
    assert seen["positive"] == ["oui", 1]
    assert (seen["time_column"], seen["group_column"], seen["exclude"]) == ("t", "g", ["duration"])


def test_a_refused_job_is_not_there(site: Site) -> None:
    site.ingestor.refusal = DataError(
        "there is no column 'fragil'", code="target_not_found", details={"near": ["fragile"]}
    )
    answer = site.submit(target="fragil")
    assert (answer.status_code, answer.json["code"]) == (422, "target_not_found")
    assert answer.json["details"]["near"] == ["fragile"]
    assert site.get("/v1/jobs").json["items"] == []
    assert site.service.woken == 0


def test_idempotency_key(site: Site) -> None:
    """Row 77."""
    dataset = site.upload()
    key = {"Idempotency-Key": "8f2c"}
    first = site.submit(dataset=dataset, headers=key)
    again = site.submit(dataset=dataset, headers=key)
    assert first.status_code == again.status_code == 202
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(site.get("/v1/jobs").json["items"]) == 1
    other = site.submit(dataset=dataset, seed=1, headers=key)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert site.submit(dataset=dataset).json["id"] != first.json["id"]


def test_idempotency_key_of_a_request_that_still_runs(site: Site) -> None:
    dataset = site.upload()
    body = {"dataset": dataset, "target": "y"}
    seen = []

    def admit(*_: object) -> dict[str, object]:
        seen.append(site.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k"}))
        return {"warnings": []}

    site.ingestor.admit = admit  # type: ignore[method-assign, assignment]
    assert site.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k"}).status_code == 202
    assert [answer.status_code for answer in seen] == [409]
    assert seen[0].json["code"] == "request_in_progress"


def test_a_refused_request_frees_its_key(site: Site) -> None:
    dataset = site.upload()
    key = {"Idempotency-Key": "k"}
    site.ingestor.refusal = DataError("no", code="no_positives")
    assert site.submit(dataset=dataset, headers=key).status_code == 422
    site.ingestor.refusal = None
    assert site.submit(dataset=dataset, headers=key).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 10_000, "a b", "caf\xe9", "a\tb"])
def test_keys_that_are_none(site: Site, key: str) -> None:
    answer = site.submit(headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_idempotency_key")


def test_keys_of_two_projects_do_not_meet(site: Site) -> None:
    key = {"Idempotency-Key": "k"}
    first = site.submit(headers=key)
    uploaded = site.post(
        "/v1/datasets", data=b"a;y\n1;0\n", content_type="text/csv", secret=site.other_secret
    )
    body = {"dataset": uploaded.json["id"], "target": "y"}
    other = site.post("/v1/jobs", json=body, headers=key, secret=site.other_secret)
    assert other.status_code == 202
    assert other.json["id"] != first.json["id"]


def test_the_queue_is_bounded(tmp_path: Path) -> None:
    """Row 78, with a smaller queue."""
    site = build(tmp_path, max_queued_jobs=2)
    dataset = site.upload()
    assert [site.submit(dataset=dataset).status_code for _ in range(2)] == [202, 202]
    refused = site.submit(dataset=dataset)
    assert (refused.status_code, refused.json["code"]) == (429, "queue_full")
    assert int(refused.headers["Retry-After"]) > 0
    site.store.close()


def test_cancel(site: Site) -> None:
    """Row 76: cancelled twice is cancelled once."""
    job_id = site.job()
    path = f"/v1/jobs/{job_id}/cancel"
    assert site.post(path).json["state"] == "CANCELLED"
    assert site.post(path).status_code == 200
    running = site.job()
    site.claim()
    answer = site.post(f"/v1/jobs/{running}/cancel")
    assert (answer.status_code, answer.json["state"]) == (200, "RUNNING")
    assert answer.json["cancel_requested"] is True
    assert site.post(f"/v1/jobs/{running}/cancel").status_code == 200


def test_cancel_of_what_has_ended(site: Site) -> None:
    job_id = site.job()
    site.finish(site.claim())
    answer = site.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json["code"]) == (409, "job_finished")


def test_pause_and_resume_what_waits(site: Site) -> None:
    job_id = site.job()
    paused = site.post(f"/v1/jobs/{job_id}/pause")
    assert (paused.status_code, paused.json["state"], paused.json["start_at"]) == (
        200,
        "PAUSED",
        None,
    )
    assert site.post(f"/v1/jobs/{job_id}/pause").json == paused.json
    resumed = site.post(f"/v1/jobs/{job_id}/resume")
    assert (resumed.status_code, resumed.json["state"]) == (200, "SUBMITTED")
    assert site.claim().id == job_id


def test_pause_what_runs_and_take_it_back(site: Site) -> None:
    job_id = site.job()
    site.claim()
    asked = site.post(f"/v1/jobs/{job_id}/pause").json
    assert (asked["state"], asked["pause_requested"]) == ("RUNNING", True)
    assert site.post(f"/v1/jobs/{job_id}/resume").json["pause_requested"] is False
    refused = site.post(f"/v1/jobs/{job_id}/resume")
    assert (refused.status_code, refused.json["code"]) == (409, "not_paused")


def test_pause_of_what_has_ended(site: Site) -> None:
    """Row 76: paused when finished, resumed when running or finished."""
    job_id = site.job()
    site.finish(site.claim())
    for verb in ("pause", "resume"):
        answer = site.post(f"/v1/jobs/{job_id}/{verb}")
        assert (answer.status_code, answer.json["code"]) == (409, "job_finished")


def test_list_by_state_and_page(site: Site) -> None:
    dataset = site.upload()
    ids = [site.job(dataset=dataset) for _ in range(3)]
    site.finish(site.claim(), state=JobState.FAILED, problem={"code": "x", "detail": "y"})
    failed = site.get("/v1/jobs?state=FAILED").json["items"]
    assert [job["problem"] for job in failed] == [{"code": "x", "detail": "y"}]
    assert len(site.get("/v1/jobs?state=SUBMITTED").json["items"]) == 2
    first = site.get("/v1/jobs?limit=2").json
    second = site.get(f"/v1/jobs?limit=2&cursor={first['next_cursor']}").json
    found = [job["id"] for job in first["items"] + second["items"]]
    assert sorted(found) == sorted(ids)
    assert second["next_cursor"] is None


def test_receipt(site: Site) -> None:
    job_id = site.job()
    path = f"/v1/jobs/{job_id}/receipt"
    so_far = site.get(path).json
    assert (so_far["job"], so_far["final"], so_far["phases"]) == (job_id, False, [])
    assert so_far["total"]["gco2e"] == 0
    site.finish(site.claim(), receipt={"totals": {"joules": float("nan")}})
    answer = site.get(path)
    assert answer.json["final"] is True
    assert answer.json["totals"] == {"joules": None}  # JSON has no NaN


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("bank_marketing.csv", "y", "bank-marketing-y"),
        ("Clients Été.csv.gz", "Défaut?", "clients-ete-defaut"),
        ("../../etc/passwd", "x", "etc-passwd-x"),
        ("數據", "目標", "data-target"),
    ],
)
def test_model_names(site: Site, name: str, target: str, expected: str) -> None:
    dataset_id = site.upload()
    dataset = site.store.get_dataset(site.project, dataset_id)
    from dataclasses import replace

    assert model_name(replace(dataset, name=name), target) == expected
    assert site.get(f"/v1/models/{expected}").status_code == 404


def test_times_are_utc(site: Site) -> None:
    site.job()
    site.finish(site.claim())
    job = site.get("/v1/jobs").json["items"][0]
    assert job["finished_at"] == NOW.isoformat().replace("+00:00", "Z")


def test_every_state_of_a_job_is_in_the_description() -> None:
    assert get_args(JobStateName) == tuple(state.value for state in JobState)


def test_a_webhook_only_to_hosts_that_the_operator_named(tmp_path: Path) -> None:
    site = build(tmp_path, webhook_hosts="hooks.example, other.example:8443")
    answer = site.submit(webhook="https://hooks.example/run?id=1")
    assert answer.status_code == 202
    assert answer.json["request"]["webhook"] == "https://hooks.example/run?id=1"
    for url in (
        "https://evil.example/",
        "http://169.254.169.254/latest/meta-data",
        "https://other.example/",
        "file:///etc/passwd",
        "hooks.example",
    ):
        refused = site.submit(webhook=url)
        assert (refused.status_code, refused.json["code"]) == (422, "webhook_not_allowed"), url
        assert url not in refused.text
    assert site.submit(webhook="").status_code == 422
    site.store.close()


def test_without_allowed_hosts_there_are_no_webhooks(site: Site) -> None:
    assert site.submit(webhook="https://hooks.example/").json["code"] == "webhook_not_allowed"


def test_the_bill_so_far_has_the_phases_that_ended(site: Site) -> None:
    job_id = site.job()
    job = site.claim()
    site.store.add_phase(
        Phase(
            job_id=job_id,
            epoch=job.epoch,
            name="features",
            cost=Cost(cpu_seconds=900, joules=3600, wall_seconds=900, meter="cpu_time"),
            started_at=NOW,
            ended_at=NOW + timedelta(minutes=15),
        )
    )
    found = site.get(f"/v1/jobs/{job_id}/receipt").json
    assert not found["final"]
    (line,) = found["phases"]
    assert line["gco2e"] == pytest.approx(0.001 * line["intensity"]["grams_per_kwh"])
    assert line["intensity"]["share_estimated"] == 1
    assert found["total"]["joules"] == 3600


def test_what_became_of_calls_can_be_read(site: Site) -> None:
    url, payload = "https://hooks.example/x", {"event": "job.failed"}
    call = Call(project_id=site.project, url=url, payload=payload)
    site.store.add_calls([call], now=NOW)
    (taken,) = site.store.take_calls(now=NOW, seconds=60, limit=1)
    problem = {"code": "webhook_given_up", "detail": "attempt 7: answered 500, not accepted"}
    site.store.postpone_call(taken.id, until=None, problem=problem)
    (told,) = site.get("/v1/webhooks").json["items"]
    assert (told["id"], told["url"], told["attempts"]) == (taken.id, url, 1)
    assert (told["delivered_at"], told["next_at"], told["problem"]) == (None, None, problem)
    assert site.get("/v1/webhooks", secret=site.other_secret).json["items"] == []
