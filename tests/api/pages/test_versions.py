"""Which version answers is changed on a page of its own that says what changes."""

from __future__ import annotations

from typing import Any

import pytest

from api.cookie import COOKIE
from tests.api.parts import Site

OWN = {"Sec-Fetch-Site": "same-origin"}
NAME = "customers-y"


def ask(site: Site, path: str, *, method: str = "GET", **kwargs: Any) -> Any:
    headers = {"Cookie": f"{COOKIE}={site.secret}", **OWN}
    client = site.app.test_client(use_cookies=False)
    return client.open(f"/ui/models/{NAME}/{path}", method=method, headers=headers, **kwargs)


def serving(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.get(f"/v1/models/{NAME}/promotions").json
    return found


@pytest.fixture(autouse=True)
def two(site: Site) -> None:
    """Two versions, of which the newer one answers."""
    site.model(NAME)
    site.model(NAME)


def test_a_promotion_says_from_what_to_what(site: Site) -> None:
    assert f"/ui/models/{NAME}/promote?version=1" in ask(site, "versions").text
    page = ask(site, "promote?version=1")
    assert page.status_code == 200
    assert "Version 2<br>now" in page.text
    assert "Version 1<br>then" in page.text
    assert serving(site)["serving"] == 2
    form = {"version": "1", "serving": "2", "because": "it is calmer"}
    assert ask(site, "promote", method="POST", data=form).status_code == 303
    assert serving(site)["serving"] == 1
    assert serving(site)["items"][0]["reason"] == {"because": "it is calmer"}


def test_a_rollback_names_the_version_that_comes_back(site: Site) -> None:
    assert "there is nothing to roll back to" in ask(site, "rollback").text
    assert f"/ui/models/{NAME}/rollback" not in ask(site, "versions").text
    ask(site, "promote", method="POST", data={"version": "1", "serving": "2"})
    assert "Roll back to version 2" in ask(site, "versions").text
    page = ask(site, "rollback").text
    assert "Version 2<br>then" in page
    form = {"version": "2", "serving": "1"}
    assert ask(site, "rollback", method="POST", data=form).status_code == 303
    assert (serving(site)["serving"], serving(site)["before"]) == (2, None)


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("promote", {"version": "2", "serving": "2"}),
        ("rollback", {"version": "2", "serving": "2"}),
        ("rollback", {"version": "1", "serving": "1"}),
    ],
)
def test_what_changed_meanwhile_is_read_again(site: Site, verb: str, form: dict[str, str]) -> None:
    ask(site, "promote", method="POST", data={"version": "1", "serving": "2"})
    answer = ask(site, verb, method="POST", data=form)
    assert answer.status_code == 409
    assert "read again what changes" in answer.text
    assert serving(site)["serving"] == 1


@pytest.mark.parametrize("query", ["", "?version=9", "?version=x", "?version=0"])
def test_no_such_version(site: Site, query: str) -> None:
    answer = ask(site, f"promote{query}")
    assert answer.status_code in (303, 404, 422)
    assert ask(site, "promote", method="POST", data={"version": query[9:]}).status_code in (
        404,
        422,
    )


def test_what_is_refused_is_said_with_what_was_typed(site: Site) -> None:
    form = {"version": "1", "serving": "2", "because": "x" * 1001}
    answer = ask(site, "promote", method="POST", data=form)
    assert answer.status_code == 422
    assert 'id="fault-because"' in answer.text
    assert "x" * 1001 in answer.text
    assert serving(site)["serving"] == 2
