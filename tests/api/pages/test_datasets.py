"""Pages of data sets without a browser: what they say, and whom they let do what."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from api.pages.datasets import described
from automl.errors import DataError
from tests.api.parts import COST, Site

SCRIPT = "<script>alert(1)</script>"


def open_page(site: Site, path: str, **more: Any) -> Any:
    return visit(site, "GET", path, **more)


def visit(site: Site, method: str, path: str, *, secret: str | None = None, **more: Any) -> Any:
    site.client.set_cookie("frugal_token", secret or site.secret)
    headers = {"Sec-Fetch-Site": "same-origin"}
    return site.client.open(path, method=method, headers=headers, **more)


def of_role(site: Site, role: str) -> str:
    now = datetime.now(UTC)
    secret, _ = site.store.add_token(site.project, name=role, now=now, role=role)
    return secret


def column(name: str, kind: str = "integer", **more: Any) -> dict[str, Any]:
    """A column of a profile."""
    about = {"n_missing": 0, "n_distinct": 3, "distinct_is_approximate": False, "roles": []}
    return {"name": name, "type": kind, **about, "why": "whole numbers in the sample", **more}


LEVELS = [{"value": "no", "count": 950}, {"value": "yes", "count": 50}]
PROFILE = {
    "n_rows": 1000,
    "n_columns": 4,
    "bytes_in": 4000,
    "bytes_stored": 1000,
    "dialect": {"delimiter": ";", "guessed": ["delimiter"]},
    "columns": [
        column("age", min=18, max=90),
        column(SCRIPT, n_missing=250, roles=["leaks:y"]),
        column("x" * 200),
        column("y", "string", n_distinct=2, levels=LEVELS, roles=["target_candidate"]),
    ],
    "warnings": [{"code": "leakage_suspected", "detail": "alone tells 'y'", "column": SCRIPT}],
    "target_candidates": [{"name": "y", "why": "two values", "minority_share": 0.05}],
    "duplicate_rows": 0,
    "duplicate_rows_is_approximate": False,
    "format": "csv",
}


def profiled(site: Site, profile: Any = None) -> str:
    """A data set that is READY with a profile of four columns, two of them with odd names."""
    site.ingestor.finish = False
    dataset = site.upload()
    site.ingestor.finish = True
    site.store.finish_dataset(
        dataset,
        artifact=f"datasets/{dataset}",
        n_rows=1000,
        bytes_stored=1000,
        profile=profile or PROFILE,
        cost=COST,
        now=datetime.now(UTC),
    )
    return dataset


def test_the_empty_list_says_what_to_do(site: Site) -> None:
    text = open_page(site, "/ui/datasets").text
    assert "no data set yet" in text
    assert "/ui/datasets/new" in text
    viewer = of_role(site, "viewer")
    text = open_page(site, "/ui/datasets", secret=viewer).text
    assert "/ui/datasets/new" not in text


def test_a_list_shows_state_rows_and_the_storage_saved(site: Site) -> None:
    dataset = site.upload()
    text = open_page(site, "/ui/datasets").text
    assert f"/ui/datasets/{dataset}" in text
    assert "ready" in text
    assert "52 % less" in text  # 21 bytes came, 10 are kept


def test_one_data_set_shows_its_columns_and_offers_a_job(site: Site) -> None:
    dataset = profiled(site)
    text = open_page(site, f"/ui/datasets/{dataset}").text
    assert f"/ui/jobs/new?dataset={dataset}&amp;target=y" in text
    for words in ("4 of 4 columns", "5.0 %", "25.0 %", "gives y away", "18 to 90", "x" * 200):
        assert words in text
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    found = open_page(site, f"/ui/datasets/{dataset}?q=AG&sort=missing").text
    assert "1 of 4 columns" in found
    viewer = open_page(site, f"/ui/datasets/{dataset}", secret=of_role(site, "viewer")).text
    assert "/ui/jobs/new" not in viewer
    assert "/delete" not in viewer


def test_one_that_is_being_read_or_was_refused_says_so(site: Site) -> None:
    site.ingestor.finish = False
    dataset = site.upload()
    assert "being read" in open_page(site, f"/ui/datasets/{dataset}").text
    problem = {"code": "ragged_row", "detail": "row 7 has 3 cells", "row": 7, "column": SCRIPT}
    site.store.invalidate_dataset(dataset, problem=problem, now=datetime.now(UTC))
    text = open_page(site, f"/ui/datasets/{dataset}").text
    assert "row 7 has 3 cells" in text
    assert "&lt;script&gt;" in text
    assert SCRIPT not in text


def test_deleting_asks_first_and_is_an_approvers(site: Site) -> None:
    dataset = site.upload()
    path = f"/ui/datasets/{dataset}/delete"
    assert "gone for good" in open_page(site, path).text
    assert site.get(f"/v1/datasets/{dataset}").json["state"] == "READY"
    refused = visit(site, "POST", path, secret=of_role(site, "analyst"))
    assert refused.status_code == 403
    assert "approver" in refused.text
    site.job(dataset=dataset)
    used = visit(site, "POST", path)
    assert used.status_code == 409
    assert "Cancel the jobs" in used.text
    assert visit(site, "POST", path, data={"force": "on"}).status_code == 303
    assert site.get(f"/v1/datasets/{dataset}").json["state"] == "DELETED"


def test_a_plain_form_uploads_one_file_with_its_options(site: Site) -> None:
    file = (io.BytesIO(b"age;y\n1;0\n"), "tiny.csv")
    answer = visit(site, "POST", "/ui/datasets/new", data={"file": file, "delimiter": ";"})
    assert answer.status_code == 303
    found = site.get(answer.headers["Location"].replace("/ui/", "/v1/")).json
    assert found["name"] == "tiny.csv"
    assert found["options"] == {"delimiter": ";"}


@pytest.mark.parametrize(
    ("fields", "at"),
    [({}, "choose a file"), ({"log_year": "12"}, 'id="fault-log_year"')],
)
def test_a_refused_form_comes_back_with_the_fault(
    site: Site, fields: dict[str, str], at: str
) -> None:
    data: dict[str, Any] = dict(fields)
    if fields:
        data["file"] = (io.BytesIO(b"age;y\n1;0\n"), "tiny.csv")
    answer = visit(site, "POST", "/ui/datasets/new", data=data)
    assert answer.status_code == 422
    assert at in answer.text
    assert 'role="alert"' in answer.text


def test_where_the_parts_of_a_log_line_stand_is_said_in_fields(site: Site) -> None:
    log = b"2024-01-02 10:00:00 C1 card ordered\n"
    fields = {"log_format": "columns", "log_columns.time": "0,1", "log_columns.key": "2"}
    data = {"file": (io.BytesIO(log), "calls.log"), **fields, "log_columns.message": "3"}
    answer = visit(site, "POST", "/ui/datasets/new", data={**data, "null_values": 'NA, "a, b"'})
    assert answer.status_code == 303, answer.text
    options = site.get(answer.headers["Location"].replace("/ui/", "/v1/")).json["options"]
    assert options["log_columns"] == {"time": [0, 1], "key": 2, "message": 3}
    assert options["null_values"] == ["NA", "a, b"]
    about = {"option": "log_columns"}
    told = DataError("message is needed", code="invalid_option", details=about)
    site.ingestor.accept = Mock(side_effect=told)  # type: ignore[method-assign]
    data = {"file": (io.BytesIO(log), "calls.log"), **fields, "log_columns.message": "third"}
    wrong = visit(site, "POST", "/ui/datasets/new", data=data)
    assert wrong.status_code == 422
    assert 'id="fault-log_columns"' in wrong.text
    assert 'value="third"' in wrong.text


def test_unfinished_uploads_are_listed_and_given_up(site: Site) -> None:
    body = {"name": SCRIPT, "size": 100, "chunk_bytes": 50}
    upload = site.post("/v1/uploads", json=body).json["id"]
    text = open_page(site, "/ui/datasets/new").text
    assert "0 B of 100 B" in text
    assert SCRIPT not in text
    assert visit(site, "POST", f"/ui/uploads/{upload}/forget").status_code == 303
    assert site.get("/v1/uploads").json["items"] == []


def test_registering_is_offered_only_where_a_folder_is_allowed(site: Site) -> None:
    assert 'name="uri"' not in open_page(site, "/ui/datasets/new").text
    answer = visit(site, "POST", "/ui/datasets/register", data={"uri": "file:///etc/passwd"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_bars_and_shares_are_of_the_counts() -> None:
    levels = [{"value": "a", "count": 60}, {"value": "b", "count": 30}]
    found = described(column("c", "string", n_missing=10, levels=levels), n_rows=100)
    assert found["bars"] == [1.0, 0.5]
    assert [one["share"] for one in found["top"]] == [0.6, 0.3]
    assert found["missing"] == 0.1
