"""What the page of a job says of limits, trials and its model."""

from __future__ import annotations

import pytest

from api.pages.asking import get
from scheduler.records import Model
from tests.api.pages.test_pages import ask
from tests.api.parts import NOW, Site


def test_the_limit_is_the_users_and_an_ensemble_is_no_trial(site: Site) -> None:
    made = site.job(limits={"trials": 8}, mode="eco")
    job = site.claim()
    site.trial(job, 0, score=0.2)
    site.trial(job, 1, score=0.5)
    site.trial(job, 2, score=0.6, model="ensemble")
    site.trial(job, 3, score=0.4, model="distilled")
    stop = {"reason": "rate", "limit": 1.5, "unit": "expected_cpu_seconds", "rate": 0.05}
    site.finish(job, result={"front": [0, 2], "picks": {"recommended": 2}, "stop": stop})
    page = ask(site, f"/ui/jobs/{made}").text
    assert "The limit that you set" in page
    assert "2 of 8 trials" in page
    assert "and an ensemble, a distilled model of them" in page
    assert "limit of the mode &#39;eco&#39;, expected CPU-seconds" in page
    board = ask(site, f"/ui/jobs/{made}/leaderboard").text
    assert "2 trials and an ensemble, a distilled model of them" in board
    assert "1 found" in ask(site, f"/ui/jobs/{made}/leaderboard?model=ensemble").text


def test_one_trial_is_not_one_trials(site: Site) -> None:
    made = site.job()
    job = site.claim()
    site.trial(job, 0, score=0.2)
    site.finish(job)
    for path in (f"/ui/jobs/{made}", f"/ui/jobs/{made}/leaderboard", "/ui/jobs"):
        assert "1 trials" not in ask(site, path).text


def test_nothing_links_to_a_model_that_was_deleted(site: Site) -> None:
    job_id, address = _registered(site, "short-lived", trials=2), "/ui/models/short-lived"
    paths = [f"/ui/jobs/{job_id}", f"/ui/jobs/{job_id}/leaderboard", "/ui/jobs", "/ui/"]
    paths += [f"/ui/jobs/{job_id}/compare?trial=0&trial=1", "/ui/models"]
    assert address in ask(site, paths[0]).text
    assert site.call("DELETE", "/v1/models/short-lived").status_code == 204
    for path in paths:
        page = ask(site, path)
        assert page.status_code == 200
        assert address not in page.text, path
    assert "was deleted" in ask(site, paths[0]).text
    gone = ask(site, address)
    assert gone.status_code == 410
    for said in ("It was deleted", "their leaderboards, bills", "/ui/jobs", "/ui/models"):
        assert said in gone.text


def test_a_job_names_the_version_that_it_made(site: Site) -> None:
    first, second = site.model("again"), site.model("again")
    assert (first.version, second.version) == (1, 2)
    for model in (first, second):
        found = site.get(f"/v1/jobs/{model.job_id}").json
        assert found["model_version"] == model.version
    listed = {one["id"]: one["model_version"] for one in site.get("/v1/jobs").json["items"]}
    assert listed == {first.job_id: 1, second.job_id: 2}
    waiting = site.job()
    assert site.get(f"/v1/jobs/{waiting}").json["model_version"] is None


@pytest.mark.parametrize("n_others", [0, 105])
def test_curves_are_of_the_version_that_the_job_made(
    site: Site, monkeypatch: pytest.MonkeyPatch, n_others: int
) -> None:
    """However many models there are, and although a later version answers."""
    for number in range(n_others):
        _registered(site, f"a-{number:03}")
    job_id = _registered(site, "wanted", trials=2)
    _registered(site, "wanted")
    asked: list[str] = []
    monkeypatch.setattr(
        "api.pages.leaderboard.get", lambda path, **query: _noted(asked, path, query)
    )
    assert ask(site, f"/ui/jobs/{job_id}/compare?trial=0&trial=1").status_code == 200
    assert asked == ["1", "1"]


def _noted(asked: list[str], path: str, query: dict[str, object]) -> object:
    if path.endswith("/curves"):
        asked.append(str(query["version"]))
    return get(path, **query)


def _registered(site: Site, name: str, *, trials: int = 0) -> str:
    """Id of a job that registered the next version of a model, without files."""
    job_id = site.job(model=name)
    job = site.claim()
    for number in range(trials):
        site.trial(job, number)
    model = Model(
        id=job.id,
        project_id=site.project,
        name=name,
        version=0,
        job_id=job.id,
        dataset_id=job.dataset_id,
        created_at=NOW,
        artifact=f"models/{job.id}",
        sha256="0" * 64,
        card={"target": "y"},
    )
    site.finish(job, model=model, result={"front": [0], "picks": {}, "champion": 0})
    return job_id
