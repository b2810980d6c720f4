"""Drift as a table, true labels by a form, and rows that are appended by one."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest

from automl.errors import DataError
from scheduler.records import Model
from scheduler.records_schedules import Outcomes
from scheduler.store_outcomes import TRAINING
from tests.api.pages.test_pages import ask
from tests.api.parts import NOW, Site
from tests.api.test_drift import CALM, FAR, TRAINED

ODD = "<script>alert(1)</script>"


def _named(found: dict[str, Any]) -> dict[str, Any]:
    """With the column `region` called as some export may call it, and its level too."""
    columns = dict(found["columns"])
    columns[ODD] = {**columns.pop("region"), "levels": [ODD]}
    told = [
        {**one, "column": ODD if one["column"] == "region" else one["column"]}
        for one in found.get("moved", ())
    ]
    return {**found, "columns": columns, **({"moved": told} if told else {})}


def test_the_table_says_what_moved_since_when_and_what_it_means(site: Site) -> None:
    model = site.model("customers-y")
    days = {TRAINING: TRAINED, "2026-11-20": CALM, "2026-11-21": FAR, "2026-11-22": FAR}
    for day, found in days.items():
        site.store.put_observation(model.id, day=day, n_rows=1, histograms=_named(found))
    page = ask(site, "/ui/models/customers-y/drift").text
    for said in (
        "1 column of 2 moved: 1 new row, looked at on 2026-11-22",
        "above 50.0: 30.0 % of the rows, now 80.0 %",
        ">2026-11-21</td>",
        "much: rows are unlike those it learnt from",
        "none to speak of",
        "the model&#39;s scores",
    ):
        assert said in page
    assert ODD not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_where_nobody_looked_it_says_how_drift_gets_known(site: Site) -> None:
    site.model("customers-y")
    page = ask(site, "/ui/models/customers-y/drift").text
    for said in ("Nobody has looked yet", "compares the new rows of each day", "/ui/schedules/new"):
        assert said in page


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """What was handed over, by its type; labels of the key ``bad`` are refused."""
    found: list[tuple[str, bytes]] = []

    def take(model: Model, body: bytes, *, content_type: str, **_: Any) -> Any:
        found.append((content_type, body))
        if b"bad" in body:
            raise DataError("outcome 2 has a label that the target has nowhere", row=2)
        record = Outcomes(
            id=uuid.uuid4().hex,
            project_id=model.project_id,
            model_name=model.name,
            root_id=model.dataset_id,
            received_at=NOW,
            artifact="outcomes/x",
            sha256="0" * 64,
            n_labels=3,
            n_positive=1,
        )
        return record, {"n_unknown_keys": 1, "n_conflicting": 0, "n_replaced": 2}, True

    monkeypatch.setattr("api.promotions.take_outcomes", take)
    return found


def test_labels_that_were_typed(site: Site, taken: list[tuple[str, bytes]]) -> None:
    site.model("customers-y")
    path = "/ui/models/customers-y/outcomes"
    answer = ask(site, path, method="POST", data={"typed": "c1,yes\r\nc2,no,2026-01-01T00:00Z\r\n"})
    assert answer.status_code == 303
    assert taken == [("text/csv", b"key,label,at\nc1,yes,\nc2,no,2026-01-01T00:00Z")]
    page = ask(site, answer.headers["Location"].partition("#")[0]).text
    for said in (
        "3 labels taken, 1 positive",
        "2 rows had another label before",
        "1 key no row has yet; it is kept",
    ):
        assert said in page


def test_labels_of_a_file(site: Site, taken: list[tuple[str, bytes]]) -> None:
    site.model("customers-y")
    path = "/ui/models/customers-y/outcomes"
    for name, kind in (("late.csv", "text/csv"), ("late.jsonl", "application/x-ndjson")):
        data = {"file": (io.BytesIO(b"whatever"), name), "typed": ""}
        assert ask(site, path, method="POST", data=data).status_code == 303
        assert taken.pop() == (kind, b"whatever")


def test_labels_that_are_refused_stay_in_the_form(
    site: Site, taken: list[tuple[str, bytes]]
) -> None:
    site.model("customers-y")
    path = "/ui/models/customers-y/outcomes"
    answer = ask(site, path, method="POST", data={"typed": "c1,yes\nbad,perhaps"})
    assert answer.status_code == 422
    assert "outcome 2 has a label that the target has nowhere" in answer.text
    assert "bad,perhaps</textarea>" in answer.text
    taken.clear()
    nothing = ask(site, path, method="POST", data={"typed": " "})
    assert (nothing.status_code, taken) == (422, [])
    assert "choose a file" in nothing.text


def test_rows_are_appended_as_the_next_version(site: Site) -> None:
    dataset = site.upload()
    page = ask(site, f"/ui/datasets/{dataset}/append").text
    assert "The rows become version 2; version 1, with 3 rows, stays" in page
    data = {"file": (io.BytesIO(b"age;y\n44;1\n"), "more.csv")}
    answer = ask(site, f"/ui/datasets/{dataset}/append", method="POST", data=data)
    assert answer.status_code == 303
    versions = site.get(f"/v1/datasets/{dataset}/versions").json["items"]
    assert [one["version"] for one in versions] == [1, 2]
    assert answer.headers["Location"].endswith(f"/ui/datasets/{versions[1]['id']}")
    older = ask(site, f"/ui/datasets/{dataset}/append").text
    assert "version 2" in older
    assert "<input" not in older
    empty = ask(site, f"/ui/datasets/{versions[1]['id']}/append", method="POST", data={})
    assert empty.status_code == 422
    assert "choose a file" in empty.text
