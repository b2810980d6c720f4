"""Each route with each role, and that no route was forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.auth import PUBLIC
from api.roles import ROLE_OF, ROLES, role_needed
from tests.api.parts import Site, build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = build(tmp_path_factory.mktemp("roles"), requests_per_minute=10**6)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def secrets(site: Site) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        role: site.store.add_token(site.project, name=role, now=now, role=role)[0] for role in ROLES
    }


def test_every_route_has_its_role_and_no_other_is_named(site: Site) -> None:
    routes = {rule.endpoint for rule in site.app.url_map.iter_rules()} - PUBLIC
    assert routes == set(ROLE_OF)


def test_a_route_that_nobody_thought_of_is_an_admins() -> None:
    assert role_needed("new.route") == "admin"


@pytest.mark.parametrize("role", ROLES)
def test_every_route_with_every_role(site: Site, secrets: dict[str, str], role: str) -> None:
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint in PUBLIC:
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "0" * 32)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = site.call(method, path, secret=secrets[role])
            needed = ROLE_OF[rule.endpoint]
            may = ROLES.index(role) >= ROLES.index(needed)
            assert (answer.status_code != 403) is may, (method, path, role, answer.text)
            if not may:
                assert answer.json["code"] == "forbidden"
                assert f"needs the role {needed}" in answer.json["detail"]
                assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_the_issue_asks_of_an_analyst(site: Site, secrets: dict[str, str]) -> None:
    """It cannot promote, erase, or see the audit."""
    model = site.model()
    analyst = secrets["analyst"]
    for method, path, body in (
        ("POST", f"/v1/models/{model.name}/promote", {"version": 1}),
        ("POST", f"/v1/models/{model.name}/rollback", None),
        ("DELETE", f"/v1/models/{model.name}", None),
        ("DELETE", f"/v1/datasets/{model.dataset_id}", None),
        ("GET", "/v1/audit", None),
    ):
        assert site.call(method, path, secret=analyst, json=body).status_code == 403
    schedule: dict[str, Any] = {
        "model": model.name,
        "at": {"start": "02:00"},
        "time_zone": "Europe/Paris",
    }
    made = site.post("/v1/schedules", json=schedule, secret=analyst)
    assert made.status_code == 201
    auto = site.post("/v1/schedules", json={**schedule, "promote": "auto"}, secret=analyst)
    assert (auto.status_code, auto.json["code"]) == (403, "forbidden")
    made = site.post(
        "/v1/schedules", json={**schedule, "promote": "auto"}, secret=secrets["approver"]
    )
    assert made.status_code == 201
    path = f"/v1/schedules/{made.json['id']}"
    for state in ("PAUSED", "ACTIVE"):
        answer = site.call("PATCH", path, json={"state": state}, secret=analyst)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    answer = site.call("DELETE", path, secret=analyst)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert site.get(path).json["state"] == "ACTIVE"
    own = f"/v1/schedules/{site.post('/v1/schedules', json=schedule, secret=analyst).json['id']}"
    for at, secret in ((path, secrets["approver"]), (own, analyst)):
        answer = site.call("PATCH", at, json={"state": "PAUSED"}, secret=secret)
        assert answer.json["state"] == "PAUSED"
        assert site.call("DELETE", at, secret=secret).status_code == 204


def test_an_unknown_path_is_404_for_everybody(site: Site, secrets: dict[str, str]) -> None:
    assert site.get("/v1/nothing", secret=secrets["viewer"]).status_code == 404


def test_who_did_it_is_in_the_audit(tmp_path: Path) -> None:
    site = build(tmp_path)
    model = site.model()
    site.post(f"/v1/models/{model.name}/promote", json={"version": 1, "because": "it is good"})
    site.job(accept_leakage=["age"])
    site.call("DELETE", f"/v1/models/{model.name}")
    answer = site.get("/v1/audit?verify=true").json
    assert (answer["verified"], answer["first_broken"]) == (True, None)
    lines = [one for one in answer["items"] if one["action"] != "token.add"]
    assert [one["action"] for one in lines] == [
        "model.promote",
        "job.accept_leakage",
        "model.delete",
    ]
    assert {one["actor"] for one in lines} == {f"token {site.token_id}"}
    assert lines[0]["details"]["because"] == "it is good"
    assert site.secret not in str(answer)
    page = site.get("/v1/audit?limit=1").json
    assert (len(page["items"]), page["next_after"], page["verified"]) == (1, 1, None)
    assert site.get("/v1/audit", secret=site.other_secret).json["items"][0]["action"] == "token.add"
    site.store.close()
