"""Files in pieces over HTTP: in any order, over breaks, up to the limit, until it is too late."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.uploads import Uploads
from tests.api.parts import Site, build
from tests.api.pieces import CSV, EACH, N, begin, complete, kept, piece, put


def test_pieces_become_the_data_set_that_one_request_makes(site: Site) -> None:
    options = {"delimiter": ";", "null_values": ["", "NA"], "header": True}
    begun = begin(site, options=options, sha256=hashlib.sha256(CSV).hexdigest().upper())
    assert begun.status_code == 201
    upload = begun.json["id"]
    assert begun.headers["Location"] == f"/v1/uploads/{upload}"
    assert (begun.json["n_chunks"], begun.json["received"]) == (N, [])
    for number in range(N):
        assert put(site, upload, number).status_code == 200
    assert site.get(f"/v1/uploads/{upload}").json["received"] == list(range(N))
    assert [one["id"] for one in site.get("/v1/uploads").json["items"]] == [upload]
    done = complete(site, upload)
    assert done.status_code == 201
    assert done.json["options"] == {"delimiter": ";", "null_values": ["", "NA"], "header": True}
    query = {"delimiter": ";", "null_values": '["","NA"]', "header": "true"}
    assert site.upload(CSV, query_string=query) == done.json["id"]
    assert kept(site) == []
    again = complete(site, upload)
    assert (again.status_code, again.json["id"]) == (200, done.json["id"])
    about = site.get(f"/v1/uploads/{upload}").json
    assert (about["state"], about["dataset"]) == ("COMPLETE", done.json["id"])
    late = put(site, upload, 0)
    assert (late.status_code, late.json["code"]) == (409, "upload_complete")


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(range(N)),
    again=st.lists(st.integers(0, N - 1), max_size=4),
    spoiled=st.integers(0, N - 1),
)
def test_any_order_and_repetition_is_the_same_data_set(
    site: Site, order: list[int], again: list[int], spoiled: int
) -> None:
    upload = begin(site).json["id"]
    other = bytes(len(piece(spoiled)))
    assert put(site, upload, spoiled, other).status_code == 200  # replaced below
    for number in (*order[:3], *again, *order):
        assert put(site, upload, number).status_code == 200
    assert complete(site, upload).json["id"] == site.upload(CSV)


def test_missing_pieces_are_named(site: Site) -> None:
    upload = begin(site).json["id"]
    for number in range(N):
        if number not in (1, 3):
            put(site, upload, number)
    answer = complete(site, upload)
    assert (answer.status_code, answer.json["code"]) == (409, "chunks_missing")
    assert answer.json["details"] == {"n_missing": 2, "missing": [1, 3]}
    put(site, upload, 1), put(site, upload, 3)
    assert complete(site, upload).status_code == 201


@pytest.mark.parametrize("harm", ["lost", "changed"])
def test_what_the_disk_lost_is_missing_again(site: Site, harm: str) -> None:
    upload = begin(site).json["id"]
    for number in range(N):
        put(site, upload, number)
    path = site.artifacts.path(f"pieces/{upload}/1")
    path.unlink() if harm == "lost" else path.write_bytes(bytes(EACH))
    answer = complete(site, upload)
    assert (answer.status_code, answer.json["details"]["missing"]) == (409, [1])
    assert 1 not in site.get(f"/v1/uploads/{upload}").json["received"]
    put(site, upload, 1)
    assert complete(site, upload).status_code == 201


def test_whole_pieces_pass_a_server_that_ends_the_stream_itself(site: Site) -> None:
    """As waitress does: a piece as large as pieces may be is not too large."""
    upload = begin(site).json["id"]
    ended = {"environ_overrides": {"wsgi.input_terminated": True}}
    for number in range(N):
        answer = put(site, upload, number, **ended)
        assert answer.status_code == 200, answer.text
    assert complete(site, upload).status_code == 201
    longer = put(site, begin(site).json["id"], 0, bytes(EACH + 1), **ended)
    assert (longer.status_code, longer.json["code"]) == (413, "chunk_too_large")


@pytest.mark.parametrize("ended", [True, False])
def test_a_file_of_exactly_the_limit_is_accepted_whole_and_in_pieces(
    tmp_path: Path, ended: bool
) -> None:
    """With a stream that the server ends, as waitress has it, and without."""
    site = build(tmp_path, reads_files=True, max_upload_bytes=1000)
    environ = {"wsgi.input_terminated": True} if ended else {}
    body = b"a,b\n" + b"1,234\n" * 166
    assert len(body) == 1000

    def whole(data: bytes) -> Any:
        return site.post(
            "/v1/datasets", data=data, content_type="text/csv", environ_overrides=environ
        )

    assert whole(body).status_code == 201
    longer = whole(body + b"\n")
    assert (longer.status_code, longer.json["code"]) == (413, "body_too_large")
    asked = {"name": "x", "size": 1000, "chunk_bytes": 1000}
    upload = site.post("/v1/uploads", json=asked).json["id"]
    assert put(site, upload, 0, body, environ_overrides=environ).status_code == 200
    assert complete(site, upload).status_code in (200, 201)
    more = site.post("/v1/uploads", json=asked | {"size": 1001})
    assert (more.status_code, more.json["code"]) == (413, "upload_too_large")
    site.store.close()


def test_what_is_not_completed_in_time_is_gone(tmp_path: Path) -> None:
    site = build(tmp_path, upload_seconds=3600)
    upload = begin(site).json["id"]
    put(site, upload, 0)
    uploads = Uploads(store=site.store, artifacts=site.artifacts, settings=site.settings)
    later = datetime.now(UTC) + timedelta(hours=2)
    # The sweep of orphans leaves what is there alone.
    assert site.artifacts.sweep(site.store.artifact_keys(), now=later) == []
    assert uploads.expire(datetime.now(UTC)) == 0
    assert uploads.expire(later) == 1
    assert kept(site) == []
    for answer in (
        site.get(f"/v1/uploads/{upload}"),
        put(site, upload, 0),
        complete(site, upload),
    ):
        assert (answer.status_code, answer.json["code"]) == (410, "upload_expired")
    site.store.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Site]:
    made = build(tmp_path, reads_files=True)
    yield made
    made.store.close()


def test_rows_of_pieces_are_rows_of_the_file(real: Site) -> None:
    upload = begin(real).json["id"]
    for number in reversed(range(N)):
        put(real, upload, number)
    dataset = complete(real, upload).json["id"]
    end = time.monotonic() + 240
    while real.get(f"/v1/datasets/{dataset}").json["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.1)
    found = real.get(f"/v1/datasets/{dataset}").json
    assert (found["state"], found["n_rows"], found["bytes_in"]) == ("READY", 40, len(CSV))
