"""The cookie opens the pages and lets their own scripts ask; nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cookie import COOKIE, MAX_SECRET, token_of
from tests.api.parts import Site

OWN = {"Sec-Fetch-Site": "same-origin"}


def ask(site: Site, method: str, path: str, *, secret: str | None = None, **headers: str) -> Any:
    """A request as a browser sends it: with the cookie, without an Authorization."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if secret is not None:
        sent["Cookie"] = f"{COOKIE}={secret}"
    return site.app.test_client(use_cookies=False).open(path, method=method, headers=sent)


def sign_in(site: Site, token: str, **form: str) -> Any:
    client = site.app.test_client(use_cookies=False)
    return client.post("/ui/sign-in", data={"token": token, **form}, headers=OWN)


def test_a_token_becomes_a_cookie_that_scripts_cannot_read(site: Site) -> None:
    answer = sign_in(site, site.secret)
    assert (answer.status_code, answer.location) == (303, "/ui/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}={site.secret};")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask(site, "GET", "/ui/", secret=site.secret).status_code == 200


@pytest.mark.parametrize("token", ["", " ", "wrong", "x" * 10_000, "caf\xe9", "a\nb"])
def test_what_is_no_token_signs_nobody_in(site: Site, token: str) -> None:
    answer = sign_in(site, token)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/uixevil",
        "/ui/../evil",
        "/ui//evil",
        "/v1/jobs",
        "/ui\\evil",
        "/ui/\r\nX: y",
    ],
)
def test_nobody_is_sent_to_another_site(site: Site, wanted: str) -> None:
    assert sign_in(site, site.secret, next=wanted).location == "/ui/"


def test_the_page_that_was_asked_for_is_found_again(site: Site) -> None:
    asked = ask(site, "GET", "/ui/jobs?state=DONE")
    assert asked.status_code == 303
    assert asked.location == "/ui/sign-in?next=/ui/jobs?state%3DDONE"
    assert sign_in(site, site.secret, next="/ui/jobs?state=DONE").location == "/ui/jobs?state=DONE"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", OWN, 200),
        ("GET", {"Sec-Fetch-Site": "none"}, 200),  # somebody typed the address
        ("GET", {}, 200),  # a browser without Fetch Metadata; the cookie is SameSite=Strict
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 401),
        ("GET", {"Sec-Fetch-Site": "same-site"}, 401),
        ("GET", {"Origin": "https://evil.example"}, 401),
        ("POST", OWN, 422),  # let in; the body is refused
        ("POST", {"Origin": "http://localhost"}, 422),
        ("POST", {}, 401),
        ("POST", {"Sec-Fetch-Site": "none"}, 401),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 401),
        ("POST", {"Origin": "https://evil.example"}, 401),
        ("POST", {"Origin": "null"}, 401),
        ("POST", {"Origin": "http://["}, 401),
    ],
)
def test_the_cookie_counts_for_the_api_from_own_pages_only(
    site: Site, method: str, headers: dict[str, str], status: int
) -> None:
    sent = {"Cookie": f"{COOKIE}={site.secret}", **headers}
    client = site.app.test_client(use_cookies=False)
    answer = client.open(
        "/v1/jobs", method=method, headers=sent, json={} if method == "POST" else None
    )
    assert answer.status_code == status


def test_a_foreign_cookie_with_odd_bytes_locks_nobody_out(site: Site) -> None:
    client = site.app.test_client(use_cookies=False)
    odd = {"Cookie": f"a=caf\xe9; b=; {COOKIE}={site.secret}; c", **OWN}
    assert client.get("/ui/", headers=odd).status_code == 200
    assert client.get("/v1/jobs", headers=odd).status_code == 200


def test_an_authorization_goes_before_the_cookie(site: Site) -> None:
    sent = {"Cookie": f"{COOKIE}={site.secret}", "Authorization": "Bearer wrong", **OWN}
    client = site.app.test_client(use_cookies=False)
    assert client.get("/v1/jobs", headers=sent).status_code == 401


def test_forms_of_other_sites_are_refused(site: Site) -> None:
    answer = ask(site, "POST", "/ui/sign-out", secret=site.secret, Origin="https://evil.example")
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_a_revoked_token_is_signed_out(site: Site) -> None:
    token = site.store.token_by_secret(site.secret, now=site_now())
    assert token is not None
    site.store.revoke_token(token.id, now=site_now())
    answer = ask(site, "GET", "/ui/", secret=site.secret)
    assert answer.status_code == 303
    assert answer.location.startswith("/ui/sign-in")


def test_every_page_is_kept_from_caches_and_frames(site: Site) -> None:
    for path, secret in (("/ui/sign-in", None), ("/ui/", site.secret), ("/ui/none", site.secret)):
        answer = ask(site, "GET", path, secret=secret)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_another_host_sees_no_page(site: Site) -> None:
    answer = ask(site, "GET", "/ui/", secret=site.secret, Host="evil.example")
    assert answer.status_code == 421


@given(st.text(max_size=80))
def test_any_cookie_header_is_read(text: str) -> None:
    found = token_of(text)
    assert found is None or 0 < len(found) <= MAX_SECRET


def site_now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)
