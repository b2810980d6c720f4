"""Labels that come later, over HTTP: read strictly, counted, and told with their row."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.late_bodies import label_text
from scheduler.records import JobState
from tests.api.parts import Site, build
from tests.contracts.records import a_model

T1, T2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+01:00"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A model of rows 0 to 599 with the key id; those from 500 on have no label."""
    site = build(tmp_path_factory.mktemp("outcomes"), reads_files=True)
    lines = ["id,age,y"] + [
        f"{i},{20 + i % 50},{'' if i >= 500 else int(i % 9 == 0)}" for i in range(600)
    ]
    answer = site.post(
        "/v1/datasets?key=id&name=late", data="\n".join(lines).encode(), content_type="text/csv"
    )
    while site.get(answer.headers["Location"]).json["state"] == "INGESTING":
        time.sleep(0.05)
    dataset = site.store.get_dataset(site.project, answer.json["id"])
    site.job(dataset=dataset.id, target="y", model="late-y")
    job = site.claim()
    # Files of a champion are not needed: nothing here predicts.
    site.store.finish_job(
        job.id,
        epoch=job.epoch,
        state=JobState.DONE,
        now=job.submitted_at,
        model=a_model(job, name="late-y"),
    )
    yield site
    site.app.extensions["frugal"].labels.stop()
    site.predictor.stop()  # type: ignore[attr-defined]
    site.store.close()


def outcomes(site: Site, body: Any, kind: str = "application/json") -> Any:
    given = {"json": body} if kind == "application/json" else {"data": body, "content_type": kind}
    return site.post("/v1/models/late-y/outcomes", **given)


def test_all_forms_say_the_same(real: Site) -> None:
    counts = []
    for body, kind in (
        (
            {"outcomes": [{"key": 500, "label": 1}, {"key": "501", "label": False}]},
            "application/json",
        ),
        (b"key,label\n500,1\n501,0\n", "text/csv"),
        (b"label;key;at\n1;500;2026-01-01T00:00:00Z\n0.0;501;\n", "text/csv"),
        (b'{"key": 500, "label": 1.0}\n\n{"key": 501.0, "label": "0"}\n', "application/x-ndjson"),
    ):
        answer = outcomes(real, body, kind)
        assert answer.status_code == 201, answer.text
        counts.append({k: v for k, v in answer.json.items() if k.startswith("n_")})
    assert (
        counts
        == [
            {
                "n_labels": 2,
                "n_positive": 1,
                "n_unknown_keys": 0,
                "n_conflicting": 0,
                "n_replaced": 0,
            }
        ]
        * 4
    )


def test_unknown_conflicting_and_replaced_labels_are_counted(real: Site) -> None:
    rows = [(9, 0, ""), (1, 0, ""), (9999, 1, ""), (510, 1, T1), (510, 0, T2)]
    body = "key,label,at\n" + "".join(f"{key},{label},{at}\n" for key, label, at in rows)
    answer = outcomes(real, body.encode(), "text/csv").json
    assert answer["n_labels"] == 4
    assert answer["n_unknown_keys"] == 1
    assert answer["n_conflicting"] == 1
    assert answer["n_replaced"] == 1  # 9 was positive; 1 is what it was


@pytest.mark.parametrize(
    ("body", "kind", "code", "row"),
    [
        (b"", "text/csv", "invalid_outcomes", None),
        (b"key,label\n", "text/csv", "invalid_outcomes", None),
        (b"id,y\n1,1\n", "text/csv", "invalid_outcomes", None),
        (b"key,label\n1,1\n2\n", "text/csv", "invalid_outcomes", 2),
        (b'key,label\n"1,1\n', "text/csv", "invalid_outcomes", None),
        (b"key,label\n1,1\n2,maybe\n", "text/csv", "unknown_label", 2),
        (b"key,label\n1,\n", "text/csv", "unknown_label", 1),
        (b"key,label\n,1\n", "text/csv", "invalid_outcomes", 1),
        (b"key,label,at\n1,1,yesterday\n", "text/csv", "invalid_outcomes", 1),
        (b"key,label\n\xff,1\n", "text/csv", "invalid_outcomes", None),
        (b"[]", "application/json", "invalid_outcomes", None),
        (b'{"outcomes": [], "x": 1}', "application/json", "invalid_outcomes", None),
        (b'{"outcomes": [{"key": 1}]}', "application/json", "invalid_outcomes", 1),
        (b'{"outcomes": [{"key": true, "label": 1}]}', "application/json", "invalid_outcomes", 1),
        (b'{"outcomes": [{"key": 1, "label": null}]}', "application/json", "unknown_label", 1),
        (b'{"outcomes": [{"key": 1, "label": NaN}]}', "application/json", "unknown_label", 1),
        (b'{"outcomes": [{"key": 1, "label": 1e999}]}', "application/json", "unknown_label", 1),
        (b"[" * 100_000, "application/json", "invalid_outcomes", None),
        (b'{"key": 1, "label": 1}\nnope\n', "application/x-ndjson", "invalid_outcomes", 2),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_kept(
    real: Site, body: bytes, kind: str, code: str, row: int | None
) -> None:
    before = real.artifacts.names()
    answer = real.post("/v1/models/late-y/outcomes", data=body, content_type=kind)
    assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    assert answer.json.get("row") == row
    assert "maybe" not in answer.text  # no value of a cell
    assert real.artifacts.names() == before


def one(**changes: Any) -> dict[str, Any]:
    return {"outcomes": [{"key": 500, "label": 1}, {"key": 501, "label": 1, **changes}]}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (one(at="2026-01-01T00:00:00"), "invalid_outcomes", "at"),
        (one(at="2026-01-01"), "invalid_outcomes", "at"),
        (one(at="2999-01-01T00:00:00Z"), "invalid_outcomes", "at"),
        (one(at="0001-01-01T00:00:00+14:00"), "invalid_outcomes", "at"),
        (one(at="1969-12-31T23:59:59Z"), "invalid_outcomes", "at"),
        (one(at="2026-02-30T00:00:00Z"), "invalid_outcomes", "at"),
        (one(at=1.7e9), "invalid_outcomes", "at"),
        (one(key="a\0b"), "invalid_outcomes", "key"),
        (one(key="\ud800"), "invalid_outcomes", "key"),
        (one(key=True), "invalid_outcomes", "key"),
        (one(key=500), "duplicate_key", "key"),
        (one(key="500", label=0), "duplicate_key", "key"),
        (one(label="true"), "unknown_label", "label"),
        (one(label=[1]), "unknown_label", "label"),
        (b'{"outcomes": [{"key": 1, "label": 1}, {"key": 2, "key": 3, "label": 1}]}',
         "invalid_outcomes", "key"),
        (b'{"outcomes": [{"key": 1, "label": 1}, {"key": 2, "label": 0, "label": 1}]}',
         "invalid_outcomes", "label"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_second_is_told_with_its_field(
    real: Site, body: Any, code: str, field: str
) -> None:
    before = real.artifacts.names()
    given = {"data": body} if isinstance(body, bytes) else {"data": json.dumps(body)}
    answer = real.post("/v1/models/late-y/outcomes", content_type="application/json", **given)
    assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    assert answer.json["row"] == 2
    assert [(e["field"], e["row"]) for e in answer.json["errors"]] == [(field, 2)]
    assert real.artifacts.names() == before


def test_a_body_with_its_list_twice_is_refused(real: Site) -> None:
    body = b'{"outcomes": [{"key": 1, "label": 1}], "outcomes": []}'
    answer = real.post("/v1/models/late-y/outcomes", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "outcomes")


def test_a_key_with_two_times_has_a_history(real: Site) -> None:
    answer = outcomes(real, one(key=500, label=0, at=T1))
    assert (answer.status_code, answer.json["n_labels"], answer.json["n_conflicting"]) == (
        201,
        1,
        1,
    )


@pytest.mark.parametrize(
    ("values", "label", "expected"),
    [
        (["0", "1"], True, "1"),
        (["0", "1"], False, "0"),
        (["0", "1", "2"], True, None),
        (["no", "yes"], True, None),
        (["false", "true"], True, "true"),
        (["1", "2"], True, None),
        (["0.0", "1.0"], 1, None),
        (["0", "1"], "1.0", "1"),
    ],
)
def test_truths_are_labels_only_where_nothing_else_can_be_meant(
    values: list[str], label: Any, expected: str | None
) -> None:
    assert label_text(label, {value: value for value in values}) == expected


def test_the_process_that_reads_labels_stays_and_a_killed_one_is_replaced(real: Site) -> None:
    """A start for each request took over a CPU-second."""
    reader = real.app.extensions["frugal"].labels
    assert outcomes(real, one(key=590)).status_code == 201
    [pid] = reader.pids()
    assert outcomes(real, one(label="maybe")).status_code == 422
    assert outcomes(real, one(key=591)).status_code == 201
    assert reader.pids() == [pid]
    os.kill(pid, signal.SIGKILL)
    assert outcomes(real, one(key=592)).status_code == 201
    assert reader.pids() != [pid]


def test_other_types_and_models(real: Site) -> None:
    answer = real.post("/v1/models/late-y/outcomes", data=b"x", content_type="application/pickle")
    assert answer.status_code == 415
    answer = real.post("/v1/models/nobody/outcomes", json={"outcomes": []})
    assert answer.status_code == 404


def test_a_version_is_not_keyed_by_a_column_that_it_lacks(real: Site) -> None:
    """Else the series would be left without its key, and could not be appended to again."""
    base = real.get("/v1/models/late-y").json["dataset"]
    rows = {"data": b"id,age,y\n600,30,1\n", "content_type": "text/csv"}
    answer = real.post(f"/v1/datasets/{base}/versions?key=ident", **rows)
    assert (answer.status_code, answer.json["code"]) == (422, "column_not_found")
    assert answer.json["column"] == "ident"
    assert len(real.get(f"/v1/datasets/{base}/versions").json["items"]) == 1
    answer = real.post(f"/v1/datasets/{base}/versions?key=id", **rows)
    # What is called nothing else is called as the rows before.
    assert (answer.status_code, answer.json["name"]) == (
        201,
        real.get(f"/v1/datasets/{base}").json["name"],
    )
