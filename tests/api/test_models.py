"""Models over HTTP, with a predictor that answers without a model."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from automl.errors import DataError
from tests.api.parts import NOW, Site

ROWS = {"rows": [{"age": 41}, {"age": 42}]}


def test_list_and_get(site: Site) -> None:
    site.model("a-y")
    second = site.model("b-y")
    page = site.get("/v1/models?limit=1").json
    assert [model["name"] for model in page["items"]] == ["a-y"]
    rest = site.get(f"/v1/models?limit=1&cursor={page['next_cursor']}").json
    assert [model["name"] for model in rest["items"]] == ["b-y"]
    answer = site.get("/v1/models/b-y")
    assert answer.json["sha256"] == second.sha256
    assert "artifact" not in answer.json


def test_the_newest_version_answers(site: Site) -> None:
    first, second = site.model(), site.model()
    assert (first.version, second.version) == (1, 2)
    path = f"/v1/models/{first.name}"
    assert site.get(path).json["version"] == 2
    assert site.get(f"{path}?version=1").json["job"] == first.job_id
    assert site.get(f"{path}?version=3").status_code == 404
    assert site.get(f"{path}?version=0").status_code == 422
    answer = site.post(f"{path}/predict?version=1", json=ROWS)
    assert answer.headers["Model-Version"] == "1"


def test_predict(site: Site) -> None:
    name = site.model().name
    answer = site.post(f"/v1/models/{name}/predict", json=ROWS)
    assert answer.status_code == 200
    assert len(answer.json["predictions"]) == 2
    assert answer.headers["Model-Version"] == "1"
    call = site.predictor.calls[-1]
    assert (call["content_type"], call["accept"]) == ("application/json", "application/json")
    empty = site.post(f"/v1/models/{name}/predict", json={"rows": []})
    assert empty.json["predictions"] == []


def test_predict_as_csv(site: Site) -> None:
    name = site.model().name
    site.post(
        f"/v1/models/{name}/predict",
        data=b"age\n41\n",
        content_type="text/csv",
        headers={"Accept": "text/csv"},
    )
    call = site.predictor.calls[-1]
    assert (call["content_type"], call["accept"]) == ("text/csv", "text/csv")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("no", code="missing_columns"), 422),
        (DataError("no", code="too_many_rows"), 413),
        (DataError("no", code="corrupt_model"), 500),
    ],
)
def test_refusals_of_the_predictor(site: Site, error: DataError, status: int) -> None:
    name = site.model().name
    site.predictor.refusal = error
    answer = site.post(f"/v1/models/{name}/predict", json=ROWS)
    assert (answer.status_code, answer.json["code"]) == (status, error.code)


def test_a_model_deleted_during_a_prediction_is_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = site.model().name

    def deleted(*_args: Any, **_kwargs: Any) -> Any:
        site.call("DELETE", f"/v1/models/{name}")
        raise DataError("champion.json is missing", code="corrupt_model")

    monkeypatch.setattr(site.predictor, "predict", deleted)
    answer = site.post(f"/v1/models/{name}/predict", json=ROWS)
    assert (answer.status_code, answer.json["code"]) == (410, "deleted")


def test_predict_refuses_other_types(site: Site) -> None:
    path = f"/v1/models/{site.model().name}/predict"
    assert site.post(path, data=b"x", content_type="application/x-pickle").status_code == 415
    assert site.post(path, data=b"x", content_type="").status_code == 415
    refused = site.post(path, json=ROWS, headers={"Accept": "application/xml"})
    assert refused.status_code == 406
    assert not site.predictor.calls


def test_not_ready_deleted_foreign(site: Site) -> None:
    """Row 84."""
    site.job(model="early-y")
    waiting = site.post("/v1/models/early-y/predict", json=ROWS)
    assert (waiting.status_code, waiting.json["code"]) == (409, "model_not_ready")
    site.call("DELETE", f"/v1/datasets/{site.upload()}?force=true")  # ends that job
    name = site.model("late-y").name
    assert site.call("DELETE", f"/v1/models/{name}").status_code == 204
    assert site.call("DELETE", f"/v1/models/{name}").status_code == 204
    for path in ("", "/card", "/export"):
        assert site.get(f"/v1/models/{name}{path}").status_code == 410
    assert site.post(f"/v1/models/{name}/predict", json=ROWS).status_code == 410
    assert site.call("DELETE", "/v1/models/never-was").status_code == 404


def test_delete_removes_the_files(site: Site) -> None:
    model = site.model()
    assert site.artifacts.exists(model.artifact)
    site.call("DELETE", f"/v1/models/{model.name}")
    assert not site.artifacts.exists(model.artifact)


def test_card(site: Site) -> None:
    name = site.model().name
    as_json = site.get(f"/v1/models/{name}/card").json
    assert (as_json["name"], as_json["version"], as_json["target"]) == (name, 1, "y")
    answer = site.get(f"/v1/models/{name}/card", headers={"Accept": "text/markdown"})
    assert answer.mimetype == "text/markdown"
    assert answer.text.startswith(f"# {name.replace('_', chr(92) + '_')}, version 1")
    assert "&lt;script&gt;" in answer.text
    assert "<script>" not in answer.text


def test_export(site: Site) -> None:
    model = site.model(files={"trial-0.txt": "tree\n", "encoder.json": "{}"})
    path = f"/v1/models/{model.name}/export"
    answer = site.get(path)
    assert answer.mimetype == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert sorted(archive.namelist()) == [
        "README.md",
        "model/encoder.json",
        "model/manifest.json",
        "model/trial-0.txt",
    ]
    manifest = archive.read("model/manifest.json")
    assert hashlib.sha256(manifest).hexdigest() == model.sha256
    for file, expected in json.loads(manifest)["files"].items():
        assert hashlib.sha256(archive.read(f"model/{file}")).hexdigest() == expected
    readme = archive.read("README.md").decode()
    code = [line for line in readme.splitlines() if line.startswith("    ")]
    assert len(code) == 5
    assert model.sha256 in readme
    digest = base64.b64encode(hashlib.sha256(answer.data).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_a_cut_download_resumes_identically(site: Site) -> None:
    """Row 86."""
    path = f"/v1/models/{site.model().name}/export"
    whole = site.get(path)
    etag = whole.headers["ETag"]
    head = site.call("HEAD", path)
    assert (head.status_code, head.headers["ETag"]) == (200, etag)
    assert int(head.headers["Content-Length"]) == len(whole.data)
    begin = site.get(path, headers={"Range": "bytes=0-99"})
    rest = site.get(path, headers={"Range": "bytes=100-", "If-Range": etag})
    assert begin.status_code == rest.status_code == 206
    assert begin.data + rest.data == whole.data
    assert rest.headers["Repr-Digest"] == whole.headers["Repr-Digest"]
    assert site.get(path, headers={"If-None-Match": etag}).status_code == 304
    beyond = site.get(path, headers={"Range": "bytes=999999999-"})
    assert (beyond.status_code, beyond.json["code"]) == (416, "range_not_satisfiable")


@pytest.mark.parametrize("file", ["trial-0.txt", "manifest.json"])
def test_files_that_rotted_are_not_handed_out(site: Site, file: str) -> None:
    model = site.model()
    path = site.artifacts.path(model.artifact) / file
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    answer = site.get(f"/v1/models/{model.name}/export")
    assert (answer.status_code, answer.json["code"]) == (500, "corrupt_model")


def test_dates(site: Site) -> None:
    model = site.model()
    assert model.created_at == NOW
