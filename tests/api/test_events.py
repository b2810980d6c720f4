"""What happens to a job, streamed and polled."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.progress import Progress, most_trials
from scheduler.errors import StoreUnavailable
from scheduler.records import Event, Job, JobState
from tests.api.parts import NOW, Site, build


def parse(text: str) -> list[dict[str, Any]]:
    """Events of a stream."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            found.append(
                {"id": int(lines["id"]), "event": lines["event"], **json.loads(lines["data"])}
            )
    return found


def finished(site: Site) -> str:
    """Id of a job with two trials that has ended."""
    job_id = site.job(limits={"trials": 4})
    job = site.claim()
    site.trial(job, 0)
    site.trial(job, 1, score=None, interval=None, error="linear: did not converge")
    site.finish(job)
    return job_id


def test_stream_of_a_job_that_has_ended(site: Site) -> None:
    path = f"/v1/jobs/{finished(site)}/events"
    answer = site.get(path)
    assert answer.mimetype == "text/event-stream"
    assert answer.text.startswith("retry: ")
    events = parse(answer.text)
    assert [event["event"] for event in events] == ["state", "state", "trial", "trial", "end"]
    assert [event["id"] for event in events] == [1, 2, 3, 4, 5]
    assert events[2]["data"]["score"] == 0.1
    assert events[2]["data"]["eta_seconds"] == 0.0  # the clock stood still
    assert events[3]["data"]["error"] == "linear: did not converge"
    assert events[-1]["data"]["stop_reason"] == "no refinement is worth its energy"


def test_resume(site: Site) -> None:
    path = f"/v1/jobs/{finished(site)}/events"
    events = parse(site.get(path, headers={"Last-Event-ID": "3"}).text)
    assert [event["id"] for event in events] == [4, 5]
    # All seen: the status that tells a browser not to reconnect.
    assert site.get(path, headers={"Last-Event-ID": "5"}).status_code == 204


def test_events_arrive_while_the_stream_is_open(site: Site) -> None:
    site.app.config["EVENT_STREAM_SECONDS"] = 240.0
    job_id = site.job()
    job = site.claim()

    def work() -> None:
        time.sleep(0.1)
        site.trial(job, 0)
        time.sleep(0.1)
        site.finish(job)

    worker = threading.Thread(target=work)
    worker.start()
    began = time.monotonic()
    events = parse(site.get(f"/v1/jobs/{job_id}/events").text)
    worker.join()
    assert [event["event"] for event in events] == ["state", "state", "trial", "end"]
    assert time.monotonic() - began < 200  # it closed at the end event, not at its age


def test_polling(site: Site) -> None:
    job_id = site.job()
    path = f"/v1/jobs/{job_id}/events"
    first = site.get(path, headers={"Accept": "application/json"}).json
    assert [item["kind"] for item in first["items"]] == ["state"]
    assert (first["last"], first["finished"], first["state"]) == (1, False, "SUBMITTED")
    assert site.get(f"{path}?after=1").json["items"] == []
    site.finish(site.claim())
    last = site.get(f"{path}?after=1").json
    assert [item["kind"] for item in last["items"]] == ["state", "end"]
    assert last["finished"] is True
    assert site.get(f"{path}?after={last['last']}").json["items"] == []


def test_wrong_places_to_resume(site: Site) -> None:
    path = f"/v1/jobs/{site.job()}/events"
    for query in ("?after=-1", "?after=x", "?after=99999999999"):
        assert site.get(f"{path}{query}").status_code == 422
    for last in ("x", "-1", "9" * 20, "１"):
        answer = site.get(path, headers={"Last-Event-ID": last.encode().decode("latin-1")})
        assert answer.status_code == 422


def test_a_stream_ends_after_its_time_and_can_be_resumed(site: Site) -> None:
    path = f"/v1/jobs/{site.job()}/events"
    events = parse(site.get(path).text)
    assert [event["event"] for event in events] == ["state"]
    assert parse(site.get(path, headers={"Last-Event-ID": "1"}).text) == []


def test_viewers_are_capped_and_come_back(tmp_path: Path) -> None:
    site = build(tmp_path, http_threads=4)
    path = f"/v1/jobs/{site.job()}/events"
    open_streams = [site.get(path, buffered=False) for _ in range(2)]
    refused = site.get(path)
    assert (refused.status_code, refused.json["code"]) == (503, "too_many_viewers")
    assert int(refused.headers["Retry-After"]) > 0
    assert site.get(f"{path}?after=0").status_code == 200  # polling holds no thread
    assert site.get(path, headers={"Accept": "application/xml"}).status_code == 406
    for stream in open_streams:
        stream.close()
    assert site.get(path).status_code == 200
    site.store.close()


def test_head_holds_no_place(tmp_path: Path) -> None:
    site = build(tmp_path, http_threads=2)
    path = f"/v1/jobs/{site.job()}/events"
    for _ in range(3):
        assert site.call("HEAD", path).status_code == 200
    site.store.close()


def event(seq: int, kind: str, seconds: float, **data: Any) -> Event:
    at = NOW + timedelta(seconds=seconds)
    return Event(job_id="j", seq=seq, at=at, kind=kind, data=data)


def etas(limits: dict[str, float], costs: list[tuple[float, float]]) -> list[float | None]:
    """Seconds left after each of these trials, by when they ended and their joules."""
    request = {"limits": limits, "mode": "balanced"}
    job = Job(
        id="j",
        project_id="p",
        dataset_id="d",
        request=request,
        state=JobState.RUNNING,
        submitted_at=NOW,
        started_at=NOW,
    )
    progress = Progress(job, grams_per_kwh=3600.0)
    return [
        progress.told(
            event(n, "trial", at, number=n, cost={"joules": joules, "cpu_seconds": joules / 4})
        ).data["eta_seconds"]
        for n, (at, joules) in enumerate(costs)
    ]


def test_eta_is_to_the_first_limit() -> None:
    costs = [(10.0, 100.0), (20.0, 100.0)]
    assert etas({"trials": 4}, costs) == [30.0, 20.0]
    assert etas({"wall_seconds": 40}, costs) == [30.0, 20.0]
    assert etas({"joules": 400}, costs) == [30.0, 20.0]
    assert etas({"cpu_seconds": 100}, costs) == [30.0, 20.0]
    assert etas({"gco2e": 0.4}, costs) == [30.0, 20.0]  # 3600 g/kWh is 1 g per 1,000 J
    assert etas({"joules": 10**6, "trials": 2}, costs) == [10.0, 0.0]


def test_eta_without_a_limit_is_to_the_last_trial_planned() -> None:
    planned = most_trials("balanced")
    assert etas({}, [(10.0, 1.0)]) == [10.0 * (planned - 1)]


def test_a_resumed_reader_gets_the_same_eta(site: Site) -> None:
    job_id = site.job(limits={"joules": 100.0})
    job = site.claim()
    for number in range(3):
        site.trial(job, number)
    site.finish(job)
    path = f"/v1/jobs/{job_id}/events"
    whole = {event["id"]: event for event in parse(site.get(path).text)}
    rest = parse(site.get(path, headers={"Last-Event-ID": "4"}).text)
    assert rest
    assert all(whole[event["id"]] == event for event in rest)


def test_a_stream_ends_early_when_the_database_is_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/jobs/{site.job()}/events"
    stream = site.get(path, buffered=False)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the database is locked")

    monkeypatch.setattr(site.store, "events", away)
    assert stream.text.startswith("retry: ")
    stream.close()
    answer = site.get(f"{path}?after=0")
    assert (answer.status_code, answer.json["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_plans_and_pauses_come_with_their_reasons(site: Site) -> None:
    job_id = site.job()
    job = site.claim()
    until = NOW + timedelta(hours=3)
    store = site.store
    store.pause_job(job.id, epoch=job.epoch, now=NOW, reason="dirty until 15:00", until=until)
    store.request_pause(site.project, job_id, now=NOW)
    store.resume(site.project, job_id, now=NOW)
    site.finish(site.claim())
    events = parse(site.get(f"/v1/jobs/{job_id}/events").text)
    told = [(e["data"]["state"], e["data"].get("reason")) for e in events]
    assert told == [
        ("SUBMITTED", None),
        ("RUNNING", None),
        ("PAUSED", "dirty until 15:00"),
        ("PAUSED", "paused by the user"),
        ("SUBMITTED", "resumed by the user"),
        ("RUNNING", None),
        ("DONE", None),
    ]
    assert events[2]["data"]["start_at"] == until.isoformat()
    assert events[3]["data"].get("start_at") is None


def test_a_plan_is_the_first_event(site: Site) -> None:
    tenant = site.store.get_job(site.project, site.job())
    plan = {"reason": "waits until 13:00", "start_at": NOW.isoformat()}
    job = replace(tenant, id="f" * 32, state=JobState.PLANNED, plan=plan, start_at=NOW)
    site.store.add_job(job, max_queued=9)
    (event,) = parse(site.get(f"/v1/jobs/{job.id}/events").text)
    assert event["data"] == {"state": "PLANNED", **plan}


def test_pauses_do_not_count_in_the_eta() -> None:
    job = Job(
        id="1" * 32,
        project_id="2" * 32,
        dataset_id="3" * 32,
        request={"limits": {"trials": 4}},
        state=JobState.RUNNING,
        submitted_at=NOW,
        started_at=NOW + timedelta(seconds=10),
        epoch=2,
    )

    def event(seconds: float, kind: str, **data: Any) -> Event:
        return Event(
            job_id=job.id, seq=1, at=NOW + timedelta(seconds=seconds), kind=kind, data=data
        )

    progress = Progress(job, grams_per_kwh=50)
    assert progress.needs_history
    progress.skip(
        [
            event(0, "state", state="SUBMITTED"),
            event(10, "state", state="RUNNING"),
            event(30, "trial", number=0),
            event(40, "state", state="PAUSED"),
            event(50, "state", state="PAUSED"),
            event(3640, "state", state="RUNNING"),
        ]
    )
    # 30 s before the pause and 10 after it, for two of four trials.
    assert progress.told(event(3650, "trial", number=1)).data["eta_seconds"] == 40.0


def test_the_newest_and_what_a_browser_asks_for_again(site: Site) -> None:
    path = f"/v1/jobs/{finished(site)}/events"
    answer = site.get(f"{path}?newest=2").json
    assert [event["seq"] for event in answer["items"]] == [4, 5]
    assert answer["last"] == 5
    assert answer["finished"] is True
    assert [event["seq"] for event in site.get(f"{path}?newest=99").json["items"]] == [
        1,
        2,
        3,
        4,
        5,
    ]
    stream = {"Accept": "text/event-stream"}
    assert [event["id"] for event in parse(site.get(f"{path}?after=3", headers=stream).text)] == [
        4,
        5,
    ]
    again = site.get(f"{path}?after=1", headers={**stream, "Last-Event-ID": "4"})
    assert [event["id"] for event in parse(again.text)] == [5]
