"""Rows 47-62 of the bad inputs over HTTP: uploads, then a job that must be refused or warned."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.api.parts import Site, build
from tests.api.tables import changed, csv, rows

pytestmark = pytest.mark.slow  # two interpreters each

WAIT_SECONDS = 240.0


@dataclass(frozen=True)
class Case:
    """A table, a request, and a status with the code of the problem or of a warning."""

    row: str
    body: bytes
    status: int
    code: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    column: str | None = None
    excluded: str | None = None


def labels(*values: Any) -> bytes:
    """The table with its target spelled by these values: negative first."""
    return changed(lambda number, row: {**row, "y": values[row["y"]]})


def with_column(name: str, value: Any) -> bytes:
    """The table with one more column, made of the number and the row."""
    return changed(lambda number, row: {name: value(number, row), **row})


NORMAL = csv(rows())
CASES = [
    Case("normal", NORMAL, 202),
    Case("47", NORMAL, 422, "target_not_found", {"target": "Y_"}, "Y_"),
    Case("48", csv(rows(n_positive=0)), 422, "no_positives"),
    Case("49", csv(rows(n_positive=1)), 422, "too_few_positives"),
    Case("49 few", csv(rows(n_positive=15)), 202, "too_few_positives"),
    Case("50", csv(rows(n_positive=400)), 422, "constant_target"),
    Case(
        "51",
        csv({**row, "when": f"20{10 + 10 * row['y']}-01-{1 + number % 28:02d}"}
            for number, row in enumerate(rows())),
        422,
        "fold_without_class",
        {"time_column": "when"},
    ),
    Case("52", changed(lambda n, row: {**row, "y": None if n % 10 == 0 else row["y"]}), 202,
         "target_missing"),
    Case("52 many", changed(lambda n, row: {**row, "y": None if n % 3 == 0 else row["y"]}), 422,
         "target_missing"),
    Case("52 accepted", changed(lambda n, row: {**row, "y": None if n % 3 == 0 else row["y"]}),
         202, "target_missing", {"accept_missing_target": True}),
    Case("53 words", labels("NON", "OUI"), 422, "positive_label_required"),
    Case("53 named", labels("NON", "OUI"), 202, None, {"positive": "OUI"}),
    Case("53 1/2", labels(1, 2), 422, "positive_label_required"),
    Case("53 text", changed(lambda n, row: {**row, "y": f'"{row["y"]}.0 x"'}), 422,
         "positive_label_required"),
    Case("53 unknown", labels("NON", "OUI"), 422, None, {"positive": "YES"}),
    Case("54 three", changed(lambda n, row: {**row, "y": row["y"] + n % 2}), 422, "not_binary"),
    Case("54 float", changed(lambda n, row: {**row, "y": row["balance"]}), 422, "not_binary"),
    Case("55", csv(rows(n_positive=380)), 202, "positive_label_inverted?"),
    Case("56", with_column("copy", lambda n, row: row["y"]), 422, "leakage_suspected",
         column="copy"),
    Case("56 inverse", with_column("copy", lambda n, row: 1 - row["y"]), 422,
         "leakage_suspected", column="copy"),
    Case("56 accepted", with_column("copy", lambda n, row: row["y"]), 202, None,
         {"accept_leakage": ["copy"]}),
    Case("56b", with_column("duration", lambda n, row: 1000 * row["y"] + n % 700), 202,
         "leakage_suspected", column="duration"),
    Case("56b excluded", with_column("duration", lambda n, row: 1000 * row["y"] + n), 202, None,
         {"exclude": ["duration"]}),
    Case("57", with_column("number", lambda n, row: 100_000 + n), 202, None, excluded="number"),
    Case("58", with_column("text", lambda n, row: f"word{n * 7919 % 399}"), 202),
    Case("59", csv([*rows(), *rows()]), 202, "duplicate_rows"),
    Case("60", csv([*rows(), *({**row, "y": 1 - row["y"]} for row in rows())]), 202,
         "conflicting_duplicates"),
    Case("61", csv({"a": 1, "b": "x", "y": row["y"]} for row in rows()), 422,
         "no_usable_features"),
    Case("roles", NORMAL, 422, "column_not_found", {"exclude": ["nothing"]}, "nothing"),
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("jobs"), reads_files=True)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def answers(site: Site) -> dict[str, Any]:
    """The answer to each job request, two at a time."""

    def submit(case: Case) -> Any:
        client = site.app.test_client()
        headers = {"Authorization": f"Bearer {site.secret}"}
        uploaded = client.post(
            "/v1/datasets", data=case.body, content_type="text/csv", headers=headers
        )
        assert uploaded.status_code in (200, 201), (case.row, uploaded.text)
        path = uploaded.headers["Location"]
        end = time.monotonic() + WAIT_SECONDS
        while (found := client.get(path, headers=headers).json)["state"] == "INGESTING":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert found["state"] == "READY", (case.row, found)
        body = {"dataset": found["id"], "target": "y", **case.request}
        return client.post("/v1/jobs", json=body, headers=headers)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip([case.row for case in CASES], pool.map(submit, CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_row(answers: dict[str, Any], case: Case) -> None:
    answer = answers[case.row]
    assert answer.status_code == case.status, answer.text
    if case.status == 422:
        assert answer.mimetype == "application/problem+json"
        assert case.code in (None, answer.json["code"])
        if case.column is not None:
            named = [answer.json.get("column"), *answer.json.get("details", {}).get("columns", [])]
            assert case.column in named
        return
    warnings = answer.json["warnings"]
    if case.code is not None:
        found = [warning for warning in warnings if warning["code"] == case.code]
        assert found, warnings
        if case.column is not None:
            assert case.column in [warning.get("column") for warning in found]
    if case.excluded is not None:
        left_out = [one["column"] for one in answer.json["request"]["admission"]["excluded"]]
        assert case.excluded in left_out


def test_a_misspelt_target_gets_near_names(answers: dict[str, Any]) -> None:
    assert "y" in answers["47"].json["details"]["near"]


def test_no_cell_is_repeated(answers: dict[str, Any]) -> None:
    """The labels of a target may be asked back for; values of features never."""
    refused = [answer for answer in answers.values() if answer.status_code == 422]
    assert len(refused) > 10
    for answer in refused:
        assert "private" not in json.dumps(answer.json)
