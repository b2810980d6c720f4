"""What the service knows and what it suggested, over HTTP."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from automl.meta.knowledge import EXPLORE_EVERY, Knowledge
from scheduler.knowledge import LocalKnowledge
from tests.api.parts import Site
from tests.scheduler.test_knowledge import line

SUGGESTION = {
    "candidate": "0123456789ab",
    "name": "RF",
    "model": "random_forest",
    "stage": "expand",
    "tried": True,
    "why": "0.6 % is worth its cost",
    "gain_percent": 0.6,
    "standard_error": 0.3,
    "weight": 12.0,
    "alive": 1.0,
    "expected_cpu_seconds": 0.4,
}


def test_it_shows_configurations_order_gains_and_families(site: Site) -> None:
    answer = site.get("/v1/knowledge")
    assert answer.status_code == 200, answer.text
    told, shipped = answer.json, Knowledge.shipped()
    assert told["digest"] == shipped.digest
    assert told["n_shipped"] == len(shipped.tasks)
    assert told["n_local"] == 0
    assert {one["id"] for one in told["configs"]} == {config.id for config in shipped.configs}
    usual = shipped.portfolio("balanced")
    steps = told["modes"]["balanced"]
    assert [one["id"] for one in steps if one["stage"] == "first"] == [c.id for c in usual.first]
    assert steps[0]["gain_percent"] is None
    assert all(one["gain_percent"] is not None for one in steps[1:])
    assert 0 < told["families"]["forest"]["rate"] < 1
    assert told["growth"]["explore_every"] == EXPLORE_EVERY
    assert told["suggested"] is None


def test_what_jobs_added_is_counted_for_their_own_project_only(site: Site) -> None:
    job_id = site.job()
    job = site.store.get_job(site.project, job_id)
    LocalKnowledge(site.settings, site.project).add(line(), job=job)
    own = site.get("/v1/knowledge").json
    assert (own["n_local"], own["growth"]["n_jobs"]) == (1, 1)
    other = site.get("/v1/knowledge", secret=site.other_secret).json
    assert (other["n_local"], other["growth"]["n_jobs"]) == (0, 0)
    assert other["digest"] != own["digest"]


def test_what_was_suggested_for_a_job_and_why(site: Site) -> None:
    job_id = site.job()
    waiting = site.get(f"/v1/knowledge?job={job_id}").json["suggested"]
    assert (waiting["state"], waiting["suggestions"], waiting["digest"]) == ("SUBMITTED", [], None)
    kept = {"digest": "0" * 16, "n_tasks": 46, "suggestions": [SUGGESTION]}
    site.finish(site.claim(), result={"front": [0], "picks": {}, "knowledge": kept})
    told = site.get(f"/v1/knowledge?job={job_id}").json["suggested"]
    assert told["suggestions"] == [SUGGESTION]
    assert (told["job"], told["state"], told["digest"]) == (job_id, "DONE", "0" * 16)


@pytest.mark.parametrize("query", ["job=", "job=" + "a" * 65, "job=unknown", "other=1"])
def test_bad_queries_are_problems(site: Site, query: str) -> None:
    answer = site.get(f"/v1/knowledge?{query}")
    assert answer.status_code in (404, 422), answer.text
    assert answer.content_type.startswith("application/problem+json")


def test_it_needs_a_token_and_the_job_of_ones_own_project(site: Site) -> None:
    assert site.get("/v1/knowledge", secret="").status_code == 401
    job_id = site.job()
    other = site.get(f"/v1/knowledge?job={job_id}", secret=site.other_secret)
    assert other.status_code == 404


def test_it_is_described(site: Site) -> None:
    described: dict[str, Any] = site.get("/openapi.json", secret="").json
    operation = described["paths"]["/v1/knowledge"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("/KnowledgeAnswer")
    assert "KnownStep" in described["components"]["schemas"]


def test_knowing_loads_no_numerical_library() -> None:
    code = (
        "import sys; from automl.meta.knowledge import Knowledge; import automl.meta.growth;"
        "Knowledge.shipped().portfolio('balanced');"
        "print([m for m in ('numpy', 'pandas', 'sklearn', 'lightgbm') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
