"""What holds of promotions, rollbacks and the audit, whichever database keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from scheduler.errors import Conflict, Gone, UnknownRecord
from scheduler.records import JobState
from scheduler.records_schedules import Outcomes
from scheduler.store import Store
from scheduler.store_outcomes import TRAINING
from tests.contracts.conftest import NOW, at
from tests.contracts.records import Tenant, a_model, a_tenant, claim, new_id, submit

NAME = "clients-fragile"


def versions(store: Store, tenant: Tenant, n: int) -> None:
    for i in range(n):
        submit(store, tenant, submitted_at=at(i))
        job = claim(store, now=at(i))
        store.finish_job(
            job.id, epoch=job.epoch, state=JobState.DONE, now=at(i), model=a_model(job)
        )


def serving(store: Store, tenant: Tenant) -> int:
    return store.get_model(tenant.project_id, NAME).version


def promote(store: Store, tenant: Tenant, version: int, seconds: float = 60) -> None:
    store.promote(
        tenant.project_id, NAME, version, actor="token laptop", reason={}, now=at(seconds)
    )


def rollback(store: Store, tenant: Tenant, seconds: float = 90) -> int:
    return store.rollback(
        tenant.project_id, NAME, actor="token laptop", reason={}, now=at(seconds)
    ).version


def test_without_a_promotion_the_newest_version_answers(store: Store) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 2)
    assert serving(store, tenant) == 2


def test_the_version_promoted_last_answers_also_when_newer_ones_come(store: Store) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 2)
    promote(store, tenant, 1)
    assert serving(store, tenant) == 1
    versions(store, tenant, 1)
    assert serving(store, tenant) == 1
    assert [one.version for one in store.list_models(tenant.project_id, limit=9)[0]] == [1]
    assert store.get_model(tenant.project_id, NAME, version=3).version == 3
    promote(store, tenant, 1)  # once more changes nothing
    assert [one.version for one in store.promotions(tenant.project_id, NAME)] == [1]


def test_rolling_back_goes_step_by_step(store: Store) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 3)
    promote(store, tenant, 1)  # before, the newest answered: 3
    promote(store, tenant, 2)
    assert store.version_before(tenant.project_id, NAME) == 1
    assert rollback(store, tenant) == 1
    assert store.version_before(tenant.project_id, NAME) == 3
    assert rollback(store, tenant) == 3
    assert store.version_before(tenant.project_id, NAME) is None
    with pytest.raises(Conflict) as caught:
        rollback(store, tenant)
    assert caught.value.code == "nothing_before"
    promote(store, tenant, 2, 120)
    assert rollback(store, tenant, 121) == 3
    kinds = [one.kind for one in store.promotions(tenant.project_id, NAME)]
    assert kinds == ["rollback", "promote", "rollback", "rollback", "promote", "promote"]


def test_what_is_not_there_cannot_answer(store: Store) -> None:
    tenant, other = a_tenant(store), a_tenant(store, "other")
    versions(store, tenant, 1)
    for who, version in ((tenant, 2), (other, 1)):
        with pytest.raises(UnknownRecord):
            promote(store, who, version)
    for who in (tenant, other):
        with pytest.raises((Conflict, UnknownRecord)):
            rollback(store, who)
    store.delete_model(tenant.project_id, NAME, now=at(5), actor="token laptop")
    with pytest.raises(Gone):
        promote(store, tenant, 1)
    with pytest.raises(Conflict):
        rollback(store, tenant)
    versions(store, tenant, 1)  # of a deleted past nothing answers
    assert serving(store, tenant) == 2


def test_who_did_what_is_on_record_in_order(store: Store) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 2)
    promote(store, tenant, 1)
    rollback(store, tenant)
    submit(store, tenant, request={"target": "fragile", "accept_leakage": ["duration"]})
    store.delete_model(tenant.project_id, NAME, now=at(99), actor="token laptop")
    lines, cursor = store.audit_lines(tenant.project_id, limit=2)
    rest, last = store.audit_lines(tenant.project_id, limit=9, after=cursor)
    assert last is None
    said = [(line.seq, line.actor, line.action, line.subject) for line in (*lines, *rest)]
    assert [one[:3] for one in said] == [
        (1, "token laptop", "model.promote"),
        (2, "token laptop", "model.rollback"),
        (3, "service", "job.accept_leakage"),
        (4, "token laptop", "model.delete"),
    ]
    assert said[0][3] == f"model {NAME}/1"
    assert rest[0].details["columns"] == ["duration"]
    assert store.verify_audit(tenant.project_id) is None


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 2", 2),
        ("UPDATE audit SET details = '{}' WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 1", 1),
    ],
)
def test_a_line_that_is_altered_or_gone_is_noticed(
    store: Store, change: str, first_bad: int
) -> None:
    tenant = a_tenant(store)
    for i in range(4):
        store.add_audit(
            tenant.project_id,
            actor="cli",
            action="token.add",
            subject=f"token {i}\0é",
            details={"role": "viewer", "score": float("nan")},
            now=at(i),
        )
    assert store.verify_audit(tenant.project_id) is None
    with store.write() as connection:
        connection.execute(text(change))
    assert store.verify_audit(tenant.project_id) == first_bad


def test_lines_written_at_once_are_one_chain(
    make_store: Callable[..., Store], store: Store
) -> None:
    tenant = a_tenant(store)

    def write(own: Store) -> None:
        for _ in range(5):
            own.add_audit(
                tenant.project_id, actor="x", action="y", subject="z", details={}, now=NOW
            )

    threads = [threading.Thread(target=write, args=(make_store(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line.seq for line in store.audit_lines(tenant.project_id, limit=99)[0]] == [
        *range(1, 21)
    ]
    assert store.verify_audit(tenant.project_id) is None


def outcomes(tenant: Tenant, sha256: str = "a" * 64) -> Outcomes:
    return Outcomes(
        id=new_id(),
        project_id=tenant.project_id,
        model_name=NAME,
        root_id=tenant.dataset_id,
        received_at=NOW,
        artifact=f"outcomes/{new_id()}",
        sha256=sha256,
        n_labels=3,
        n_positive=1,
    )


def test_outcomes_are_kept_once_and_go_with_their_data(store: Store) -> None:
    tenant = a_tenant(store)
    first, created = store.add_outcomes(outcomes(tenant))
    assert created
    again, created = store.add_outcomes(outcomes(tenant))
    assert (again, created) == (first, False)
    later, _ = store.add_outcomes(replace(outcomes(tenant, "b" * 64), received_at=at(5)))
    assert store.outcomes_of(tenant.dataset_id) == [first, later]
    assert {first.artifact, later.artifact} <= store.artifact_keys()
    _, keys = store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=at(9))
    assert {first.artifact, later.artifact} <= set(keys)
    assert store.outcomes_of(tenant.dataset_id) == []
    with pytest.raises(Gone):
        store.add_outcomes(outcomes(tenant, "c" * 64))


def test_observations_are_replaced_and_go_with_their_model(store: Store) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 1)
    model = store.get_model(tenant.project_id, NAME)
    assert store.observation(model.id, day=TRAINING) is None
    for shares in ([0.5, 0.5], [0.4, 0.6]):
        store.put_observation(
            model.id, day=TRAINING, n_rows=9, histograms={"columns": {"age": shares}}
        )
    assert store.observation(model.id, day=TRAINING) == {"columns": {"age": [0.4, 0.6]}}
    store.delete_model(tenant.project_id, NAME, now=at(9))
    assert store.observation(model.id, day=TRAINING) is None


def test_observations_go_with_the_rows_that_they_are_of(store: Store) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 1)
    model = store.get_model(tenant.project_id, NAME)
    store.put_observation(model.id, day="2026-03-29", n_rows=9, histograms={})
    store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=at(9))
    assert store.observation(model.id, day="2026-03-29") is None
    assert store.get_model(tenant.project_id, NAME) == model


@pytest.mark.parametrize("deleted", ["data", "model"])
def test_nothing_is_observed_of_what_was_deleted_meanwhile(store: Store, deleted: str) -> None:
    tenant = a_tenant(store)
    versions(store, tenant, 1)
    model = store.get_model(tenant.project_id, NAME)
    if deleted == "data":
        store.delete_dataset(tenant.project_id, tenant.dataset_id, force=False, now=at(9))
    else:
        store.delete_model(tenant.project_id, NAME, now=at(9))
    # A decision that was reading the rows ends now.
    store.put_observation(model.id, day=TRAINING, n_rows=9, histograms={"columns": {}})
    assert store.observation(model.id, day=TRAINING) is None
