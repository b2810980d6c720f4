"""What holds of uploads in pieces, whichever database keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.errors import Conflict, Gone, UnknownRecord
from scheduler.records_uploads import Chunk, Upload, chunk_key
from scheduler.store import Store
from tests.contracts.conftest import NOW, at
from tests.contracts.records import a_dataset, new_id

SUM = "ab" * 32


def an_upload(project_id: str, **changes: Any) -> Upload:
    values: dict[str, Any] = {
        "id": new_id(),
        "project_id": project_id,
        "name": "transactions.csv",
        "size": 25,
        "chunk_bytes": 10,
        "state": "OPEN",
        "created_at": NOW,
        "expires_at": at(100),
        "options": {"delimiter": ";"},
    }
    return Upload(**values | changes)


def begun(store: Store, project_id: str, *, most: int = 9, **changes: Any) -> Upload:
    return store.add_upload(an_upload(project_id, **changes), most=most, most_bytes=2**41, now=NOW)


def chunk(number: int, sha256: str = SUM) -> Chunk:
    return Chunk(number=number, n_bytes=10, sha256=sha256)


@pytest.fixture
def project(store: Store) -> str:
    return store.add_project("bank", now=NOW).id


def test_an_upload_is_found_by_its_project_only(store: Store, project: str) -> None:
    other = store.add_project("other", now=NOW).id
    upload = begun(store, project, size=2**40, sha256=SUM)
    assert store.get_upload(project, upload.id, now=at(1)) == upload
    assert upload.size == 2**40
    for wrong in (upload.id, new_id(), "x", "../x", ""):
        with pytest.raises(UnknownRecord):
            store.get_upload(other, wrong, now=at(1))
        with pytest.raises(UnknownRecord):
            store.delete_upload(other, wrong)
    assert store.list_uploads(other, limit=9, now=at(1)) == ([], None)
    assert store.list_uploads(project, limit=9, now=at(1)) == ([upload], None)


def test_pages_are_newest_first(store: Store, project: str) -> None:
    made = [begun(store, project, created_at=at(n)).id for n in range(5)]
    first, cursor = store.list_uploads(project, limit=3, now=at(9))
    second, end = store.list_uploads(project, limit=3, now=at(9), after=cursor)
    assert [one.id for one in (*first, *second)] == made[::-1]
    assert end is None


def test_pieces_come_in_any_order_and_again(store: Store, project: str) -> None:
    upload = begun(store, project)
    for number in (2, 0, 2, 0):
        store.add_chunk(upload.id, chunk(number), expires_at=at(200), now=at(1))
    store.add_chunk(upload.id, chunk(0, "cd" * 32), expires_at=at(300), now=at(2))
    assert store.chunks(upload.id) == [chunk(0, "cd" * 32), chunk(2)]
    assert store.get_upload(project, upload.id, now=at(250)).expires_at == at(300)
    assert {chunk_key(upload.id, 0), chunk_key(upload.id, 2)} <= store.artifact_keys()
    store.drop_chunk(upload.id, chunk(0))  # another one came meanwhile
    assert len(store.chunks(upload.id)) == 2
    store.drop_chunk(upload.id, chunk(0, "cd" * 32))
    assert store.chunks(upload.id) == [chunk(2)]


def test_the_same_piece_at_once_is_one(
    make_store: Callable[[], Store], store: Store, project: str
) -> None:
    upload = begun(store, project)
    stores = [make_store() for _ in range(3)]
    barrier, failed = threading.Barrier(3), list[BaseException]()

    def put(mine: Store) -> None:
        try:
            for _ in range(10):
                barrier.wait(timeout=60)
                mine.add_chunk(upload.id, chunk(1), expires_at=at(200), now=at(1))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=put, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert store.chunks(upload.id) == [chunk(1)]


def test_a_project_has_only_so_many_and_so_much(store: Store, project: str) -> None:
    first = begun(store, project, most=2)
    begun(store, project, most=2)
    with pytest.raises(Conflict) as caught:
        begun(store, project, most=2)
    assert caught.value.code == "too_many_uploads"
    store.delete_upload(project, first.id)
    begun(store, project, most=2)
    with pytest.raises(Conflict):
        store.add_upload(an_upload(project), most=9, most_bytes=74, now=NOW)
    store.add_upload(an_upload(project), most=9, most_bytes=75, now=NOW)
    # Another project, and what has expired, do not count.
    begun(store, store.add_project("other", now=NOW).id, most=1)
    late = an_upload(project, created_at=at(100), expires_at=at(300))
    store.add_upload(late, most=1, most_bytes=25, now=at(100))


def test_complete_is_once_and_forgets_the_pieces(store: Store, project: str) -> None:
    dataset, _ = store.add_dataset(a_dataset(project))
    upload = begun(store, project)
    store.add_chunk(upload.id, chunk(0), expires_at=at(200), now=at(1))
    for _ in range(2):
        store.complete_upload(upload.id, dataset.id, expires_at=at(300))
        found = store.get_upload(project, upload.id, now=at(5))
        assert (found.state, found.dataset_id, found.options) == ("COMPLETE", dataset.id, {})
        assert store.chunks(upload.id) == []
    with pytest.raises(Conflict) as caught:
        store.add_chunk(upload.id, chunk(0), expires_at=at(200), now=at(2))
    assert caught.value.code == "upload_complete"
    assert store.list_uploads(project, limit=9, now=at(2)) == ([], None)
    # It says what became of it for a while, also after its time.
    assert store.expire_uploads(at(400)) == []
    assert store.get_upload(project, upload.id, now=at(400)).dataset_id == dataset.id
    store.expire_uploads(at(300 + 8 * 86400))
    with pytest.raises(UnknownRecord):
        store.get_upload(project, upload.id, now=at(400))


def test_what_is_not_completed_expires(store: Store, project: str) -> None:
    upload, later = begun(store, project), begun(store, project, expires_at=at(500))
    store.add_chunk(upload.id, chunk(0), expires_at=at(150), now=at(1))
    assert store.expire_uploads(at(149)) == []
    for _ in range(2):  # before and after it is swept
        with pytest.raises(Gone):
            store.get_upload(project, upload.id, now=at(150))
        with pytest.raises(Gone):
            store.add_chunk(upload.id, chunk(1), expires_at=at(999), now=at(150))
        assert store.expire_uploads(at(150)) in ([upload.id], [])
    assert store.expire_uploads(at(150)) == []
    assert store.chunks(upload.id) == []
    assert chunk_key(upload.id, 0) not in store.artifact_keys()
    assert store.get_upload(project, later.id, now=at(150)) == later
