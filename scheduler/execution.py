"""One job from its claim to its end, in the job's own process."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from automl.cost import JOULES_PER_KWH, ZERO, Budget, Cost
from automl.data.options import for_more_rows
from automl.errors import BudgetExhausted, FrugalError
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.typical import Intensity, yearly_mean
from scheduler.child import where
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import Gone, LostLease, StoreUnavailable, problem, problem_of
from scheduler.heartbeat import Heartbeat, Progress
from scheduler.job_process import Stopping, set_up, stopping_on_sigterm
from scheduler.journal import StoreJournal
from scheduler.knowledge import knowledge_for, learn
from scheduler.reading import ROWS_FILE, meter_of
from scheduler.receipt import receipt, spent
from scheduler.records import DatasetState, Job, JobState, Model, Phase, StoredDataset
from scheduler.store import Store

if TYPE_CHECKING:
    from automl.data.dataset import Dataset
    from automl.meta.knowledge import Knowledge
    from automl.meta.likeness import TableSketch
    from automl.meters.reference import Reference
    from automl.search.anomaly import Ranking
    from automl.search.objective import Objective
    from automl.search.run import SearchResult
    from automl.search.start import Start

log = logging.getLogger(__name__)
T = TypeVar("T")

CANCELLED = "cancelled on request"


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A job under way and all that its steps share."""

    job: Job
    epoch: int
    store: Store
    artifacts: ArtifactStore
    settings: Settings
    meter: Any
    clock: Clock
    progress: Progress
    heart: Heartbeat

    @property
    def intensity(self) -> Intensity:
        return yearly_mean(self.settings.zone)

    def patiently(self, write: Callable[[], T]) -> T:
        """Write, and again while the store is out of reach; the heartbeat says when to give up."""
        while True:
            try:
                return write()
            except StoreUnavailable:
                time.sleep(0.5)

    def phase(self, name: str, cost: Cost) -> None:
        """Write down what a phase took."""
        phase = Phase(job_id=self.job.id, epoch=self.epoch, name=name, cost=cost)
        self.patiently(lambda: self.store.add_phase(phase))
        data = {"name": name, "cpu_seconds": cost.cpu_seconds, "joules": cost.joules}
        self.patiently(
            lambda: self.store.add_event(self.job.id, kind="phase", data=data, now=self.clock())
        )
        self.progress.enter(None, 0.0)


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
        work = _Work(
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


def _finished(work: _Work) -> Job:
    """Run the search and write the end of the job, whatever it is."""
    try:
        return _ranked(work) if work.job.request["target"] is None else _searched(work)
    except BudgetExhausted as error:
        if work.heart.cancel_requested.is_set():
            return _end(work, state=JobState.CANCELLED, stop_reason=f"stopped: {CANCELLED}")
        return _end(work, state=JobState.FAILED, problem=problem_of(error))
    except LostLease:
        raise
    except FrugalError as error:  # e.g. files that rotted, or not one model that could be fitted
        return _end(work, state=JobState.FAILED, problem=problem_of(error))
    except MemoryError:
        told = problem("out_of_memory", "the job needs more memory than this machine gives it")
        return _end(work, state=JobState.FAILED, problem=told)
    except Exception as error:
        place = where(error)
        log.error("job %s: %s at %s", work.job.id, type(error).__name__, place)
        told = problem("internal_error", f"unexpected {type(error).__name__} at {place}")
        return _end(work, state=JobState.FAILED, problem=told)


def _end(work: _Work, *, state: JobState, **values: Any) -> Job:
    work.heart.stop()  # what it would hear now is that the job has ended
    job = work.patiently(
        lambda: work.store.finish_job(
            work.job.id, epoch=work.epoch, state=state, now=work.clock(), **values
        )
    )
    reason = job.stop_reason or (job.problem or {}).get("code")
    log.info("job %s: %s, %s", job.id, job.state, reason)
    return job


def _ranked(work: _Work) -> Job:
    """Rank the rows of a job without a target, and register what ranks them."""
    from automl.data.loading import load_rows
    from automl.meters.base import measure
    from automl.search.anomaly import predict_cost, rank_anomalies
    from automl.search.champion import PREDICT_ROWS, milliseconds_per_row

    request = work.job.request
    stored = _data_of(work)
    constants = _constants(work.meter)
    own: list[Cost] = []

    def on_phase(name: str, cost: Cost) -> None:
        own.append(cost)
        work.phase(name, loading.cost + cost if name == "features" else cost)

    with _reference(constants) as codecarbon:
        with measure(work.meter) as loading:
            admission = request.get("admission") or {}
            excluded = [entry["column"] for entry in admission.get("excluded", ())]
            X = load_rows(_rows_of(work, stored), request, excluded=excluded)
        journal = _journal(work)
        replayed = sum(trial.cost.cpu_seconds for trial in journal.finished())
        found = rank_anomalies(
            X,
            alert_rate=objective_of(request).alert_rate,
            seed=int(request.get("seed") or 0),
            meter=work.meter,
            journal=journal,
            stop=lambda: CANCELLED if work.heart.cancel_requested.is_set() else None,
            on_phase=on_phase,
        )
        with measure(work.meter) as predicting:
            predict = predict_cost(found.champion, X, meter=work.meter)
            one_row = milliseconds_per_row(found.champion.anomaly, X.head(PREDICT_ROWS))
        on_phase("predict", predicting.cost)
    own_cpu = loading.cost.cpu_seconds + sum(one.cpu_seconds for one in own) - replayed
    bill = receipt(
        _phases(work, stored),
        meter=work.meter.describe(),
        intensity=work.intensity,
        reference=codecarbon.to_json(),
        own_cpu_joules=_processor_joules(own_cpu, constants),
        trials=found.trials,
        n_rows=len(X),
        predict_per_1000_rows=predict,
        attempts=work.epoch,
    )
    return _register(work, found, bill, stored, row_milliseconds=one_row)


def _journal(work: _Work) -> StoreJournal:
    return StoreJournal(
        work.store,
        work.artifacts,
        job_id=work.job.id,
        epoch=work.epoch,
        clock=work.clock,
        progress=work.progress.enter,
        on_cancel=work.heart.cancel_requested.set,
    )


def _searched(work: _Work) -> Job:
    from automl.meta.sketching import sketch_table
    from automl.meters.base import measure
    from automl.search.champion import PREDICT_ROWS, predict_cost, row_milliseconds
    from automl.search.ledger import is_ensemble
    from automl.search.run import search

    job, request = work.job, work.job.request
    stored = _data_of(work)
    constants = _constants(work.meter)
    # Of this process only, as codecarbon sees it: trials of an earlier one are in `search` too.
    own: list[Cost] = []
    with _reference(constants) as codecarbon:
        with measure(work.meter) as loading:
            dataset = _load(work, stored)
            head = dataset.X.head(PREDICT_ROWS).copy()
            shape = dataset.n_rows, dataset.X.shape[1]
            knowledge = knowledge_for(job, settings=work.settings, artifacts=work.artifacts)
            grows = work.settings.knowledge == "grow"
            sketch = sketch_table(dataset.X) if grows else None
            handed = [dataset]
            del dataset  # the search is to have the only reference, and lets go of it
        work.progress.enter(None, 0.0)
        journal = _journal(work)

        earlier = [trial for trial in journal.finished() if not is_ensemble(trial)]
        replayed = sum(trial.cost.cpu_seconds for trial in earlier)

        def on_phase(name: str, cost: Cost) -> None:
            own.append(cost)
            work.phase(name, loading.cost + cost if name == "features" else cost)

        start = _start(work)
        found = search(
            handed.pop(),
            meter=work.meter,
            budget=budget_of(request, grams_per_kwh=work.intensity.grams_per_kwh),
            seed=int(request.get("seed") or 0),
            mode=request.get("mode") or "balanced",
            objective=objective_of(request),
            pick=(request.get("objective") or {}).get("pick") or "recommended",
            journal=journal,
            stop=lambda: CANCELLED if work.heart.cancel_requested.is_set() else None,
            on_phase=on_phase,
            knowledge=knowledge,
            start=start,
        )
        with measure(work.meter) as predicting:
            predict = predict_cost(found.champion, head, meter=work.meter)
            one_row = row_milliseconds(found.champion, head)
        on_phase("predict", predicting.cost)
    own_cpu = loading.cost.cpu_seconds + sum(one.cpu_seconds for one in own) - replayed
    bill = receipt(
        _phases(work, stored),
        meter=work.meter.describe(),
        intensity=work.intensity,
        reference=codecarbon.to_json(),
        own_cpu_joules=_processor_joules(own_cpu, constants),
        trials=found.trials,
        n_rows=shape[0],
        predict_per_1000_rows=predict,
        attempts=work.epoch,
        start=found.start,
    )
    done = _register(work, found, bill, stored, row_milliseconds=one_row)
    raced = found.start is None or found.start["kind"] == "first"
    if done.state is JobState.DONE and raced:
        _learn(work, found, knowledge, shape=shape, sketch=sketch)
    return done


def _learn(
    work: _Work,
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


def _register(
    work: _Work,
    found: SearchResult | Ranking,
    bill: Mapping[str, Any],
    stored: StoredDataset,
    *,
    row_milliseconds: float,
) -> Job:
    """Store the champion and end the job in one transaction with its model."""
    profile = stored.profile or {}
    types = {one["name"]: one["type"] for one in profile.get("columns", ())}
    reading = for_more_rows(stored.options, profile=profile)
    cancelled = work.heart.cancel_requested.is_set() and CANCELLED in found.stop_reason
    key = f"models/{uuid.uuid4().hex}"
    with work.artifacts.staging() as folder:
        sha256 = found.champion.save(folder)
        work.artifacts.put_folder(key, folder)
    job = work.job
    warned = {(one["code"], one.get("column")) for one in job.warnings}
    new = [one for one in found.warnings if (one["code"], one.get("column")) not in warned]
    warnings = [dict(warning) for warning in (*job.warnings, *new)]
    model = Model(
        id=uuid.uuid4().hex,
        project_id=job.project_id,
        name=job.model_name,
        version=0,  # the store gives the next one
        job_id=job.id,
        dataset_id=job.dataset_id,
        created_at=work.clock(),
        artifact=key,
        sha256=sha256,
        card=found.champion.card()
        | {
            "provenance": _provenance(found, job),
            "target": job.request["target"],
            "positive": job.request.get("positive"),
            "excluded": _left_out(job),
            # How rows to predict are read; an integer column may well get 3.5 some day.
            "types": {
                name: "number" if types.get(name) == "integer" else types[name]
                for name in found.champion.columns
                if name in types
            },
            **({"reading": reading} if reading else {}),
            "cost": {"total": bill["total"], "predict": bill["predict_per_1000_rows"]},
            "row_milliseconds": row_milliseconds,
            "lifetime": _life(found, grams_per_kwh=work.intensity.grams_per_kwh),
            "intensity": bill["intensity"],
            "warnings": warnings,
        },
    )
    done = _end(
        work,
        state=JobState.CANCELLED if cancelled else JobState.DONE,
        stop_reason=found.stop_reason,
        result={
            "front": list(found.front),
            "picks": dict(found.picks),
            "lifetimes": {str(number): one.to_json() for number, one in found.lifetimes.items()},
            "champion": found.champion.provenance.get("trial"),
            "members": {str(one.trial): one.weight for one in found.champion.members},
            "warnings": [dict(warning) for warning in new],
            "stop": found.stop.to_json(),
            "knowledge": dict(found.champion.provenance.get("knowledge") or {})
            | {"suggestions": [one.to_json() for one in found.suggestions]},
        },
        receipt=bill,
        model=model,
    )
    if (done.problem or {}).get("code") == "data_deleted":
        work.artifacts.delete(key)
    return done


def _life(found: SearchResult | Ranking, *, grams_per_kwh: float) -> dict[str, Any] | None:
    """Expected joules and grams of the champion's life, by what it goes into; never measured."""
    life = found.lifetimes.get(int(found.champion.provenance["trial"]))
    if life is None:
        return None
    joules = life.to_json()
    grams = {name: one / JOULES_PER_KWH * grams_per_kwh for name, one in joules.items()}
    return {"joules": joules, "gco2e": grams}


def _provenance(found: SearchResult | Ranking, job: Job) -> dict[str, Any]:
    """The champion's provenance, which groups were kept together in words."""
    provenance = dict(found.champion.provenance)
    validation = dict(provenance.get("validation") or {})
    if validation.get("by_group"):
        named = job.request.get("group_column") is not None
        validation["by_group"] = "named" if named else "identical rows"
    return provenance | ({"validation": validation} if validation else {})


def _left_out(job: Job) -> list[dict[str, Any]]:
    """Columns that the model never saw, each with the reason."""
    roles = ("time_column", "group_column", "weight_column")
    named = [(job.request.get(role), f"named as {role}") for role in roles]
    named += [(name, "excluded by the request") for name in job.request.get("exclude") or ()]
    said = [{"column": name, "why": why} for name, why in named if name is not None]
    return said + list((job.request.get("admission") or {}).get("excluded", ()))


def _data_of(work: _Work) -> StoredDataset:
    """Return the job's data set, its rows verified. Raises Gone or Corrupt."""
    stored = work.store.get_dataset(work.job.project_id, work.job.dataset_id)
    if stored.state is not DatasetState.READY or stored.artifact is None:
        raise Gone("the data set was deleted")
    sha256 = (stored.profile or {}).get("sha256")
    if sha256 is not None:
        work.artifacts.verify(stored.artifact, sha256)
    return stored


def _start(work: _Work) -> Start | None:
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


def _load(work: _Work, stored: StoredDataset) -> Dataset:
    from automl.data.loading import load

    admission = work.job.request.get("admission") or {}
    excluded = [entry["column"] for entry in admission.get("excluded", ())]
    return load(
        _rows_of(work, stored),
        work.job.request,
        excluded=excluded,
        group_identical=bool(admission.get("group_identical")),
    )


def _rows_of(work: _Work, stored: StoredDataset) -> Path:
    if stored.artifact is None:
        raise Gone("the data set was deleted")
    return work.artifacts.path(stored.artifact) / ROWS_FILE


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


def objective_of(request: Mapping[str, Any]) -> Objective:
    """Return what a job's request calls a good model; what is missing or null is the default."""
    from automl.search.objective import Objective

    asked = request.get("objective") or {}
    names = (field.name for field in fields(Objective))
    return Objective(**{name: asked[name] for name in names if asked.get(name) is not None})


def _phases(work: _Work, stored: StoredDataset) -> dict[str, Cost]:
    ingest = {"ingest": stored.cost} if stored.cost is not None else {}
    phases = work.patiently(lambda: work.store.phases(work.job.id))
    found = spent(phases, epoch=work.epoch)
    order = [name for name in ("features", "search", "refit", "predict") if name in found]
    return ingest | {name: found.get(name, ZERO) for name in order}


def _constants(meter: Any) -> dict[str, float]:
    """Return the watts that codecarbon is to use, which are ours where we use any."""
    names = ("watts_per_core", "watts_per_gb")
    return {name: getattr(meter, name) for name in names if hasattr(meter, name)}


def _reference(constants: Mapping[str, float]) -> AbstractContextManager[Reference]:
    from automl.meters.cpu_time import WATTS_PER_CORE, WATTS_PER_GB
    from automl.meters.reference import reference

    return reference(
        watts_per_core=constants.get("watts_per_core", WATTS_PER_CORE),
        watts_per_gb=constants.get("watts_per_gb", WATTS_PER_GB),
    )


def _processor_joules(cpu_seconds: float, constants: Mapping[str, float]) -> float | None:
    """Return the processor's part of a cost; a counter of the hardware cannot tell it apart."""
    watts = constants.get("watts_per_core")
    return None if watts is None else watts * cpu_seconds
