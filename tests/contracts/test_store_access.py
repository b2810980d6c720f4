"""Projects, tokens and idempotency keys, on every database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from automl.errors import DataError
from scheduler.errors import Conflict, IdempotencyKeyReused, UnknownRecord
from scheduler.store import Store
from tests.contracts.conftest import NOW, at
from tests.contracts.records import a_dataset, a_job, a_tenant, new_id, submit


def test_a_token_is_found_by_its_secret_only(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    assert not store.has_tokens()
    secret, token = store.add_token(project.id, name="laptop", now=NOW)
    assert store.has_tokens()
    assert store.token_by_secret(secret, now=at(1)) == token
    assert store.token_by_secret(secret + "x", now=at(1)) is None
    assert store.token_by_secret("\ud800\0", now=at(1)) is None
    assert secret not in repr(store.list_tokens())
    assert len(secret) >= 40
    assert store.list_tokens(project.id) == [token]
    assert store.list_tokens(new_id()) == []


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\0b", "a\nb", "\ud800"])
def test_a_name_can_be_shown(store: Store, name: str) -> None:
    with pytest.raises(DataError) as error:
        store.add_project(name, now=NOW)
    assert (error.value.code, error.value.details) == ("invalid_name", {"field": "project"})
    project = store.add_project("x" * 200, now=NOW)
    with pytest.raises(DataError) as error:
        store.add_token(project.id, name=name, now=NOW)
    assert error.value.details == {"field": "name"}
    assert not store.has_tokens()


def test_an_expired_or_revoked_token_is_none(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    secret, token = store.add_token(project.id, name="laptop", now=NOW, expires_at=at(60))
    assert store.token_by_secret(secret, now=at(59.9)) is not None
    assert store.token_by_secret(secret, now=at(60)) is None
    assert store.revoke_token(token.id, now=at(5)).revoked_at == at(5)
    assert store.revoke_token(token.id, now=at(9)).revoked_at == at(5)
    assert store.token_by_secret(secret, now=at(6)) is None
    with pytest.raises(UnknownRecord):
        store.revoke_token(new_id(), now=NOW)


def test_projects_have_names_of_their_own(store: Store) -> None:
    first = store.add_project("bank", now=NOW)
    with pytest.raises(Conflict) as error:
        store.add_project("bank", now=NOW)
    assert error.value.code == "project_exists"
    assert error.value.__cause__ is None
    assert store.list_projects() == [first]
    with pytest.raises(UnknownRecord):
        store.add_token(new_id(), name="x", now=NOW)


def test_times_come_back_aware_and_in_utc(store: Store) -> None:
    paris = timezone(timedelta(hours=2))
    project = store.add_project("bank", now=datetime(2026, 10, 25, 2, 30, tzinfo=paris))
    [found] = store.list_projects()
    assert found.created_at == project.created_at
    assert found.created_at.tzinfo is UTC
    with pytest.raises(ValueError, match="naive"):
        store.add_project("other", now=datetime(2026, 1, 1))  # noqa: DTZ001


def test_text_that_one_database_cannot_keep_is_kept_alike(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    kept, _ = store.add_dataset(a_dataset(project.id, name="a\0b\ud800"))
    assert store.get_dataset(project.id, kept.id).name == "a\ufffdb\ufffd"


def test_a_key_stands_for_one_request_and_one_job(store: Store) -> None:
    tenant = a_tenant(store)
    reserve = store.reserve_key
    assert reserve(tenant.project_id, "k", fingerprint="f", now=NOW) is None
    with pytest.raises(Conflict) as error:
        reserve(tenant.project_id, "k", fingerprint="f", now=at(119))
    assert error.value.code == "request_in_progress"
    job = a_job(tenant.project_id, tenant.dataset_id)
    assert store.add_job(job, idempotency_key="k", max_queued=10).id == job.id
    assert reserve(tenant.project_id, "k", fingerprint="f", now=at(1)) == job.id
    with pytest.raises(IdempotencyKeyReused):
        reserve(tenant.project_id, "k", fingerprint="other", now=at(1))
    store.release_key(tenant.project_id, "k")  # too late: the job is there
    assert reserve(tenant.project_id, "k", fingerprint="f", now=at(1)) == job.id
    other = a_tenant(store, "other")
    assert reserve(other.project_id, "k", fingerprint="f", now=at(1)) is None


def test_a_released_or_abandoned_key_is_free_again(store: Store) -> None:
    tenant = a_tenant(store)
    assert store.reserve_key(tenant.project_id, "k", fingerprint="f", now=NOW) is None
    store.release_key(tenant.project_id, "k")
    assert store.reserve_key(tenant.project_id, "k", fingerprint="g", now=at(1)) is None
    assert store.reserve_key(tenant.project_id, "k", fingerprint="g", now=at(121)) is None
    with pytest.raises(Conflict):
        store.reserve_key(tenant.project_id, "k", fingerprint="g", now=at(122))


def test_two_requests_that_both_hold_a_key_make_one_job(store: Store) -> None:
    tenant = a_tenant(store)
    store.reserve_key(tenant.project_id, "k", fingerprint="f", now=NOW)
    store.reserve_key(tenant.project_id, "k", fingerprint="f", now=at(130))  # taken over
    first, second = (a_job(tenant.project_id, tenant.dataset_id) for _ in range(2))
    assert store.add_job(first, idempotency_key="k", max_queued=10).id == first.id
    assert store.add_job(second, idempotency_key="k", max_queued=10).id == first.id
    assert [job.id for job in store.list_jobs(tenant.project_id, limit=9)[0]] == [first.id]


def test_a_job_whose_key_was_released_is_not_added(store: Store) -> None:
    tenant = a_tenant(store)
    job = a_job(tenant.project_id, tenant.dataset_id)
    with pytest.raises(Conflict) as error:
        store.add_job(job, idempotency_key="never reserved", max_queued=10)
    assert error.value.code == "request_in_progress"
    assert store.list_jobs(tenant.project_id, limit=9) == ([], None)


def test_a_race_for_one_key_makes_one_job(make_store: Callable[[], Store], store: Store) -> None:
    tenant = a_tenant(store)
    stores, rounds = [make_store() for _ in range(4)], 25
    barrier = threading.Barrier(len(stores))
    answers: list[list[str]] = [[] for _ in range(rounds)]
    failures: list[BaseException] = []

    def client(mine: Store) -> None:
        try:
            for round_ in range(rounds):
                barrier.wait(timeout=60)
                try:
                    key = f"key {round_}"
                    job_id = mine.reserve_key(tenant.project_id, key, fingerprint="f", now=NOW)
                    if job_id is None:
                        job = a_job(tenant.project_id, tenant.dataset_id)
                        job_id = mine.add_job(job, idempotency_key=key, max_queued=10**6).id
                    answers[round_].append(job_id)
                except Conflict as error:
                    if error.code != "request_in_progress":
                        raise
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=client, args=(mine,)) for mine in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(len(set(found)) == 1 for found in answers)
    assert sum(store.count_jobs().values()) == rounds


def test_ping_answers_and_counts_start_at_zero(store: Store) -> None:
    store.ping()
    assert set(store.count_jobs().values()) == {0}
    submit(store, a_tenant(store))
    assert store.count_jobs()["SUBMITTED"] == 1  # type: ignore[index]


def test_a_token_has_its_role_and_who_made_and_revoked_it_is_on_record(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    secret, made = store.add_token(
        project.id, name="reader", now=NOW, role="viewer", actor="operator"
    )
    assert made.role == "viewer"
    assert store.token_by_secret(secret, now=NOW) == made
    _, first = store.add_token(project.id, name="first", now=NOW)
    assert first.role == "admin"
    for _ in range(2):
        store.revoke_token(made.id, now=at(5), actor="operator")
    lines = store.audit_lines(project.id, limit=9)[0]
    assert [(one.action, one.actor, one.details["role"]) for one in lines] == [
        ("token.add", "operator", "viewer"),
        ("token.add", "service", "admin"),
        ("token.revoke", "operator", "viewer"),
    ]
    assert secret not in str(lines)
