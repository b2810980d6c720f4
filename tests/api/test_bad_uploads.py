"""Rows 1-39 and 69 of the bad inputs over HTTP: status and code, and nothing left behind.

What each row means in depth is tested beside the readers; here one file of each goes through an
upload, a child process and the store.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import pickle
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.api.parts import Site, build

pytestmark = pytest.mark.slow  # 60 interpreters

WAIT_SECONDS = 240.0
CANARY = "FR7630006000011234567890189"  # an IBAN that no message may repeat
MANY = "a,b\n" + "1,2\n" * 1_200_000  # 4.8 MB: beyond the bounded look


@dataclass(frozen=True)
class Case:
    """A file and what is to come of it: a status and code, or the code of an INVALID data set."""

    row: str
    body: bytes
    status: int
    code: str | None = None
    query: str = ""
    at: int | None = None  # row of the data
    column: str | None = None


def refused(row: str, body: str | bytes, code: str, *, status: int = 422, **more: Any) -> Case:
    """Refused in the request."""
    return Case(row, _bytes(body), status, code, **more)


def invalid(row: str, body: str | bytes, code: str, **more: Any) -> Case:
    """Taken, and INVALID when the row is met."""
    return Case(row, _bytes(body), 201, code, **more)


def taken(row: str, body: str | bytes, **more: Any) -> Case:
    """Taken and READY."""
    return Case(row, _bytes(body), 201, **more)


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def zipped(name: str = "a.csv") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, "a,b\n1,2\n")
    return sink.getvalue()


WHOLE = parquet(pa.table({"a": range(1000), "b": ["x"] * 1000}))
BOMB = parquet(pa.table({"a": pa.array(["x" * 60_000] * 5_000), "b": range(5_000)}))
WIDE = ",".join(f"c{i}" for i in range(6_000))

CASES = [
    refused("1", "", "empty_file"),
    refused("1 gzip", gzip.compress(b""), "empty_file"),
    refused("2", "a,b\n", "no_rows"),
    refused("3", "\n\n\n", "no_columns"),
    refused("4", "a\n1\n2\n", "only_one_column"),
    refused("5", f"{WIDE}\n{WIDE}\n", "too_many_columns"),
    taken("6", "a;b\n1;1\u00a0234,50\n2;3,5\n"),
    taken("7 tab", "a\tb\n1\t2\n3\t4\n"),
    taken("7 pipe", "a|b\n1|2\n3|4\n"),
    refused("8", "a;b,c\n1;2,x\n3;4,y\n", "ambiguous_dialect"),
    taken("9", "\ufeffa,b\n1,2\n3,4\n"),
    taken("10 with BOM", "a,b\n1,2\n3,4\n".encode("utf-16")),
    refused("10", "a,b\n1,2\n3,4\n".encode("utf-16-le"), "encoding"),
    taken("11 declared", "a,b\n1,José\n2,x\n".encode("latin-1"), query="?encoding=latin-1"),
    taken("11 guessed", "a,b\n1,José\n3,x\n".encode("latin-1")),  # said in the profile
    invalid("12", MANY.encode() + b"5,\xff\xfe\n", "encoding", at=1_200_001),
    taken("13", "a,b\n1,\N{GRINNING FACE}\n2,\u05e9\u05dc\u05d5\u05dd\n"),
    invalid("13 long", "a,b\n1,x\n2," + "y" * 1_000_000 + "\n", "cell_too_long", at=2, column="b"),
    invalid("14", b"a,b\n1,x\n3,\x00x\n", "nul_byte", at=2),
    invalid("15", f"a,b\n1,2\n{CANARY},2,3\n", "ragged_row", at=2),
    invalid("16", f"a,b,c\n1,2,3\n{CANARY},2\n3,4,5\n", "ragged_row", at=2),
    refused("17", "a,b\n1,2,3\n4,5,6\n7,8,9\n", "header_mismatch"),
    invalid("18", f'a,b\n1,2\n3,"{CANARY}\n', "quote", at=2),
    taken("19", 'a,b\n1,"x\ny"\n2,z\n'),
    taken("19 CR", "a,b\r1,2\r3,4\r"),
    refused("20", "a,b,a\n1,2,3\n", "duplicate_columns"),
    taken("21", "a b,a_b,y\n1,2,0\n3,4,1\n"),
    taken("22", '"[a]{""b"":1}","",y\n1,2,0\n3,4,1\n'),
    refused("22 long", "a," + "n" * 10_000 + "\n1,2\n", "column_name_too_long"),
    taken("23", "target,__index__,id,select\n1,2,3,4\n5,6,7,8\n"),
    taken("24", "a,b\n1,=cmd|x\n2,+1\n"),
    taken("25", "a,b\n1,NA\n2,N/A\n"),
    taken("26", "siret,b\n00123456789012,1\n00923456789012,2\n"),
    taken("27", f"a,b\n1,{2**53 + 1}\n2,{2**64}\n"),
    invalid("28", "a,b\n1,1.5\n2,1e400\n", "non_finite", at=2, column="b"),
    taken("28 null", "a,b\n1,1.5\n2,inf\n", query="?non_finite=null"),
    taken("29", "a,b,c\n1,,2\n3,,4\n"),
    invalid("30", f"{MANY}{CANARY},2\n", "type_conflict", at=1_200_001, column="a"),
    refused("31", "a,t\n1,03/04/2024\n2,05/06/2024\n", "ambiguous_date", column="t"),
    taken("31 told", "a,t\n1,03/04/2024\n2,05/06/2024\n", query="?date_format=%25d/%25m/%25Y"),
    invalid(
        "32",
        "a,t\n1,2024-01-01T10:00:00+01:00\n2,2024-01-01T10:00:00\n",
        "mixed_timezones",
        at=2,
        column="t",
    ),
    taken("33", "a,t\n1,2026-10-25T02:30:00\n2,2026-03-29T02:30:00\n",
          query="?timezone=Europe/Paris"),
    invalid("34", "a,t\n1,2024-01-01\n2,9999-12-31\n", "date_range", at=2, column="t"),
    refused("35", WHOLE[:-10], "corrupt_parquet"),
    refused("35 footer", WHOLE[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
            "corrupt_parquet"),
    refused("36", parquet(pa.table({"a": [1, 2], "odd": [[1], [2]]})), "unsupported_type"),
    invalid("37", BOMB, "decoded_too_large"),
    invalid("37 gzip", gzip.compress(b"a,b\n" + b"1,2\n" * 5_000_000), "decoded_too_large"),
    refused("38 zip", zipped(), "unsupported_format", status=415),
    refused("38 xlsx", zipped("xl/workbook.xml"), "unsupported_format", status=415),
    refused("38 pickle", pickle.dumps({"a": [1]}), "unsupported_format", status=415),
    refused("38 claims", WHOLE, "unsupported_format", status=415, query="?format=csv"),
    refused("39", '{"a": 1, "b": 2}\n{"a": 1,\n', "jsonl", at=2),
    refused("39 deep", '{"a": 1, "b": 2}\n{"a": ' + "[" * 100_000 + "}\n", "jsonl", at=2),
    refused("39 twice", '{"a": 1, "b": 2}\n{"a": 1, "a": 2}\n', "jsonl", at=2),
    refused("39 array", '[{"a": 1, "b": 2}]', "jsonl"),
    taken("39 other keys", '{"a": 1, "b": "x"}\n{"b": "y", "c": true}\n'),
    invalid(
        "69",
        "id,b\n" + "".join(f"{i},1\n" for i in range(100)) + "7,2\n",
        "duplicate_entity",
        query="?key=id",
        at=101,
        column="id",
    ),
]  # fmt: skip


class Kept(logging.Handler):
    """Keeps every line that is logged."""

    lines: ClassVar[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Outcome:
    """What came of a case: the answer to the upload, and the data set once it was read."""

    answer: Any
    dataset: Any = None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = build(tmp_path_factory.mktemp("uploads"), reads_files=True, max_decoded_bytes=16 * 2**20)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def outcomes(site: Site) -> dict[str, Outcome]:
    """All files at once, two at a time: each starts an interpreter of its own."""

    def upload(case: Case) -> Outcome:
        path = f"/v1/datasets{case.query}"
        client = site.app.test_client()
        headers = {"Authorization": f"Bearer {site.secret}"}
        answer = client.post(
            path,
            data=case.body,
            content_type="application/octet-stream",
            headers=headers,
            # The test client leaves it out for an empty body, which no client does.
            environ_overrides={"CONTENT_LENGTH": str(len(case.body))},
        )
        if answer.status_code != 201:
            return Outcome(answer)
        end = time.monotonic() + WAIT_SECONDS
        while True:
            dataset = client.get(answer.headers["Location"], headers=headers).json
            if dataset["state"] != "INGESTING" or time.monotonic() > end:
                return Outcome(answer, dataset)
            time.sleep(0.05)

    with ThreadPoolExecutor(2) as pool, pytest.MonkeyPatch.context() as patch:
        log = logging.getLogger()
        patch.setattr(log, "level", logging.DEBUG)
        patch.setattr(log, "handlers", [*log.handlers, Kept()])
        return dict(zip([case.row for case in CASES], pool.map(upload, CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_row(outcomes: dict[str, Outcome], case: Case) -> None:
    outcome = outcomes[case.row]
    assert outcome.answer.status_code == case.status, outcome.answer.text
    if case.status == 201 and case.code is None:
        assert outcome.dataset["state"] == "READY", outcome.dataset
        assert outcome.dataset["problem"] is None
        return
    if case.status == 201:
        assert outcome.dataset["state"] == "INVALID", outcome.dataset
        problem = outcome.dataset["problem"]
        assert problem["status"] == (413 if case.row.startswith("37") else 422)
        assert {"type", "title"} <= problem.keys()
    else:
        problem = outcome.answer.json
        assert outcome.answer.mimetype == "application/problem+json"
    assert problem["code"] == case.code
    assert problem["detail"]
    if case.at is not None:
        assert problem["row"] == case.at
    if case.column is not None:
        assert problem["column"] == case.column
    assert CANARY not in json.dumps(problem)


def test_no_cell_is_logged(outcomes: dict[str, Outcome]) -> None:
    assert any("INVALID" in line for line in Kept.lines)
    assert not [line for line in Kept.lines if CANARY in line]


def test_nothing_is_left_of_what_was_refused(site: Site, outcomes: dict[str, Outcome]) -> None:
    n_ready = sum(
        outcome.dataset is not None and outcome.dataset["state"] == "READY"
        for outcome in outcomes.values()
    )
    assert len(site.artifacts.names()) == n_ready  # no upload, no half-written folder
    assert all(key.startswith("datasets/") for key in site.artifacts.names())
    listed = site.get("/v1/datasets?limit=100").json["items"]
    assert len(listed) == sum(outcome.dataset is not None for outcome in outcomes.values())


def test_values_are_what_the_file_says(site: Site, outcomes: dict[str, Outcome]) -> None:
    """Rows 6, 26 and 27: what a careless reader would change."""

    def column(row: str, name: str) -> list[Any]:
        dataset = site.store.get_dataset(site.project, outcomes[row].dataset["id"])
        assert dataset.artifact is not None
        path = site.artifacts.path(dataset.artifact) / "rows.parquet"
        return pq.read_table(path)[name].to_pylist()  # type: ignore[no-any-return]

    assert column("6", "b") == [1234.5, 3.5]
    assert column("26", "siret") == ["00123456789012", "00923456789012"]
    assert column("27", "b") == [str(2**53 + 1), str(2**64)]
    assert column("9", "a") == [1, 3]
    assert column("11 declared", "b") == ["José", "x"]


def test_guesses_are_said(site: Site, outcomes: dict[str, Outcome]) -> None:
    profile = site.get(f"/v1/datasets/{outcomes['6'].dataset['id']}/profile").json
    assert profile["dialect"]["delimiter"] == ";"
    assert profile["dialect"]["decimal"] == ","
    assert profile["bytes_in"] > 0
    assert profile["bytes_stored"] > 0
