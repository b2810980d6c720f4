"""The client's uploads in pieces against the service, over connections that break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api import client_datasets, client_uploads
from api.client import FrugalClient, ServiceError, ServiceUnreachable
from api.client_uploads import UploadBroken
from tests.api.parts import Site

CSV = b"age;y\n" + b"".join(b"%d;%d\n" % (n, n % 3 == 0) for n in range(400))


class Direct(FrugalClient):
    """Asks the app itself; every request whose number is in `broken` finds nobody."""

    def __init__(self, site: Site) -> None:
        super().__init__("http://localhost", site.secret)
        self.site = site
        self.sent: list[str] = []
        self.broken: set[int] = set()

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        self.sent.append(f"{method} {path}")
        if len(self.sent) in self.broken:
            raise ServiceUnreachable("nobody")
        if "params" in request:
            request["query_string"] = request.pop("params")
        answer = self.site.call(method, path, **request)
        if answer.status_code >= 400:
            raise ServiceError(answer.status_code, answer.json)
        found: dict[str, Any] = answer.json if answer.data else {}
        return found


@pytest.fixture
def client(site: Site, monkeypatch: pytest.MonkeyPatch) -> Direct:
    monkeypatch.setattr(client_uploads, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(client_datasets, "PIECE_BYTES", 1000)
    real = site.call

    def smaller(method: str, path: str, **more: Any) -> Any:
        if (method, path) == ("POST", "/v1/uploads"):
            more["json"] = {**more["json"], "chunk_bytes": 300}
        return real(method, path, **more)

    monkeypatch.setattr(site, "call", smaller)
    return Direct(site)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_bytes(CSV)
    return path


N = -(-len(CSV) // 300)


def test_a_large_file_goes_in_pieces_and_tells_how_far_it_is(
    client: Direct, site: Site, file: Path
) -> None:
    told: list[tuple[int, int]] = []
    dataset = client.upload(
        file, options={"delimiter": ";"}, progress=lambda *one: told.append(one)
    )
    assert (dataset["state"], dataset["name"]) == ("READY", "customers.csv")
    assert dataset["bytes_in"] == len(CSV)
    assert told[-1] == (len(CSV), len(CSV))
    assert [one[0] for one in told] == sorted({one[0] for one in told})
    assert sum(one.startswith("PUT") for one in client.sent) == N
    assert site.upload(CSV, query_string="delimiter=;") == dataset["id"]


def test_a_small_file_goes_at_once(client: Direct, file: Path) -> None:
    file.write_bytes(CSV[:900])
    client.upload(file)
    assert client.sent[0] == "POST /v1/datasets"


def test_pieces_are_sent_again_where_the_connection_breaks(client: Direct, file: Path) -> None:
    client.broken = {3, 4, 7, N + 4}  # the last one: complete
    assert client.upload(file)["state"] == "READY"


def test_an_upload_that_broke_off_is_gone_on_with(client: Direct, file: Path) -> None:
    client.broken = set(range(5, 5 + client_uploads.PIECE_ATTEMPTS))
    with pytest.raises(UploadBroken) as caught:
        client.upload(file)
    upload_id = caught.value.upload_id
    assert [one["id"] for one in client.uploads()] == [upload_id]
    client.sent, client.broken = [], set()
    told: list[int] = []
    dataset = client.upload(file, upload_id=upload_id, progress=lambda n, _: told.append(n))
    assert dataset["bytes_in"] == len(CSV)
    assert sum(one.startswith("PUT") for one in client.sent) == N - 3
    assert told[0] == 4 * 300
    # Once more there is nothing to send.
    assert client.upload(file, upload_id=upload_id)["id"] == dataset["id"]


def test_another_file_is_not_mixed_in(client: Direct, file: Path) -> None:
    client.broken = set(range(5, 5 + client_uploads.PIECE_ATTEMPTS))
    with pytest.raises(UploadBroken) as caught:
        client.upload(file)
    client.broken = set()
    upload_id = caught.value.upload_id
    file.write_bytes(CSV + b"1;1\n")
    with pytest.raises(ValueError, match="bytes"):
        client.upload(file, upload_id=upload_id)
    file.write_bytes(CSV.swapcase().replace(b"1", b"2"))
    with pytest.raises(ServiceError) as refused:
        client.upload(file, upload_id=upload_id)
    assert refused.value.code == "digest_mismatch"
    assert client.uploads() == []
