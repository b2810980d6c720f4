"""The two processes that `benchmarks.faults` kills and freezes: who submits jobs, who runs them."""

from __future__ import annotations

import os
import time
import uuid

from automl.cost import Cost
from automl.trial import Candidate, Proposal, Trial
from scheduler import store_queue, store_trials
from scheduler.clock import utc_now
from scheduler.errors import Conflict, LostLease, StoreUnavailable
from scheduler.records import DatasetState, Job, JobState, StoredDataset
from scheduler.store import Store
from scheduler.tables import jobs

LEASE_SECONDS = 1.0
N_TRIALS = 6
TRIAL_SECONDS = 0.02
MOST_WAITING = 20

COST = Cost(cpu_seconds=TRIAL_SECONDS, joules=0.1, wall_seconds=TRIAL_SECONDS, meter="cpu_time")


def submit(url: str, acks: str) -> None:
    """Submit jobs for ever; a line in `acks` says that a submission was answered."""
    store = Store(url)
    project_id, dataset_id = project_data(store)
    with open(acks, "a", encoding="ascii") as told:
        while True:
            job = Job(
                id=uuid.uuid4().hex,
                project_id=project_id,
                dataset_id=dataset_id,
                request={"target": "y"},
                state=JobState.SUBMITTED,
                submitted_at=utc_now(),
                model_name="example",
            )
            try:
                store.add_job(job, max_queued=MOST_WAITING)
            except Exception:  # the queue is full, or the database is busy
                time.sleep(0.1)
                continue
            told.write(f"{job.id}\n")
            told.flush()


def project_data(store: Store) -> tuple[str, str]:
    """The ids of the one project and its one data set, made where they are not there."""
    projects = store.list_projects()
    project = projects[0] if projects else store.add_project("example", now=utc_now())
    dataset, created = store.add_dataset(
        StoredDataset(
            id=uuid.uuid4().hex,
            project_id=project.id,
            name="example",
            fingerprint="0" * 64,
            state=DatasetState.INGESTING,
            created_at=utc_now(),
            upload=None,
            bytes_in=0,
        )
    )
    if created or dataset.state is DatasetState.INGESTING:
        dataset = store.finish_dataset(
            dataset.id,
            artifact="datasets/example",
            n_rows=1,
            bytes_stored=0,
            profile={},
            cost=None,
            now=utc_now(),
        )
    return project.id, dataset.id


def work(url: str, fenced: bool) -> None:
    """Claim and run jobs for ever; without fencing nothing asks whose job it is.

    The worker of the control has no idea of epochs: that a trial is there already does not stop it.
    """
    if not fenced:
        store_trials._held = lambda epoch: ()  # type: ignore[assignment]
        store_queue._held = lambda job_id, epoch: (jobs.c.id == job_id,)  # type: ignore[assignment]
    store = Store(url)
    while True:
        try:
            job = store.claim_job(
                owner=str(os.getpid()), lease_seconds=LEASE_SECONDS, now=utc_now()
            )
        except StoreUnavailable:
            continue
        if job is None:
            time.sleep(0.02)
            continue
        try:
            _run(store, job, fenced)
        except (LostLease, Conflict):
            continue  # whoever sees this stops at once


def _run(store: Store, job: Job, fenced: bool) -> None:
    """Six trials and the end; what an earlier process began and did not end is written off."""
    stored = {one.number: one for one in _patiently(lambda: store.trials(job.id))}
    for number in range(N_TRIALS):
        before = stored.get(number)
        if before is not None and before.trial is not None:
            continue
        proposal = Proposal(
            candidate=Candidate(model="L15", params={}), rung="screening", n_rows=100 + number
        )
        if before is None:
            _written(
                fenced,
                lambda number=number, proposal=proposal: store.begin_trial(
                    job.id,
                    epoch=job.epoch,
                    number=number,
                    proposal=proposal,
                    expected=COST,
                    now=utc_now(),
                ),
            )
            time.sleep(TRIAL_SECONDS)
        trial = Trial(
            number=number,
            proposal=proposal,
            cost=COST,
            expected=COST,
            score=0.5,
            interval=(0.4, 0.6),
            scores={},
            predict_joules=0.1,
            peak_memory_bytes=1,
            details={"epoch": job.epoch},
        )
        _written(
            fenced,
            lambda trial=trial: store.end_trial(
                job.id, epoch=job.epoch, trial=trial, now=utc_now()
            ),
        )
        _patiently(
            lambda: store.heartbeat(
                job.id, epoch=job.epoch, lease_seconds=LEASE_SECONDS, now=utc_now()
            )
        )
    _patiently(
        lambda: store.finish_job(
            job.id,
            epoch=job.epoch,
            state=JobState.DONE,
            now=utc_now(),
            stop_reason=f"epoch {job.epoch}",
        )
    )


def _written(fenced, write):  # type: ignore[no-untyped-def]
    try:
        _patiently(write)
    except Conflict:
        if fenced:
            raise


def _patiently(write):  # type: ignore[no-untyped-def]
    while True:
        try:
            return write()
        except StoreUnavailable:
            time.sleep(0.05)
