"""Files in pieces over HTTP: what is sent to break it, or by somebody else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.api.parts import Site, build
from tests.api.pieces import EACH, N, begin, complete, digest, kept, piece, put


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
