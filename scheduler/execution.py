"""One job from its claim to its end, in the job's own process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from automl.cost import Budget, Cost
from automl.errors import BudgetExhausted, FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.billing import (
    accounted,
    constants_of,
    reference_of,
)
from scheduler.child import where
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import LostLease, problem, problem_of
from scheduler.heartbeat import Heartbeat, Progress
from scheduler.job_process import Stopping, set_up, stopping_on_sigterm
from scheduler.knowledge import knowledge_for, learn
from scheduler.pausing import Pausing, stop_reason
from scheduler.ranking import ranked
from scheduler.reading import meter_of, objective_of
from scheduler.records import DatasetState, Job, JobState, StoredDataset
from scheduler.registration import register
from scheduler.settlement import billed
from scheduler.store import Store
from scheduler.subgroups import columns_of, judged
from scheduler.work import CANCELLED, Work, data_of, end, journal_of, rows_of

if TYPE_CHECKING:
    import pandas as pd

    from automl.data.dataset import Dataset
    from automl.meta.knowledge import Knowledge
    from automl.meta.likeness import TableSketch
    from automl.search.run import SearchResult
    from automl.search.start import Start
    from scheduler.featuring import Featured

log = logging.getLogger(__name__)


def run_job(job_id: str, epoch: int, settings_json: str) -> dict[str, Any]:
    """Run a job that the service claimed under `epoch`; the store has what came of it.

    Returns
    -------
    dict
        ``state`` as the job was left: final, SUBMITTED when it was given back, or LOST.
    """
    settings = Settings.model_validate_json(settings_json)
    set_up(settings.log_level)
    store = Store(settings.resolved_database_url)
    try:
        with stopping_on_sigterm():
            return execute(
                job_id,
                epoch,
                store=store,
                artifacts=ArtifactStore(settings.resolved_artifacts_url),
                settings=settings,
            )
    finally:
        store.close()


def execute(
    job_id: str,
    epoch: int,
    *,
    store: Store,
    artifacts: ArtifactStore,
    settings: Settings,
    clock: Clock = utc_now,
    leave: Callable[[int], None] = os._exit,
) -> dict[str, Any]:
    """Run a claimed job in this process; `leave` is how its heartbeat ends the process."""
    progress = Progress()
    heart = Heartbeat(
        store,
        job_id=job_id,
        epoch=epoch,
        lease_seconds=settings.lease_seconds,
        progress=progress,
        clock=clock,
        leave=leave,
    )
    try:
        heart.beat()
        heart.start()
        work = Work(
            job=store.job(job_id),
            epoch=epoch,
            store=store,
            artifacts=artifacts,
            settings=settings,
            meter=meter_of(settings.watts),
            clock=clock,
            progress=progress,
            heart=heart,
        )
        job = _finished(work)
    except Pausing as pause:
        job = _paused(work, pause)
    except LostLease:
        log.warning("job %s: epoch %d is over; nothing more is written", job_id, epoch)
        return {"state": "LOST"}
    except Stopping:
        try:
            job = store.release_job(job_id, epoch=epoch, now=clock(), died=False)
        except LostLease:  # it had just ended
            return {"state": str(store.job(job_id).state)}
        log.info("job %s: given back, the service stops", job_id)
    finally:
        if heart.is_alive():
            heart.stop()
    if job.state.is_final:
        artifacts.delete(f"jobs/{job_id}")
    return {"state": str(job.state)}


def _paused(work: Work, pause: Pausing) -> Job:
    """Write the pause of a job; as it is when it ended or was lost in the same moment."""
    work.heart.stop()
    try:
        job = work.patiently(
            lambda: work.store.pause_job(
                work.job.id,
                epoch=work.epoch,
                now=work.clock(),
                reason=pause.reason,
                until=pause.until,
            )
        )
    except LostLease:
        return work.store.job(work.job.id)
    log.info("job %s: %s, %s", job.id, job.state, pause.reason)
    return job


def _finished(work: Work) -> Job:
    """Run the search and write the end of the job, whatever it is."""
    try:
        with accounted(work):
            return ranked(work) if work.job.request["target"] is None else _searched(work)
    except BudgetExhausted as error:
        if work.heart.cancel_requested.is_set():
            return end(work, state=JobState.CANCELLED, stop_reason=f"stopped: {CANCELLED}")
        return end(work, state=JobState.FAILED, problem=problem_of(error))
    except LostLease:
        raise
    except FrugalError as error:  # e.g. files that rotted, or not one model that could be fitted
        return end(work, state=JobState.FAILED, problem=problem_of(error))
    except MemoryError:
        told = problem("out_of_memory", "the job needs more memory than this machine gives it")
        return end(work, state=JobState.FAILED, problem=told)
    except Exception as error:
        place = where(error)
        log.error("job %s: %s at %s", work.job.id, type(error).__name__, place)
        told = problem("internal_error", f"unexpected {type(error).__name__} at {place}")
        return end(work, state=JobState.FAILED, problem=told)


def _searched(work: Work) -> Job:
    from automl.meta.sketching import sketch_table
    from automl.meters.base import measure
    from automl.search.champion import PREDICT_ROWS, predict_cost, row_milliseconds
    from automl.search.importance import importance, spread
    from automl.search.ledger import is_ensemble
    from automl.search.run import search
    from scheduler.challenge import challenged

    job, request = work.job, work.job.request
    stored = data_of(work)
    # Of this process only, as codecarbon sees it: trials of an earlier one are in `search` too.
    own: list[Cost] = []
    with reference_of(constants_of(work.meter)) as codecarbon:
        with measure(work.meter) as loading:
            budget = budget_of(request, grams_per_kwh=work.intensity.grams_per_kwh)
            start = _start(work)
            dataset, around, apart = _load(work, stored, budget=budget, start=start)
            head = dataset.X.head(PREDICT_ROWS).copy()
            some = spread(dataset.X)
            shape = dataset.n_rows, dataset.X.shape[1]
            knowledge = knowledge_for(job, settings=work.settings, artifacts=work.artifacts)
            grows = work.settings.knowledge == "grow"
            sketch = sketch_table(dataset.X) if grows else None
            handed = [dataset]
            del dataset  # the search is to have the only reference, and lets go of it
        work.progress.enter(None, 0.0)
        journal = journal_of(work)

        earlier = [trial for trial in journal.finished() if not is_ensemble(trial)]
        replayed = sum(trial.cost.cpu_seconds for trial in earlier)

        def on_phase(name: str, cost: Cost) -> None:
            own.append(cost)
            work.phase(name, loading.cost + cost if name == "features" else cost)

        if around is not None:
            start = _knowing(work, start, around)
            budget = budget.less(around.cost)
        found = search(
            handed.pop(),
            meter=work.meter,
            budget=budget,
            seed=int(request.get("seed") or 0),
            mode=request.get("mode") or "balanced",
            objective=objective_of(request),
            pick=(request.get("objective") or {}).get("pick") or "recommended",
            journal=journal,
            stop=lambda: stop_reason(work),
            on_phase=on_phase,
            knowledge=knowledge,
            start=start,
        )
        if around is not None:
            found = replace(
                found,
                champion=around.crowned(found.champion),
                warnings=(*around.warnings, *found.warnings),
            )
        with measure(work.meter) as predicting:
            predict = predict_cost(found.champion, head, meter=work.meter)
            one_row = row_milliseconds(found.champion, head)
            if around is not None:
                more, slower = around.in_use(found.champion, meter=work.meter)
                predict, one_row = predict + more, one_row + slower
            told = {"importance": importance(found.champion, some, seed=0)}
            told |= judged(found.champion, apart, n_rows=shape[0])
        on_phase("predict", predicting.cost)
        with measure(work.meter) as judging:
            challenge = challenged(work, found.champion)
        if challenge is not None:
            on_phase("challenge", judging.cost)
    own_cpu = loading.cost.cpu_seconds + sum(one.cpu_seconds for one in own) - replayed
    price, bill = billed(
        work,
        stored,
        reference=codecarbon.to_json(),
        own_cpu=own_cpu,
        trials=found.trials,
        n_rows=shape[0],
        predict_per_1000_rows=predict,
        start=found.start,
        brute_joules=found.stop.brute_joules,
    )
    tables = None if around is None else around.about(found.champion)
    done = register(
        work,
        found,
        bill | (tables or {}),
        stored,
        row_milliseconds=one_row,
        price=price,
        tables=tables,
        challenge=challenge,
        told=told,
    )
    raced = found.start is None or found.start["kind"] == "first"
    if done.state is JobState.DONE and raced:
        _learn(work, found, knowledge, shape=shape, sketch=sketch)
    return done


def _learn(
    work: Work,
    found: SearchResult,
    knowledge: Knowledge,
    *,
    shape: tuple[int, int],
    sketch: TableSketch | None,
) -> None:
    """Add what the search taught to the project's knowledge, unless its data were deleted."""
    from automl.meta.growth import contribution

    job = work.job
    added = contribution(
        found.trials,
        knowledge=knowledge,
        meta=found.meta,
        n_rows=shape[0],
        n_positive=int(found.champion.provenance["n_positive"]),
        n_columns=shape[1],
        seed=int(job.request.get("seed") or 0),
        sketch=sketch,
    )
    local = learn(added, job=job, settings=work.settings)
    if local is None:
        return
    stored = work.patiently(lambda: work.store.get_dataset(job.project_id, job.dataset_id))
    if stored.state is DatasetState.DELETED:  # between the job's end and the line
        local.forget(job.dataset_id)


def _start(work: Work) -> Start | None:
    """The champion that the job starts from. Raises Gone when it was deleted since."""
    asked = (work.job.request.get("admission") or {}).get("start")
    if asked is None:
        return None
    from automl.search.champion import Champion
    from automl.search.start import Start

    model = work.store.model_by_id(work.job.project_id, asked["id"])
    parent = {name: asked[name] for name in ("name", "version", "id")}
    return Start(
        champion=Champion.load(work.artifacts.path(model.artifact), sha256=model.sha256),
        parent=parent | {"sha256": model.sha256},
        same_target=asked["same_target"],
    )


def _knowing(work: Work, start: Start | None, around: Featured) -> Start | None:
    """A start that knows which rows of several tables its champion knew.

    Where the features were chosen anew the champion does not have the same columns, and only its
    configurations count. So it is where it cannot be known: an event that came late makes a row
    look new that is not.
    """
    from scheduler.challenge import known_rows

    if start is None:
        return None
    if not around.taken_over:
        return replace(start, same_columns=False)
    known = known_rows(work)
    if known is None:
        return replace(start, champion=replace(start.champion, seen=()))
    return replace(start, known=known[around.positions])


def _load(
    work: Work, stored: StoredDataset, *, budget: Budget, start: Start | None
) -> tuple[Dataset, Featured | None, pd.DataFrame | None]:
    """The rows to learn from, what is computed of the tables around them, and their subgroups."""
    from automl.data.loading import load
    from scheduler.challenge import some_rows, training_rows
    from scheduler.featuring import featured

    admission = work.job.request.get("admission") or {}
    excluded = [entry["column"] for entry in admission.get("excluded", ())]
    rows = rows_of(work, stored)
    dataset = load(
        rows,
        work.job.request,
        excluded=excluded,
        group_identical=bool(admission.get("group_identical")),
    )
    related = stored.spec is not None
    apart = columns_of(rows, work.job.request, dataset, relational=related)
    kept = training_rows(work)
    dataset = some_rows(dataset, kept)
    if not related:
        return dataset, None, apart
    if apart is not None and kept is not None:
        apart = apart.head(0)  # they are others than those that are learnt from
    dataset, around = featured(work, stored, dataset, rows, budget=budget, kept=kept, start=start)
    return dataset, around, apart


def budget_of(request: Mapping[str, Any], *, grams_per_kwh: float) -> Budget:
    """Return the hard limits of a job's request; what is missing or null is no limit.

    >>> budget_of({"limits": {"cpu_seconds": 60, "trials": None}}, grams_per_kwh=56).cpu_seconds
    60.0
    """
    limits = request.get("limits") or {}
    names = ("gco2e", "joules", "cpu_seconds", "wall_seconds", "trials")
    given = {n: inf if limits.get(n) is None else float(limits[n]) for n in names}
    return Budget(
        **given,
        grams_per_kwh=grams_per_kwh,
        least_gain_per_gram=limits.get("least_gain_per_gram"),
    )
