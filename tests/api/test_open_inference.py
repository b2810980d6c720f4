"""The Open Inference Protocol: shapes as documented, errors with its own member."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.parts import Site

TWO = {
    "id": "42",
    "inputs": [
        {"name": "age", "shape": [2, 1], "datatype": "INT64", "data": [[41], [None]]},
        {"name": "region", "shape": [2], "datatype": "BYTES", "data": ["north", "south"]},
    ],
}


@pytest.fixture
def model(site: Site) -> str:
    return site.model("customers-y").name


def test_the_server_and_its_health(site: Site) -> None:
    assert site.get("/v2").json["name"] == "frugal"
    assert site.get("/v2/health/live", secret="").json == {"live": True}
    assert site.get("/v2/health/ready", secret="").json == {"ready": True}


def test_metadata(site: Site, model: str) -> None:
    found = site.get(f"/v2/models/{model}").json
    assert found["name"] == model
    assert found["versions"] == ["1"]
    assert [one["name"] for one in found["inputs"]] == ["age", "<script>alert(1)</script>"]
    assert found["outputs"][0] == {"name": "probability", "datatype": "FP64", "shape": [-1]}
    assert site.get(f"/v2/models/{model}/versions/1").json == found
    assert site.get(f"/v2/models/{model}/ready").json == {"name": model, "ready": True}


def test_rows_go_in_by_column_and_come_back_in_order(site: Site, model: str) -> None:
    answer = site.post(f"/v2/models/{model}/infer", json=TWO)
    assert answer.status_code == 200, answer.text
    assert answer.json == {
        "model_name": model,
        "model_version": "1",
        "id": "42",
        "outputs": [
            {"name": "probability", "shape": [2], "datatype": "FP64", "data": [0.1, 0.1]},
            {"name": "alert", "shape": [2], "datatype": "BOOL", "data": [False, False]},
        ],
    }
    only = {**TWO, "outputs": [{"name": "alert"}]}
    found = site.post(f"/v2/models/{model}/versions/1/infer", json=only).json
    assert [one["name"] for one in found["outputs"]] == ["alert"]
    nameless = site.post(f"/v2/models/{model}/infer", json={"inputs": TWO["inputs"]}).json
    assert "id" not in nameless, "optional there, and never null"


def column(**change: Any) -> dict[str, Any]:
    good = {"name": "age", "shape": [2], "datatype": "INT64", "data": [1, 2]}
    return {"inputs": [{**good, **change}]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (column(shape=[3]), "shape_mismatch"),
        (column(shape=[1, 2]), "shape_mismatch"),
        (column(data=[1, "2"]), "wrong_type"),
        (column(data=[1, True]), "wrong_type"),
        (column(datatype="UINT8", data=[255, 256]), "wrong_type"),
        (column(datatype="UINT8", data=[-1, 0]), "wrong_type"),
        (column(datatype="INT16", data=[-32_769, 0]), "wrong_type"),
        (column(datatype="BYTES"), "wrong_type"),
        (column(datatype="FP8"), "invalid_request"),
        ({"inputs": []}, "invalid_request"),
        ({"inputs": column()["inputs"] * 2}, "duplicate_input"),
        ({**column(), "outputs": [{"name": "anomaly"}]}, "unknown_output"),
    ],
)
def test_what_is_wrong_is_said_in_both_ways(
    site: Site, model: str, body: dict[str, Any], code: str
) -> None:
    answer = site.post(f"/v2/models/{model}/infer", json=body)
    assert answer.status_code == 422
    assert answer.json["code"] == code
    assert answer.json["error"] == answer.json["detail"]


@pytest.mark.parametrize(
    "path", ["none", "none/ready", "customers-y/versions/9", "customers-y/versions/x"]
)
def test_what_is_not_there_is_404(site: Site, model: str, path: str) -> None:
    answer = site.get(f"/v2/models/{path}")
    assert answer.status_code == 404
    assert answer.json["error"]
    assert "error" not in site.get("/v1/models/none").json
