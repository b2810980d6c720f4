"""What holds of versions of a data set, whichever database keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.errors import Conflict, Gone, UnknownRecord
from scheduler.records import DatasetState, JobState, StoredDataset
from scheduler.store import Store
from tests.contracts.conftest import at
from tests.contracts.records import COST, Tenant, a_dataset, a_tenant, new_id, submit


def appended(store: Store, tenant: Tenant, base_id: str, **changes: Any) -> StoredDataset:
    made, created = store.add_dataset(a_dataset(tenant.project_id, base_id=base_id, **changes))
    assert created
    return made


def ready(store: Store, dataset: StoredDataset) -> StoredDataset:
    return store.finish_dataset(
        dataset.id,
        artifact=f"datasets/{dataset.id}",
        n_rows=10,
        bytes_stored=9,
        profile={"n_rows": 10},
        cost=COST,
        now=at(1),
    )


def ids(found: list[StoredDataset]) -> list[str]:
    return [one.id for one in found]


def test_versions_count_up_and_know_what_they_are_made_of(store: Store) -> None:
    tenant = a_tenant(store)
    root = tenant.dataset_id
    second = ready(store, appended(store, tenant, root))
    third = ready(store, appended(store, tenant, second.id))
    assert [(one.version, one.root_id) for one in (second, third)] == [(2, root), (3, root)]
    assert ids(store.versions_of(tenant.project_id, third.id)) == [root, second.id, third.id]
    assert ids(store.versions_of(tenant.project_id, second.id)) == [root, second.id]
    assert ids(store.versions_of(tenant.project_id, root)) == [root]
    for one in (root, second.id, third.id):
        assert store.newest_version(tenant.project_id, one).id == third.id
    other = a_tenant(store, "other")
    with pytest.raises(UnknownRecord):
        store.versions_of(other.project_id, third.id)


def test_only_the_newest_version_is_appended_to(store: Store) -> None:
    tenant = a_tenant(store)
    root = tenant.dataset_id
    second = appended(store, tenant, root)
    with pytest.raises(Conflict) as caught:
        appended(store, tenant, second.id)
    assert caught.value.code == "dataset_not_ready"
    ready(store, second)
    with pytest.raises(Conflict) as caught:
        appended(store, tenant, root)
    assert caught.value.code == "newer_version"
    assert second.id in str(caught.value)
    with pytest.raises(UnknownRecord):
        appended(store, tenant, new_id())
    other = a_tenant(store, "other")
    with pytest.raises(UnknownRecord):
        appended(store, other, second.id)


def test_the_same_rows_appended_twice_are_one_version(store: Store) -> None:
    tenant = a_tenant(store)
    second = ready(store, appended(store, tenant, tenant.dataset_id, fingerprint="f" * 64))
    again = a_dataset(tenant.project_id, base_id=tenant.dataset_id, fingerprint="f" * 64)
    found, created = store.add_dataset(again)
    assert (found.id, created) == (second.id, False)


def test_what_could_not_be_read_is_no_version_to_go_on_from(store: Store) -> None:
    tenant = a_tenant(store)
    bad = appended(store, tenant, tenant.dataset_id)
    store.invalidate_dataset(bad.id, problem={"code": "no_rows"}, now=at(1))
    assert store.newest_version(tenant.project_id, bad.id).id == tenant.dataset_id
    assert appended(store, tenant, tenant.dataset_id).version == 3


def test_of_two_appends_at_once_one_is_told(make_store: Callable[..., Store], store: Store) -> None:
    tenant = a_tenant(store)
    said: list[str] = []

    def append(own: Store) -> None:
        try:
            appended(own, tenant, tenant.dataset_id)
            said.append("made")
        except Conflict as error:
            said.append(error.code)

    threads = [threading.Thread(target=append, args=(make_store(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["made", *["newer_version"] * 3]


def test_a_version_of_several_tables_is_whole_and_is_deleted_alone(store: Store) -> None:
    tenant = a_tenant(store)
    options = {"spec": {"tables": {"a": {"role": "entities", "source": {"uri": "file:///a"}}}}}
    first, _ = store.add_dataset(a_dataset(tenant.project_id, options=options))
    ready(store, first)
    second = ready(store, appended(store, tenant, first.id, options=options))
    third = ready(store, appended(store, tenant, second.id, options=options))
    assert (third.version, third.root_id) == (3, first.id)
    assert ids(store.versions_of(tenant.project_id, third.id)) == [third.id]
    assert store.built_on(tenant.project_id, first.id) == []
    _, keys = store.delete_dataset(tenant.project_id, first.id, force=False, now=at(5))
    assert len(keys) == 1
    assert store.newest_version(tenant.project_id, first.id).id == third.id
    assert store.get_dataset(tenant.project_id, second.id).state is DatasetState.READY
    fourth = appended(store, tenant, third.id, options=options)
    assert (fourth.version, fourth.root_id) == (4, first.id)


def test_deleting_a_version_deletes_what_is_built_on_it_and_nothing_else(store: Store) -> None:
    tenant = a_tenant(store)
    second = ready(store, appended(store, tenant, tenant.dataset_id))
    third = ready(store, appended(store, tenant, second.id))
    assert store.built_on(tenant.project_id, second.id) == [third.id]
    _, keys = store.delete_dataset(
        tenant.project_id, second.id, force=False, now=at(5), actor="token laptop"
    )
    assert set(keys) == {second.artifact, third.artifact}
    states = [
        store.get_dataset(tenant.project_id, one).state
        for one in (tenant.dataset_id, second.id, third.id)
    ]
    assert states == [DatasetState.READY, DatasetState.DELETED, DatasetState.DELETED]
    (line,) = store.audit_lines(tenant.project_id, limit=9)[0]
    assert (line.action, line.actor) == ("dataset.delete", "token laptop")
    assert line.details["versions"] == [second.id, third.id]
    assert appended(store, tenant, tenant.dataset_id).version == 4
    with pytest.raises(Gone):
        appended(store, tenant, third.id)


def test_a_job_on_a_later_version_holds_the_earlier_ones(store: Store) -> None:
    tenant = a_tenant(store)
    second = ready(store, appended(store, tenant, tenant.dataset_id))
    job = submit(store, tenant, dataset_id=second.id)
    with pytest.raises(Conflict) as caught:
        store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=at(5))
    assert caught.value.code == "dataset_in_use"
    store.delete_dataset(tenant.project_id, tenant.dataset_id, force=True, now=at(6))
    assert store.job(job.id).state is JobState.CANCELLED
