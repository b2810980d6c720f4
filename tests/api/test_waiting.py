"""The queue as it is told: in the order in which jobs are claimed."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.api.parts import Site


def test_places_are_those_of_the_claims(site: Site) -> None:
    first, paused, second = (site.job(model=name) for name in ("a", "b", "c"))
    site.post(f"/v1/jobs/{paused}/pause")
    other = site.post("/v1/datasets", data=b"age;y\n1;0\n2;1\n", secret=site.other_secret)
    body = {"dataset": other.json["id"], "target": "y"}
    site.post("/v1/jobs", json=body, secret=site.other_secret)
    third = site.job(model="d")
    answer = site.get("/v1/queue").json
    assert [line["job"] for line in answer["items"]] == [first, second, third, paused]
    assert [line["position"] for line in answer["items"]] == [1, 2, 4, None]
    assert answer["running"] == 0
    assert answer["due"] == 4
    assert "paused by its user" in answer["items"][3]["why"]
    assert "3 jobs are before it" in answer["items"][2]["why"]
    assert site.claim().id == first
    answer = site.get("/v1/queue").json
    assert [line["position"] for line in answer["items"]] == [1, 3, None]
    assert answer["items"][0]["why"] == "waits for a process: 1 of 1 is busy, it is the next"


def test_a_job_in_its_window_says_why_it_waits(site: Site) -> None:
    job_id = site.job()
    later = datetime(2100, 1, 1, 13, 0, tzinfo=UTC)
    job = site.claim()
    site.store.pause_job(
        job.id, epoch=job.epoch, until=later, reason="its slot is over", now=datetime.now(UTC)
    )
    line = site.get("/v1/queue").json["items"][0]
    assert line["job"] == job_id
    assert line["position"] is None
    assert line["why"] == "goes on at 2100-01-01 13:00 UTC"
