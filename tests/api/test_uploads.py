"""Files in pieces over HTTP: any order, breaks, restarts, and what is sent to break it."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.config import Settings
from scheduler.uploads import Uploads
from tests.api.parts import Site, build

CSV = b"age;y\n" + b"".join(b"%d;%d\n" % (n, n % 3 == 0) for n in range(40))
EACH = 50
N = -(-len(CSV) // EACH)


def begin(site: Site, body: bytes = CSV, **more: Any) -> Any:
    request = {"name": "x.csv", "size": len(body), "chunk_bytes": EACH, **more}
    return site.post("/v1/uploads", json=request)


def piece(number: int, body: bytes = CSV) -> bytes:
    return body[number * EACH : (number + 1) * EACH]


def digest(data: bytes) -> dict[str, str]:
    return {
        "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
    }


def put(site: Site, upload: str, number: Any, data: bytes | None = None, **more: Any) -> Any:
    data = piece(number) if data is None else data
    path = f"/v1/uploads/{upload}/chunks/{number}"
    more.setdefault("headers", digest(data))
    return site.call("PUT", path, data=data, **more)


def complete(site: Site, upload: str, **more: Any) -> Any:
    return site.post(f"/v1/uploads/{upload}/complete", **more)


def kept(site: Site) -> list[str]:
    return [name for name in site.artifacts.names() if name.startswith("pieces/")]


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


def test_another_file_than_was_said_is_refused(site: Site) -> None:
    upload = begin(site, sha256="0" * 64).json["id"]
    for number in range(N):
        put(site, upload, number)
    answer = complete(site, upload)
    assert (answer.status_code, answer.json["code"]) == (422, "digest_mismatch")
    assert site.get("/v1/datasets").json["items"] == []
    assert len(kept(site)) == N  # they stay until it is given up
    assert site.call("DELETE", f"/v1/uploads/{upload}").status_code == 204
    assert kept(site) == []
    assert site.get(f"/v1/uploads/{upload}").status_code == 404


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        ({}, "", "digest_required"),
        ({"Content-Digest": "sha-256=:AAAA:"}, "", "invalid_digest"),
        ({"Content-Digest": "sha-512=:AAAA:"}, "", "invalid_digest"),
        ({"Content-Digest": "\xff;;,=" * 50}, "", "invalid_digest"),
        ({"Content-Digest": ":" * 10_000}, "", "invalid_digest"),
        ({}, "?sha256=xyz", "invalid_digest"),
        ({}, "?sha256=", "invalid_digest"),
        ({}, "?sha256=" + "0" * 65, "invalid_request"),
        ({}, "?sha256=" + "0" * 64, "digest_mismatch"),
        ({"Content-Digest": f"sha-256=:{'A' * 43}=:"}, "", "digest_mismatch"),
        (digest(piece(0)), "?sha256=" + "0" * 64, "invalid_digest"),
        (digest(piece(0)), "?size=3", "invalid_request"),
    ],
)
def test_wrong_digests(site: Site, headers: dict[str, str], query: str, code: str) -> None:
    upload = begin(site).json["id"]
    path = f"/v1/uploads/{upload}/chunks/0{query}"
    answer = site.call("PUT", path, data=piece(0), headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert kept(site) == []


def test_several_digests_and_their_spelling(site: Site) -> None:
    upload = begin(site).json["id"]
    own = digest(piece(0))["Content-Digest"]
    for header in (f"sha-512=:AAAA:, {own}", f"{own},md5=:AAAA:", f" {own} "):
        assert put(site, upload, 0, headers={"Content-Digest": header}).status_code == 200
    hexadecimal = hashlib.sha256(piece(0)).hexdigest().upper()
    path = f"/v1/uploads/{upload}/chunks/0?sha256={hexadecimal}"
    assert site.call("PUT", path, data=piece(0)).status_code == 200


@pytest.mark.parametrize(
    "number", ["-1", "10000000000000000000", N, "1e3", "0x1", "١", "%00", "a" * 300, "1.0"]
)
def test_numbers_that_no_piece_has(site: Site, number: Any) -> None:
    upload = begin(site).json["id"]
    answer = put(site, upload, number, b"x")
    assert (answer.status_code, answer.json["code"]) == (422, "chunk_out_of_range")
    assert answer.json["errors"][0]["field"] == "number"


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


def test_pieces_of_a_wrong_length(site: Site) -> None:
    upload = begin(site).json["id"]
    for number, data, status, code in (
        (0, b"", 411, "length_required"),  # the test client says no length of nothing
        (0, bytes(EACH - 1), 422, "wrong_chunk_size"),
        (N - 1, bytes(EACH), 422, "wrong_chunk_size"),
        (0, bytes(EACH + 1), 413, "chunk_too_large"),
        (0, bytes(10**6), 413, "chunk_too_large"),
    ):
        answer = put(site, upload, number, data)
        assert (answer.status_code, answer.json["code"]) == (status, code)
    assert kept(site) == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": 0}, 422, "invalid_request"),
        ({"size": -1}, 422, "invalid_request"),
        ({"size": 10**18}, 413, "upload_too_large"),
        ({"size": 2**63}, 422, "integer_range"),
        ({"size": 1.5}, 422, "invalid_request"),
        ({"size": "9"}, 422, "invalid_request"),
        ({"size": True}, 422, "invalid_request"),
        ({"size": 2**30 + 1}, 413, "upload_too_large"),
        ({"size": 2**30, "chunk_bytes": 1}, 422, "too_many_chunks"),
        ({"chunk_bytes": 0}, 422, "invalid_request"),
        ({"chunk_bytes": 2**24 + 1}, 422, "invalid_request"),
        ({"sha256": "x"}, 422, "invalid_request"),
        ({"name": ""}, 422, "invalid_request"),
        ({"name": "a\0b"}, 422, "nul_byte"),
        ({"options": {"delimiter": ";;"}}, 422, "invalid_request"),
        ({"options": {"uri": "file:///etc/passwd"}}, 422, "invalid_request"),
        ({"options": {"types": {"a": 1}}}, 422, "invalid_option"),
        ({"options": {"key": "\0"}}, 422, "nul_byte"),
        ({"options": []}, 422, "invalid_request"),
        ({"other": 1}, 422, "invalid_request"),
    ],
)
def test_uploads_that_cannot_begin(
    site: Site, change: dict[str, Any], status: int, code: str
) -> None:
    answer = begin(site, **change)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert site.get("/v1/uploads").json["items"] == []


def test_unfinished_ones_are_counted(tmp_path: Path) -> None:
    site = build(tmp_path, max_uploads=2, max_upload_bytes=1000)
    first = begin(site).json["id"]
    second = begin(site).json["id"]
    refused = begin(site)
    assert (refused.status_code, refused.json["code"]) == (409, "too_many_uploads")
    site.call("DELETE", f"/v1/uploads/{second}")
    refused = begin(site, size=1000)  # together with the first one that is too much
    assert (refused.status_code, refused.json["code"]) == (409, "too_many_uploads")
    for number in range(N):
        put(site, first, number)
    complete(site, first)
    assert begin(site, size=1000).status_code == 201
    site.store.close()


def test_another_project_sees_nothing_of_it(site: Site) -> None:
    upload = begin(site).json["id"]
    put(site, upload, 0)
    secret = site.other_secret
    assert put(site, upload, 1, secret=secret).status_code == 404
    assert complete(site, upload, secret=secret).status_code == 404
    assert site.get(f"/v1/uploads/{upload}", secret=secret).status_code == 404
    assert site.call("DELETE", f"/v1/uploads/{upload}", secret=secret).status_code == 404
    assert site.get("/v1/uploads", secret=secret).json["items"] == []
    for unknown in ("0" * 32, "x", "..%2f..", "%00"):
        assert put(site, unknown, 0).status_code == 404
        assert complete(site, unknown).status_code == 404
    assert site.get(f"/v1/uploads/{upload}").json["received"] == [0]


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


def test_a_file_that_cannot_be_read_is_refused_as_in_one_request(tmp_path: Path) -> None:
    site = build(tmp_path, reads_files=True)
    body = b"a\n1\n2\n"
    upload = begin(site, body).json["id"]
    put(site, upload, 0, body)
    answer = complete(site, upload)
    direct = site.post("/v1/datasets", data=body, content_type="text/csv")
    assert (answer.status_code, answer.json) == (direct.status_code, direct.json)
    assert answer.status_code == 422
    site.store.close()


KILLED = """
import os, sys, tests.api.test_uploads as own
from pathlib import Path
site = own.build(Path(sys.argv[1]))
upload = own.begin(site).json["id"]
for number in range(own.N - 1):
    own.put(site, upload, number)
real = site.artifacts._publish
def publish(part, target):
    real(part, target)
    if sys.argv[2] == "stored" or not target.name.isdigit():
        kill()
def kill():
    print(upload, site.secret, flush=True)
    os.kill(os.getpid(), 9)
site.artifacts._publish = publish
if sys.argv[2] == "between":
    kill()
own.put(site, upload, own.N - 1)
site.store.complete_upload = lambda *_, **__: kill()
own.complete(site, upload)
"""


@pytest.mark.parametrize("moment", ["between", "stored", "complete"])
def test_a_service_that_is_killed_goes_on_afterwards(tmp_path: Path, moment: str) -> None:
    """Between two pieces, between a piece and its row, between the data set and the end."""
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    upload, secret = ended.stdout.split()
    site = reopened(tmp_path)
    there = site.get(f"/v1/uploads/{upload}", secret=secret).json["received"]
    assert there == list(range(N if moment == "complete" else N - 1))
    for number in sorted(set(range(N)) - set(there)):
        assert put(site, upload, number, secret=secret).status_code == 200
    done = complete(site, upload, secret=secret)
    assert done.status_code == (200 if moment == "complete" else 201)
    items = site.get("/v1/datasets", secret=secret).json["items"]
    assert [one["id"] for one in items] == [done.json["id"]]
    assert site.upload(CSV, secret=secret) == done.json["id"]
    assert kept(site) == []
    site.store.close()


def reopened(folder: Path) -> Site:
    """A site over what another process left."""
    from api import create_app
    from scheduler.artifacts import ArtifactStore
    from scheduler.store import Store
    from tests.api.parts import FakeIngestor, FakePredictor, FakeService

    store = Store(f"sqlite:///{folder / 'frugal.db'}")
    artifacts, configured = ArtifactStore(folder / "artifacts"), Settings(data_dir=folder)
    parts: dict[str, Any] = {
        "ingestor": FakeIngestor(store),
        "service": FakeService(),
        "predictor": FakePredictor(),
        "settings": configured,
    }
    app = create_app(store=store, artifacts=artifacts, **parts)
    return Site(
        app=app,
        store=store,
        artifacts=artifacts,
        client=app.test_client(),
        project="",
        secret="",
        other_secret="",
        token_id="",
        **parts,
    )


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
