"""Curves over HTTP: of the whole model and of its finalists, from files that are checked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from api.schemas_models import CurvesAnswer
from automl.search.curves import curves
from tests.api.parts import Site

NAME = "customers-y"
PATH = f"/v1/models/{NAME}/curves"


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.1).astype(np.int8)
    logits = {f"logit_{n}": rng.normal(size=3000) + n * y for n in (1, 2)}
    probability = 1 / (1 + np.exp(3 - logits["logit_2"]))
    weight = np.where(y == 1, 1.0, 2.0)
    arrays = {"y": y, "weight": weight, "probability": probability, **logits}
    return curves(arrays, members=[2])


@pytest.fixture
def model(site: Site, drawn: dict[str, Any]) -> Site:
    site.model(NAME, {"curves.json": json.dumps(drawn)})
    return site


def test_the_whole_model(model: Site, drawn: dict[str, Any]) -> None:
    answer = model.get(PATH)
    assert answer.status_code == 200
    found = answer.json
    CurvesAnswer.model_validate(found)
    assert (found["model"], found["version"], found["member"]) == (NAME, 1, None)
    assert found["members"] == [1, 2]
    kept = drawn["champion"]
    assert [p["precision"] for p in found["precision_recall"]] == kept["precision_recall"][
        "precision"
    ]
    assert [p["lift"] for p in found["gain"]] == kept["gain"]["lift"]
    assert [b["n_rows"] for b in found["calibration"]] == kept["calibration"]["n_rows"]
    assert found["n_rows"] == 3000
    assert (found["missed_cost"], found["alert_cost"], found["cost"]) == (None, None, None)
    for name in ("precision_recall", "gain", "calibration"):
        assert 0 < len(found[name]) <= 200


def test_a_finalist(model: Site, drawn: dict[str, Any]) -> None:
    found = model.get(f"{PATH}?member=1").json
    assert found["member"] == 1
    assert found["average_precision"] == drawn["members"]["1"]["average_precision"]
    assert found["average_precision"] < model.get(PATH).json["average_precision"]
    answer = model.get(f"{PATH}?member=7")
    assert (answer.status_code, answer.json["code"]) == (404, "unknown_member")
    assert answer.json["details"] == {"members": [1, 2]}


def test_costs_are_those_of_alerting_each_share(model: Site) -> None:
    found = model.get(f"{PATH}?missed_cost=20&alert_cost=2").json
    assert (found["missed_cost"], found["alert_cost"]) == (20, 2)
    nobody, *points = found["cost"]
    assert (nobody["threshold"], nobody["alerted"]) == (None, 0)
    assert nobody["cost"] == pytest.approx(20 * found["prevalence"])
    assert points[-1]["cost"] == pytest.approx(2 * (1 - found["prevalence"]), rel=1e-5)
    for point, gain in zip(points, found["gain"], strict=True):
        missed = found["prevalence"] * (1 - gain["recall"])
        false = gain["alerted"] - found["prevalence"] * gain["recall"]
        assert point["alerted"] == gain["alerted"]
        assert point["cost"] == pytest.approx(20 * missed + 2 * false, rel=1e-6)
    assert min(point["cost"] for point in points) < nobody["cost"]
    alone = model.get(f"{PATH}?missed_cost=20")
    assert (alone.status_code, alone.json["code"]) == (422, "missing")
    assert "alert_cost is missing" in alone.json["detail"]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("missed_cost=0&alert_cost=1", "missed_cost"),
        ("missed_cost=nan&alert_cost=1", "missed_cost"),
        ("missed_cost=1&alert_cost=inf", "alert_cost"),
        ("member=-1", "member"),
        ("member=champion", "member"),
        ("version=0", "version"),
        ("points=10", "points"),
    ],
)
def test_wrong_queries_are_named(model: Site, query: str, wrong: str) -> None:
    answer = model.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert wrong in [error["field"] for error in answer.json["errors"]]


def test_what_was_read_is_not_sent_again(model: Site) -> None:
    first = model.get(PATH)
    tag = first.headers["ETag"]
    again = model.get(PATH, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    other = model.get(f"{PATH}?member=1", headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert other.headers["ETag"] != tag


def test_a_damaged_file_is_our_fault(model: Site) -> None:
    stored = model.store.get_model(model.project, NAME)
    file = model.artifacts.path(stored.artifact) / "curves.json"
    file.write_text(file.read_text().replace("0.5", "0.6", 1))
    answer = model.get(PATH)
    assert (answer.status_code, answer.json["code"]) == (500, "corrupt_model")


def test_a_model_made_before_there_were_curves(site: Site) -> None:
    site.model(NAME)
    answer = site.get(PATH)
    assert (answer.status_code, answer.json["code"]) == (404, "no_curves")


def test_of_another_project_deleted_or_unknown(model: Site) -> None:
    assert model.get(PATH, secret=model.other_secret).status_code == 404
    assert model.get("/v1/models/none/curves").status_code == 404
    assert model.call("DELETE", f"/v1/models/{NAME}").status_code == 204
    assert model.get(PATH).status_code == 410
