"""Nobody is let in by accident, and no project sees another."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.auth import FAILURES_PER_MINUTE, PUBLIC, allowed_hosts
from scheduler.config import Settings
from scheduler.records import Batch
from tests.api.parts import Site, build

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def test_every_route_and_method_denies_without_a_token(tmp_path: Path) -> None:
    site = build(tmp_path, requests_per_minute=10**6)
    seen = 0
    for rule in site.app.url_map.iter_rules():
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", uuid.uuid4().hex).replace(f"<path:{name}>", "x")
        for method in METHODS:
            status = site.call(method, path, secret="").status_code
            if rule.endpoint in PUBLIC and method in (rule.methods or ()):
                assert status in (200, 404), (method, path, status)
            else:
                # 429 once the failures of this address were too many: still nobody is let in.
                assert status in (401, 429), (method, path, status)
                seen += 1
    assert seen > 100
    site.store.close()


def test_public_is_exactly_what_was_decided(site: Site) -> None:
    public = {rule.rule for rule in site.app.url_map.iter_rules() if rule.endpoint in PUBLIC}
    assert public == {
        "/",
        "/docs",
        "/healthz",
        "/openapi.json",
        "/readyz",
        "/static/<path:filename>",
        "/v2/health/live",
        "/v2/health/ready",
    }


def test_unknown_paths_need_a_token_too(site: Site) -> None:
    assert site.get("/v2/jobs", secret="").status_code == 401
    assert site.get("/v2/jobs").status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpw",
        "Bearer x",
        "Bearer " + "x" * 10_000,
        "token x",
        "Bearer caf\xe9",
    ],
)
def test_what_is_no_token_is_401(site: Site, header: str) -> None:
    answer = site.call("GET", "/v1/jobs", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["code"] in ("token_required", "invalid_token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="frugal"'


def test_revoked_and_expired_tokens_are_401(site: Site) -> None:
    assert site.get("/v1/jobs").status_code == 200
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired, _ = site.store.add_token(
        site.project, name="old", now=past - timedelta(days=1), expires_at=past
    )
    assert site.get("/v1/jobs", secret=expired).json["code"] == "invalid_token"
    site.store.revoke_token(site.token_id, now=datetime.now(UTC))
    assert site.get("/v1/jobs").json["code"] == "invalid_token"


def test_a_token_in_the_query_is_none(site: Site) -> None:
    assert site.get(f"/v1/jobs?token={site.secret}", secret="").status_code == 401


def test_failures_are_limited_per_address_but_never_a_valid_token(site: Site) -> None:
    statuses = [
        site.get("/v1/jobs", secret="wrong").status_code for _ in range(FAILURES_PER_MINUTE + 5)
    ]
    assert statuses[:FAILURES_PER_MINUTE] == [401] * FAILURES_PER_MINUTE
    refused = site.get("/v1/jobs", secret="wrong")
    assert refused.status_code == 429
    assert refused.json["code"] == "rate_limited"
    assert int(refused.headers["Retry-After"]) > 0
    assert site.get("/v1/jobs").status_code == 200
    elsewhere = site.client.get("/v1/jobs", environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert elsewhere.status_code == 401


def test_too_many_requests_of_one_token(tmp_path: Path) -> None:
    site = build(tmp_path, requests_per_minute=3)
    statuses = [site.get("/v1/jobs").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = site.get("/v1/jobs")
    assert refused.mimetype == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert site.get("/v1/jobs", secret=site.other_secret).status_code == 200
    site.store.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_foreign_host_is_421_on_every_method(site: Site, method: str, host: str) -> None:
    for path in ("/v1/jobs", "/healthz", "/docs"):
        answer = site.call(method, path, headers={"Host": host})
        assert answer.status_code == 421
        if method != "HEAD":
            assert answer.json["code"] == "unknown_host"


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080"])
def test_own_hosts_are_answered(site: Site, host: str) -> None:
    assert site.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_allowed_hosts_follow_the_settings() -> None:
    settings = Settings(host="10.1.2.3", allowed_hosts=("frugal.bank.example",))
    assert {"10.1.2.3", "frugal.bank.example", "localhost"} <= set(allowed_hosts(settings))
    assert "0.0.0.0" not in allowed_hosts(Settings(host="0.0.0.0"))


def test_another_projects_ids_are_unknown_to_the_byte(site: Site) -> None:
    dataset_id, model = site.upload(), site.model()
    job_id = model.job_id
    unknown = uuid.uuid4().hex
    at = {"model": model.name, "at": {"start": "02:30"}, "time_zone": "Europe/Paris"}
    schedule_id = site.post("/v1/schedules", json=at).json["id"]
    upload_id = site.post("/v1/uploads", json={"name": "pieces", "size": 3}).json["id"]
    batch = site.store.add_batch(
        Batch(
            id=uuid.uuid4().hex,
            project_id=site.project,
            model_id=model.id,
            dataset_id=dataset_id,
            format="csv",
            state="RUNNING",
            created_at=datetime.now(UTC),
        )
    )
    pairs = [
        ("GET", "/v1/datasets/{}", dataset_id),
        ("GET", "/v1/datasets/{}/profile", dataset_id),
        ("DELETE", "/v1/datasets/{}", dataset_id),
        ("DELETE", "/v1/datasets/{}?force=true", dataset_id),
        ("GET", "/v1/jobs/{}", job_id),
        ("POST", "/v1/jobs/{}/cancel", job_id),
        ("POST", "/v1/jobs/{}/pause", job_id),
        ("POST", "/v1/jobs/{}/resume", job_id),
        ("GET", "/v1/jobs/{}/events", job_id),
        ("GET", "/v1/jobs/{}/leaderboard", job_id),
        ("GET", "/v1/jobs/{}/receipt", job_id),
        ("GET", "/v1/jobs/{}/frugality", job_id),
        ("GET", "/v1/jobs/{}/picks", job_id),
        ("GET", "/v1/jobs/{}/emissions", job_id),
        ("GET", "/v2/models/{}", model.name),
        ("GET", "/v2/models/{}/ready", model.name),
        ("POST", "/v2/models/{}/infer", model.name),
        ("GET", "/v2/models/{}/versions/1", model.name),
        ("GET", "/v2/models/{}/versions/1/ready", model.name),
        ("POST", "/v2/models/{}/versions/1/infer", model.name),
        ("GET", "/v1/models/{}", model.name),
        ("GET", "/v1/models/{}/card", model.name),
        ("GET", "/v1/models/{}/curves", model.name),
        ("GET", "/v1/models/{}/drift", model.name),
        ("GET", "/v1/models/{}/frugality", model.name),
        ("GET", "/v1/models/{}/export", model.name),
        ("POST", "/v1/models/{}/predict", model.name),
        ("GET", "/v1/models/{}/promotions", model.name),
        ("POST", "/v1/models/{}/promote", model.name),
        ("POST", "/v1/models/{}/rollback", model.name),
        ("POST", "/v1/models/{}/outcomes", model.name),
        ("DELETE", "/v1/models/{}", model.name),
        ("GET", "/v1/datasets/{}/versions", dataset_id),
        ("POST", "/v1/datasets/{}/versions", dataset_id),
        ("GET", "/v1/schedules/{}", schedule_id),
        ("GET", "/v1/schedules/{}/runs", schedule_id),
        ("PATCH", "/v1/schedules/{}", schedule_id),
        ("DELETE", "/v1/schedules/{}", schedule_id),
        ("POST", "/v1/models/{}/predictions", model.name),
        ("GET", "/v1/predictions/{}", batch.id),
        ("GET", "/v1/predictions/{}/content", batch.id),
        ("DELETE", "/v1/predictions/{}", batch.id),
        ("GET", "/v1/uploads/{}", upload_id),
        ("PUT", "/v1/uploads/{}/chunks/0", upload_id),
        ("POST", "/v1/uploads/{}/complete", upload_id),
        ("DELETE", "/v1/uploads/{}", upload_id),
    ]
    with_ids = {
        (method, rule.rule)
        for rule in site.app.url_map.iter_rules()
        if rule.arguments and rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert len({(method, path.split("?")[0]) for method, path, _ in pairs}) == len(with_ids)
    for method, path, known in pairs:
        body: dict[str, Any] = {"rows": []}
        if method == "PATCH":
            body = {"state": "PAUSED"}
        elif path.endswith("/infer"):
            one = {"name": "age", "shape": [1], "datatype": "INT64", "data": [41]}
            body = {"inputs": [one]}
        elif path.endswith("/promote"):
            body = {"version": 1}
        elif path.endswith("/predictions"):
            body = {"dataset": dataset_id, "format": "csv"}
        given: dict[str, Any] = {"json": body}
        if path.endswith("/versions") and method == "POST":
            given = {"data": b"age;y\n1;0\n", "content_type": "text/csv"}
        elif method == "PUT":
            digest = hashlib.sha256(b"abc").hexdigest()
            given = {"data": b"abc", "query_string": {"sha256": digest}}
        foreign, absent = (
            site.call(method, path.format(one), secret=site.other_secret, **given)
            for one in (known, unknown)
        )
        assert foreign.status_code == absent.status_code == 404, (method, path)
        assert foreign.data == absent.data
        assert dict(foreign.headers) == dict(absent.headers)
    body = {"dataset": dataset_id, "target": "y"}
    foreign = site.post("/v1/jobs", json=body, secret=site.other_secret)
    absent = site.post("/v1/jobs", json={**body, "dataset": unknown}, secret=site.other_secret)
    assert foreign.status_code == absent.status_code == 404
    assert foreign.data == absent.data
    for path in ("/v1/datasets", "/v1/jobs", "/v1/models"):
        assert site.get(path, secret=site.other_secret).json["items"] == []
    assert site.get(f"/v1/datasets/{dataset_id}").status_code == 200


def test_security_headers(site: Site) -> None:
    for path in ("/", "/docs", "/healthz", "/v1/jobs", "/v1/nothing", "/static/frugal.css"):
        headers = site.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'; frame-ancestors")
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert site.get("/v1/jobs").headers["Cache-Control"] == "no-store"
    assert "Authorization" in site.get("/v1/jobs").headers["Vary"]


def test_no_secret_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        site.get("/v1/jobs")
        site.get("/v1/jobs", secret="wrong-secret-canary")
    assert site.secret not in caplog.text
    assert "wrong-secret-canary" not in caplog.text
