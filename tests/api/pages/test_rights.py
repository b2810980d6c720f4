"""Who may not send a form is not shown it, and is refused before what was sent is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from api.cookie import COOKIE
from api.pages import build_pages
from api.pages.rights import ASKED
from api.roles import ROLE_OF
from tests.api.parts import Site

OWN = {"Sec-Fetch-Site": "same-origin"}
Ask = Callable[..., Any]
# Views with a POST that every role may send: they keep nothing, or are the way in and out.
FREE = {"sign_in", "sign_out", "new_job.create", "new_job.preview", "predictions.row"}


@pytest.fixture
def as_role(site: Site) -> Ask:
    """Ask for a page with a token of a role."""

    def asked(role: str, path: str, *, method: str = "GET", **kwargs: Any) -> Any:
        secret, _ = site.store.add_token(site.project, name=role, now=datetime.now(UTC), role=role)
        headers = {"Cookie": f"{COOKIE}={secret}", **OWN}
        client = site.app.test_client(use_cookies=False)
        return client.open(path, method=method, headers=headers, **kwargs)

    return asked


def test_every_form_is_of_a_role(site: Site) -> None:
    pages = build_pages(site.app.extensions["frugal"], site.app.wsgi_app)
    posts = {rule.endpoint for rule in pages.url_map.iter_rules() if "POST" in (rule.methods or ())}
    assert posts - set(ASKED) == FREE
    for named in ASKED.values():
        assert "{" in named or named in ROLE_OF


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("viewer", "/ui/datasets/new"),
        ("viewer", "/ui/datasets/register"),
        ("viewer", "/ui/datasets/together"),
        ("viewer", "/ui/schedules/new"),
        ("viewer", "/ui/schedules/none/pause"),
        ("viewer", "/ui/schedules/none/delete"),
        ("viewer", "/ui/jobs/none/cancel"),
        ("viewer", "/ui/models/none/predictions"),
        ("viewer", "/ui/models/none/predictions/none/delete"),
        ("analyst", "/ui/models/none/promote"),
        ("analyst", "/ui/models/none/rollback"),
        ("analyst", "/ui/models/none/delete"),
        ("analyst", "/ui/datasets/none/delete"),
    ],
)
def test_the_role_goes_before_what_was_sent(as_role: Ask, role: str, path: str) -> None:
    answer = as_role(role, path, method="POST", data={"version": "x", "at.hours": "x"})
    assert answer.status_code == 403
    assert f"your role is {role}" in answer.text


def test_a_viewer_may_plan_and_not_start(site: Site, as_role: Ask) -> None:
    form = {"dataset": site.upload(), "target": "y", "limits.trials": "many"}
    sent = as_role("viewer", "/ui/jobs/new", method="POST", data={**form, "do": "submit"})
    assert sent.status_code == 403
    assert "fault-limits.trials" not in sent.text
    planned = as_role("viewer", "/ui/jobs/preview", method="POST", data={**form, "do": "preview"})
    assert planned.status_code == 200


def test_a_viewer_is_shown_no_way_to_what_takes_another_role(site: Site, as_role: Ask) -> None:
    model = site.model("customers-y").name
    pages = (
        "/ui/",
        "/ui/datasets",
        "/ui/jobs",
        "/ui/models",
        f"/ui/models/{model}",
        f"/ui/models/{model}/versions",
        f"/ui/models/{model}/curves",
        f"/ui/models/{model}/predictions",
        "/ui/schedules",
        "/ui/carbon",
    )
    for path in pages:
        answer = as_role("viewer", path)
        # This model has no curves: a page says so, and that a new search would make some.
        assert answer.status_code in (200, 404), path
        main = answer.text.split("<main", 1)[1]
        assert not re.search(r'href="/ui/(jobs|datasets|schedules)/new', main), path
        assert not re.search(r'<form[^>]*method="post"', main), path


def test_an_empty_page_tells_a_viewer_whom_it_takes(as_role: Ask) -> None:
    assert "takes the role analyst" in as_role("viewer", "/ui/jobs").text
