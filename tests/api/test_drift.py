"""Drift of a model over HTTP: what the counts of each day say, and nothing where nobody looked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from api.client import FrugalClient
from scheduler.store_outcomes import TRAINING
from tests.api.parts import Site

TRAINED: dict[str, Any] = {
    "columns": {
        "age": {"edges": [30.0, 50.0], "counts": [400, 300, 300, 0]},
        "region": {"levels": ["north"], "counts": [900, 50, 50]},
    },
    "scores": {"edges": [0.0], "counts": [500, 500, 0.0]},
}


def _psi(before: list[float], now: list[float]) -> float:
    p, q = ([(one + 0.5) / sum(each + 0.5 for each in h) for one in h] for h in (before, now))
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def counted(age: list[float], region: list[float], scores: list[float]) -> dict[str, Any]:
    """What a look at a day keeps, as `scheduler.assessment` writes it."""
    told = [
        {"column": name, "psi": _psi(TRAINED["columns"][name]["counts"], now), "chance": 0.05}
        for name, now in (("age", age), ("region", region))
    ]
    score = _psi(TRAINED["scores"]["counts"], scores)
    return {
        "columns": {
            "age": {"edges": [30.0, 50.0], "counts": age},
            "region": {"levels": ["north"], "counts": region},
        },
        "scores": {"edges": [0.0], "counts": scores},
        "moved": sorted(told, key=lambda one: -one["psi"]),
        "score_moved": {"column": "score", "psi": score, "chance": 0.05},
        "before": None,
    }


CALM = counted([40, 30, 30, 0], [90, 5, 5], [50, 50, 0])
FAR = counted([10, 10, 80, 0], [90, 5, 5], [10, 90, 0])


@pytest.fixture
def looked(site: Site) -> Site:
    """A model whose rows were as ever on the 20th, and older customers from the 21st on."""
    model = site.model("customers-y")
    days = {TRAINING: TRAINED, "2026-11-20": CALM, "2026-11-21": FAR, "2026-11-22": FAR}
    for day, found in days.items():
        site.store.put_observation(model.id, day=day, n_rows=100, histograms=found)
    return site


def test_what_moved_by_how_much_and_since_when(looked: Site) -> None:
    found = looked.get("/v1/models/customers-y/drift").json
    assert (found["day"], found["n_rows"], found["against"]) == ("2026-11-22", 100, "training")
    age, region = found["columns"]
    assert (age["column"], age["moved"], age["since"]) == ("age", True, "2026-11-21")
    assert age["psi"] == pytest.approx(_psi([400, 300, 300, 0], [10, 10, 80, 0]))
    shift = age["shift"]
    assert (shift["above"], shift["up_to"], shift["level"]) == (50.0, None, None)
    assert (shift["before"], shift["now"]) == (0.3, 0.8)
    assert (region["column"], region["moved"], region["since"]) == ("region", False, None)
    assert found["scores"]["column"] == "score"
    assert (found["scores"]["moved"], found["scores"]["since"]) == (True, "2026-11-21")
    assert [(one["day"], one["n_moved"]) for one in found["days"]] == [
        ("2026-11-22", 1),
        ("2026-11-21", 1),
        ("2026-11-20", 0),
    ]


def test_it_is_told_against_what_it_was_compared_with(looked: Site) -> None:
    model = looked.store.get_model(looked.project, "customers-y")
    before = {**TRAINED, "columns": {**TRAINED["columns"], "age": {"counts": [200, 100, 700, 0]}}}
    late = {**FAR, "before": before}
    looked.store.put_observation(model.id, day="2026-11-23", n_rows=50, histograms=late)
    found = looked.get("/v1/models/customers-y/drift").json
    assert (found["day"], found["against"]) == ("2026-11-23", "judged")
    shifts = {one["column"]: one["shift"] for one in found["columns"]}
    assert shifts["age"]["before"] in (0.1, 0.2, 0.7)  # of the rows until then, not of the training


def test_where_nobody_looked_nothing_is_known(site: Site) -> None:
    site.model("customers-y")
    found = site.get("/v1/models/customers-y/drift").json
    assert (found["day"], found["columns"], found["scores"], found["days"]) == (None, [], None, [])


def test_nothing_is_kept_of_deleted_data(looked: Site) -> None:
    model = looked.store.get_model(looked.project, "customers-y")
    path = f"/v1/datasets/{model.dataset_id}?force=true"
    assert looked.call("DELETE", path).status_code in (200, 204)
    assert looked.get("/v1/models/customers-y/drift").json["days"] == []


def test_the_client_asks_for_it(looked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def noted(method: str, path: str, **_: Any) -> dict[str, Any]:
        asked.append((method, path))
        return {}

    client = FrugalClient("http://localhost:1", "frugal_x")
    monkeypatch.setattr(client, "_json", noted)
    client.drift("customers-y")
    client.close()
    assert [(method, looked.get(path).status_code) for method, path in asked] == [("GET", 200)]


def test_nobody_elses(looked: Site) -> None:
    answer = looked.get("/v1/models/customers-y/drift", secret=looked.other_secret)
    assert answer.status_code == 404
