"""Data sets over HTTP, with a reader that takes everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from tests.api.parts import PROFILE, Site, build

CSV = b"age;y\n41;0\n42;1\n43;0\n"


def upload(site: Site, body: bytes = CSV, query: str = "", **headers: str) -> Any:
    return site.post(f"/v1/datasets{query}", data=body, content_type="text/csv", headers=headers)


def test_created_and_found_again(site: Site) -> None:
    first = upload(site, query="?name=customers.csv")
    assert first.status_code == 201
    assert first.json["name"] == "customers.csv"
    assert first.json["bytes_in"] == len(CSV)
    location = first.headers["Location"]
    assert location == f"/v1/datasets/{first.json['id']}"
    assert site.get(location).json["state"] == "READY"
    again = upload(site)
    assert (again.status_code, again.json["id"]) == (200, first.json["id"])
    assert again.headers["Location"] == location


def test_the_same_file_of_another_project_is_another_data_set(site: Site) -> None:
    first = upload(site)
    other = site.post("/v1/datasets", data=CSV, content_type="text/csv", secret=site.other_secret)
    assert other.status_code == 201
    assert other.json["id"] != first.json["id"]


def test_other_options_are_another_data_set(site: Site) -> None:
    assert upload(site).json["id"] != upload(site, query="?decimal=,").json["id"]


def test_options_arrive_as_they_were_declared(site: Site) -> None:
    query = {
        "format": "csv",
        "encoding": "latin-1",
        "delimiter": ";",
        "decimal": ",",
        "header": "false",
        "null_values": json.dumps(["", "NA"]),
        "types": json.dumps({"siret": "string"}),
        "date_format": "%d/%m/%Y",
        "timezone": "Europe/Paris",
        "non_finite": "null",
        "key": "id",
    }
    answer = site.post("/v1/datasets", data=CSV, content_type="text/csv", query_string=query)
    assert answer.json["options"] == {
        **query,
        "header": False,
        "null_values": ["", "NA"],
        "types": {"siret": "string"},
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?format=xlsx", "invalid_request"),
        ("?delimiter=;;", "invalid_request"),
        ("?decimal=x", "invalid_request"),
        ("?header=yes", "invalid_request"),
        ("?null_values=NA", "invalid_option"),
        ("?null_values={}", "invalid_option"),
        ("?null_values=[1]", "invalid_option"),
        ("?types=[]", "invalid_option"),
        ('?types={"a":1}', "invalid_option"),
        ("?types=" + "[" * 9000, "invalid_option"),
        ("?key=a%00b", "invalid_option"),
        ("?encoding=%00", "invalid_option"),
        ("?path=/etc/passwd", "invalid_request"),
        ("?uri=file:///etc/passwd", "invalid_request"),
    ],
)
def test_wrong_options(site: Site, query: str, code: str) -> None:
    answer = upload(site, query=query)
    assert (answer.status_code, answer.json["code"]) == (422, code)


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("C:\\x", "C:\\x"),
        ("a\0b", "a b"),
        ("x" * 5000, "x" * 255),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\r\n", "data"),
    ],
)
def test_names_are_only_names(site: Site, tmp_path: Path, filename: str, name: str) -> None:
    """Row 43."""
    answer = site.post(
        "/v1/datasets", data=CSV, content_type="text/csv", query_string={"name": filename}
    )
    assert (answer.status_code, answer.json["name"]) == (201, name)
    assert {path.name for path in tmp_path.iterdir()} == {"frugal.db", "artifacts"}


def test_the_name_may_come_as_a_file_name(site: Site) -> None:
    answer = upload(site, **{"Content-Disposition": 'attachment; filename="clients.csv"'})
    assert answer.json["name"] == "clients.csv"
    spoiled = upload(site, b"a;b\n1;2\n", **{"Content-Disposition": 'attachment; filename="'})
    assert spoiled.status_code == 201


@pytest.mark.parametrize("path", ["/v1/datasets?name=a", "/v1/jobs", "/v1/models/m/predict"])
def test_a_body_that_is_encoded_is_415(site: Site, path: str) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = site.post(path, data=b"a,b\n1,2\n", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
    assert "Content-Encoding" in answer.json["detail"]
    plain = site.post(path, data=b"a,b\n1,2\n", headers={"Content-Encoding": "identity"})
    assert "Content-Encoding" not in plain.text


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "application/xml", "image/png"]
)
def test_other_content_types_are_415(site: Site, content_type: str) -> None:
    answer = site.post("/v1/datasets", data=CSV, content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_length_is_required_and_limited(tmp_path: Path) -> None:
    """Row 41, as far as the application sees it."""
    site = build(tmp_path, max_upload_bytes=10)
    answer = upload(site)
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")
    assert site.get("/v1/datasets").json["items"] == []
    environ = create_environ("/v1/datasets", method="POST", content_type="text/csv")
    environ.pop("CONTENT_LENGTH", None)
    environ["HTTP_AUTHORIZATION"] = f"Bearer {site.secret}"
    chunks, status, _ = run_wsgi_app(site.app, environ)
    assert status.startswith("411")
    assert b'"code":"length_required"' in b"".join(chunks)
    site.store.close()


def test_pages(site: Site) -> None:
    ids = [upload(site, b"a;b\n%d;1\n" % n).json["id"] for n in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = site.get(f"/v1/datasets{query}").json
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(ids)
    assert len(seen) == 5


def test_profile(site: Site) -> None:
    dataset_id = site.upload()
    answer = site.get(f"/v1/datasets/{dataset_id}/profile")
    assert answer.status_code == 200
    assert answer.json["columns"] == PROFILE["columns"]
    assert answer.json["cost"]["joules"] == 2.0


def test_profile_of_what_is_not_ready(site: Site) -> None:
    site.ingestor.finish = False
    waiting, invalid = upload(site).json["id"], upload(site, b"a;b\n1\n").json["id"]
    assert site.get(f"/v1/datasets/{waiting}/profile").json["code"] == "dataset_not_ready"
    problem = {"code": "ragged_row", "detail": "row 1 has 1 field of 2", "row": 1}
    site.store.invalidate_dataset(
        invalid, problem=problem, now=site.store.get_dataset(site.project, invalid).created_at
    )
    answer = site.get(f"/v1/datasets/{invalid}/profile")
    assert (answer.status_code, answer.json["code"]) == (409, "dataset_invalid")
    told = site.get(f"/v1/datasets/{invalid}").json["problem"]
    document = {"type": "about:blank", "title": "Unprocessable Entity", "status": 422}
    assert told == document | problem
    assert site.submit(dataset=invalid).status_code == 409
    assert site.submit(dataset=waiting).json["code"] == "dataset_not_ready"


def test_delete(site: Site) -> None:
    dataset_id = site.upload()
    path = f"/v1/datasets/{dataset_id}"
    assert site.call("DELETE", path).status_code == 204
    assert site.call("DELETE", path).status_code == 204
    assert site.get(path).json["state"] == "DELETED"
    assert site.get(f"{path}/profile").status_code == 410
    assert site.submit(dataset=dataset_id).status_code == 410
    assert upload(site).status_code == 201  # may be handed over again


def test_delete_of_what_is_in_use(site: Site) -> None:
    dataset_id = site.upload()
    job_id = site.job(dataset=dataset_id)
    path = f"/v1/datasets/{dataset_id}"
    refused = site.call("DELETE", path)
    assert (refused.status_code, refused.json["code"]) == (409, "dataset_in_use")
    assert site.call("DELETE", f"{path}?force=yes").status_code == 422
    assert site.call("DELETE", f"{path}?force=true").status_code == 204
    assert site.get(f"/v1/jobs/{job_id}").json["state"] == "CANCELLED"


def test_conditional_get_and_head(site: Site) -> None:
    """Row 86."""
    path = f"/v1/datasets/{site.upload()}"
    first = site.get(path)
    again = site.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    head = site.call("HEAD", path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == first.headers["ETag"]
