"""Data sets and models, on every database."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from automl.errors import DataError
from scheduler.errors import Conflict, Gone, UnknownRecord
from scheduler.records import DatasetState, JobState
from scheduler.store import Store
from tests.contracts.conftest import NOW, at
from tests.contracts.records import COST, a_dataset, a_model, a_tenant, claim, new_id, submit


def test_a_dataset_becomes_ready_and_lets_its_upload_go(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    uploaded = a_dataset(project.id, bytes_in=2**40)
    stored, created = store.add_dataset(uploaded)
    assert created
    assert store.get_dataset(project.id, uploaded.id) == stored
    assert store.ingesting() == [stored]
    ready = store.finish_dataset(
        uploaded.id,
        artifact="datasets/x",
        n_rows=2**33,
        bytes_stored=2**35,
        profile={"columns": []},
        cost=COST,
        now=at(5),
    )
    assert ready == store.get_dataset(project.id, uploaded.id)
    assert (ready.state, ready.upload, ready.artifact) == (DatasetState.READY, None, "datasets/x")
    assert (ready.n_rows, ready.bytes_stored, ready.bytes_in) == (2**33, 2**35, 2**40)
    assert (ready.cost, ready.profile, ready.updated_at) == (COST, {"columns": []}, at(5))
    assert store.ingesting() == []
    with pytest.raises(Conflict):
        store.invalidate_dataset(uploaded.id, problem={"code": "x"}, now=at(6))


def test_the_same_bytes_are_one_dataset_of_a_project(store: Store) -> None:
    one, other = (store.add_project(name, now=NOW).id for name in ("one", "other"))
    first, _ = store.add_dataset(a_dataset(one, fingerprint="f"))
    again, created = store.add_dataset(a_dataset(one, fingerprint="f"))
    assert (again, created) == (first, False)
    assert store.add_dataset(a_dataset(other, fingerprint="f"))[1]
    assert store.add_dataset(a_dataset(one, fingerprint="g"))[1]


@pytest.mark.parametrize("end", ["invalid", "deleted"])
def test_an_invalid_or_deleted_dataset_may_come_again(store: Store, end: str) -> None:
    project = store.add_project("bank", now=NOW)
    first, _ = store.add_dataset(a_dataset(project.id, fingerprint="f"))
    if end == "invalid":
        problem = {"code": "ragged_row", "detail": "too long", "row": 3}
        invalid = store.invalidate_dataset(first.id, problem=problem, now=at(1))
        assert (invalid.state, invalid.problem) == (DatasetState.INVALID, problem)
        assert invalid.upload is None
    else:
        _, keys = store.delete_dataset(project.id, first.id, force=False, now=at(1))
        assert keys == [first.upload]
    second, created = store.add_dataset(a_dataset(project.id, fingerprint="f"))
    assert created
    assert second.id != first.id


def test_a_race_of_the_same_upload_makes_one_dataset(
    make_store: Callable[[], Store], store: Store
) -> None:
    project, rounds = store.add_project("bank", now=NOW), 25
    stores = [make_store() for _ in range(3)]
    barrier, answers = threading.Barrier(3), [set[str]() for _ in range(rounds)]
    created: list[bool] = []

    def upload(mine: Store) -> None:
        for number in range(rounds):
            barrier.wait(timeout=60)
            dataset, new = mine.add_dataset(a_dataset(project.id, fingerprint=str(number)))
            answers[number].add(dataset.id)
            created.append(new)

    threads = [threading.Thread(target=upload, args=(mine,)) for mine in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(found) for found in answers] == [1] * rounds
    assert (sum(created), len(created)) == (rounds, 3 * rounds)


def test_a_dataset_of_no_project_is_refused_without_its_values(store: Store) -> None:
    with pytest.raises(Conflict) as error:
        store.add_dataset(a_dataset(new_id(), name="CANARY"))
    assert "CANARY" not in str(error.value)
    assert error.value.__cause__ is None


def test_one_process_reads_a_dataset_in(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    dataset, _ = store.add_dataset(a_dataset(project.id))

    def take(owner: str, seconds: float) -> bool:
        return store.claim_dataset(dataset.id, owner=owner, lease_seconds=30, now=at(seconds))

    assert take("a", 0)
    assert not take("b", 29)
    assert take("a", 29)
    assert not take("b", 58)
    assert take("b", 59)
    store.invalidate_dataset(dataset.id, problem={"code": "x"}, now=at(60))
    assert not take("b", 61)


def test_a_deleted_dataset_keeps_its_name_and_nothing_of_its_rows(store: Store) -> None:
    tenant = a_tenant(store)
    before = store.get_dataset(tenant.project_id, tenant.dataset_id)
    deleted, keys = store.delete_dataset(
        tenant.project_id, tenant.dataset_id, force=False, now=at(1)
    )
    assert keys == [before.artifact]
    assert (deleted.state, deleted.name) == (DatasetState.DELETED, before.name)
    assert (deleted.profile, deleted.artifact, deleted.upload) == (None, None, None)
    assert store.get_dataset(tenant.project_id, tenant.dataset_id) == deleted
    again = store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=at(2))
    assert again == (deleted, [])
    assert store.list_datasets(tenant.project_id, limit=9) == ([], None)


def test_data_in_use_are_deleted_by_force_only_and_end_their_jobs(store: Store) -> None:
    tenant = a_tenant(store)
    running = submit(store, tenant)
    claim(store)
    waiting = submit(store, tenant)
    with pytest.raises(Conflict) as error:
        store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=at(1))
    assert error.value.code == "dataset_in_use"
    store.delete_dataset(tenant.project_id, tenant.dataset_id, force=True, now=at(2))
    ended = store.job(waiting.id)
    assert (ended.state, ended.finished_at) == (JobState.CANCELLED, at(2))
    assert ended.problem is not None
    assert ended.problem["code"] == "data_deleted"
    asked = store.heartbeat(running.id, epoch=1, lease_seconds=30, now=at(3))
    assert asked.cancel_requested
    assert asked.problem == ended.problem
    done = store.finish_job(
        running.id,
        epoch=1,
        state=JobState.DONE,
        result={"front": [0]},
        model=a_model(running),
        now=at(4),
    )
    assert (done.state, done.problem, done.result) == (JobState.CANCELLED, ended.problem, None)
    assert store.list_models(tenant.project_id, limit=9) == ([], None)


def test_a_read_in_that_ends_after_deletion_is_refused(store: Store) -> None:
    project = store.add_project("bank", now=NOW)
    dataset, _ = store.add_dataset(a_dataset(project.id))
    store.delete_dataset(project.id, dataset.id, force=False, now=at(1))
    with pytest.raises(Conflict):
        store.finish_dataset(
            dataset.id,
            artifact="datasets/x",
            n_rows=1,
            bytes_stored=1,
            profile={},
            cost=None,
            now=at(2),
        )
    assert store.get_dataset(project.id, dataset.id).artifact is None


def test_pages_of_datasets_and_isolation(store: Store) -> None:
    one, other = (store.add_project(name, now=NOW).id for name in ("one", "other"))
    made = [store.add_dataset(a_dataset(one, created_at=at(n // 2)))[0] for n in range(7)]
    foreign, _ = store.add_dataset(a_dataset(other))
    expected = sorted(made, key=lambda d: (d.created_at, d.id), reverse=True)
    first, cursor = store.list_datasets(one, limit=4)
    second, end = store.list_datasets(one, limit=4, after=cursor)
    assert (first + second, end) == (expected, None)
    with pytest.raises(DataError):
        store.list_datasets(one, limit=4, after=foreign.id)
    for unknown in (foreign.id, new_id(), "x", "\0"):
        with pytest.raises(UnknownRecord, match="there is no such data set"):
            store.get_dataset(one, unknown)
        with pytest.raises(UnknownRecord, match="there is no such data set"):
            store.delete_dataset(one, unknown, force=True, now=NOW)
    assert store.get_dataset(other, foreign.id).state is DatasetState.INGESTING


def test_versions_of_a_model_and_which_one_answers(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    project_id, name = tenant.project_id, "clients-fragile"
    with pytest.raises(UnknownRecord):
        store.get_model(project_id, name)
    for version in (1, 2):
        job = submit(store, tenant)
        if version == 1:
            with pytest.raises(Conflict) as error:
                store.get_model(project_id, name)
            assert error.value.code == "model_not_ready"
        claim(store)
        given = a_model(job, version=77)
        store.finish_job(job.id, epoch=1, state=JobState.DONE, model=given, now=at(version))
        model = store.get_model(project_id, name)
        assert (model.version, model.id, model.created_at) == (version, given.id, at(version))
        assert store.model_of_job(project_id, job.id) == model
    assert store.get_model(project_id, name, version=1).version == 1
    assert [model.version for model in store.model_versions(project_id, name)] == [2, 1]
    assert store.list_models(project_id, limit=9) == ([model], None)
    for version in (0, -1, 3, 10**30):
        with pytest.raises(UnknownRecord):
            store.get_model(project_id, name, version=version)
    with pytest.raises(UnknownRecord):
        store.get_model(other.project_id, name)
    with pytest.raises(UnknownRecord):
        store.delete_model(other.project_id, name, now=NOW)
    assert store.artifact_keys() >= {model.artifact}
    assert len(store.delete_model(project_id, name, now=at(9))) == 2
    assert store.delete_model(project_id, name, now=at(9)) == []
    with pytest.raises(Gone):
        store.get_model(project_id, name)
    with pytest.raises(Gone):
        store.get_model(project_id, name, version=1)
    assert store.artifact_keys().isdisjoint({model.artifact})


def test_pages_of_models_are_by_name(store: Store) -> None:
    tenant = a_tenant(store)
    names = ["a", "b", "c", "Z", "é", "with space"]
    for name in [*names, "b"]:
        job = submit(store, tenant, model_name=name)
        claim(store)
        store.finish_job(job.id, epoch=1, state=JobState.DONE, model=a_model(job), now=NOW)
    found, after = store.list_models(tenant.project_id, limit=4)
    rest, end = store.list_models(tenant.project_id, limit=4, after=after)
    assert [model.name for model in found + rest] == sorted(names)
    assert end is None
    assert {model.name: model.version for model in found + rest}["b"] == 2


def test_versions_do_not_collide_when_two_jobs_end_at_once(
    make_store: Callable[[], Store], store: Store
) -> None:
    tenant, rounds = a_tenant(store), 10
    stores = [make_store() for _ in range(2)]
    held = []
    for _ in range(2 * rounds):
        submit(store, tenant)
        held.append(claim(store))
    barrier = threading.Barrier(2)

    def finish(number: int) -> None:
        for job in held[number::2]:
            barrier.wait(timeout=60)
            stores[number].finish_job(
                job.id, epoch=1, state=JobState.DONE, model=a_model(job), now=NOW
            )

    threads = [threading.Thread(target=finish, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = store.model_versions(tenant.project_id, "clients-fragile")
    assert [model.version for model in versions] == list(range(2 * rounds, 0, -1))


def test_the_keys_in_use_are_known(store: Store) -> None:
    tenant = a_tenant(store)
    reading, _ = store.add_dataset(a_dataset(tenant.project_id))
    job = submit(store, tenant)
    keys = {f"datasets/{tenant.dataset_id}", reading.upload, f"jobs/{job.id}"}
    assert store.artifact_keys() == keys
    store.request_cancel(tenant.project_id, job.id, now=NOW)
    assert store.artifact_keys() == keys - {f"jobs/{job.id}"}
