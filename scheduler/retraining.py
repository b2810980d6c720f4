"""Daily retraining: what is due is decided once, trained where it is worth it, promoted if it wins.

Each step is one transaction of the store under a lease and an epoch, so that a process that dies
anywhere between leaves the rest to the next, and nothing happens twice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from automl.cost import Cost
from automl.errors import FrugalError
from scheduler.appraisal import appraised, new_to, nothing_new, paths, since_judged
from scheduler.artifacts import ArtifactStore
from scheduler.carbon.series import IntensitySource
from scheduler.carbon.typical import Typical
from scheduler.challenger import outcome_of, plan_of, request_of
from scheduler.child import where
from scheduler.clock import Clock, utc_now
from scheduler.config import Settings
from scheduler.errors import (
    Conflict,
    Gone,
    LostLease,
    StoreUnavailable,
    UnknownRecord,
    problem,
    problem_of,
)
from scheduler.feeding import Reader, fed
from scheduler.local_days import DailyWindow, local_time, time_zone
from scheduler.planning import placed
from scheduler.records import Job, JobState, Json, Model, StoredDataset
from scheduler.records_schedules import Run, RunState, Schedule, ScheduleState
from scheduler.settlement import Prices, bill_appraisal
from scheduler.store import Store
from scheduler.store_outbox import Call
from scheduler.store_outcomes import TRAINING
from scheduler.worth import Gate, too_soon, verdict

log = logging.getLogger(__name__)

# Of a run that waits for its rows to be read in: looked at again.
WAIT = timedelta(seconds=10)
# Decided in one go; the others follow at the next tick.
MOST_DECIDED = 100


class Retraining:
    """Carries schedules out; `due` may be called at any time, by any number of processes.

    Parameters
    ----------
    intensity : by which jobs that may wait are planned; without it they run at once
    """

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        settings: Settings,
        ingestor: Reader,
        *,
        intensity: IntensitySource | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._store, self._artifacts, self._settings = store, artifacts, settings
        self._ingestor, self._intensity, self._clock = ingestor, intensity, clock
        self._prices = Prices(
            source=intensity or Typical(), typical=Typical(), zone=settings.zone, live=False
        )
        self._owner = f"retraining:{uuid.uuid4().hex[:12]}"
        self._stopping = threading.Event()

    def due(self, now: datetime) -> int:
        """End runs whose jobs ended, open those that are due, decide them; how many jobs came."""
        for schedule, run, job in self._store.ended_jobs():
            self._end(schedule, run, job, now)
        for schedule in self._store.due_schedules(now):
            self._open(schedule, now)
        n_jobs = 0
        for n_decided in range(MOST_DECIDED):
            if self._stopping.is_set():
                break
            # Each decision takes its time: the lease of the next one begins when it is claimed.
            at = now if n_decided == 0 else max(now, self._clock())
            claimed = self._store.claim_run(
                owner=self._owner, lease_seconds=self._settings.lease_seconds, now=at
            )
            if claimed is None:
                break
            n_jobs += self._decide(*claimed, at)
        return n_jobs

    def start(self) -> None:
        """Decide again after a `stop`."""
        self._stopping.clear()

    def stop(self) -> None:
        """Give up the decision under way; whoever comes next takes it from the beginning."""
        self._stopping.set()

    def _open(self, schedule: Schedule, now: datetime) -> None:
        """Open the run of the newest date that is due; it stands for those missed before it."""
        window = window_of(schedule.request)
        next_date, next_at = window.after(now)
        days: list[date] = []
        if schedule.next_at is not None and schedule.next_at <= now and schedule.next_date:
            days = window.between(date.fromisoformat(schedule.next_date), now)
        missed = sum(window.closes(day) <= now for day in days)
        opened = self._store.open_run(
            schedule,
            local_date=days[-1] if days else None,
            due_at=window.opens(days[-1]) if days else now,
            missed=missed,
            next_at=next_at,
            next_date=next_date,
        )
        if opened and days:
            log.info("schedule %s: run of %s, %d missed", schedule.id, days[-1], missed)

    def _decide(self, schedule: Schedule, run: Run, now: datetime) -> bool:
        """Decide a run that was claimed; whether a job came of it."""
        try:
            return self._decided(schedule, run, now)
        except LostLease as error:
            log.warning("%s", error)
        except StoreUnavailable:
            raise
        except FrugalError as error:
            if self._stopping.is_set():
                with contextlib.suppress(LostLease):
                    self._store.keep_run(run, until=None)
                return False
            self._fail(schedule, run, problem_of(error), now)
        except Exception as error:
            place = where(error)
            log.error("schedule %s: %s at %s", schedule.id, type(error).__name__, place)
            told = problem("internal_error", f"unexpected {type(error).__name__} at {place}")
            self._fail(schedule, run, told, now)
        return False

    def _decided(self, schedule: Schedule, run: Run, now: datetime) -> bool:
        store = self._store
        if schedule.state is not ScheduleState.ACTIVE:
            self._skip(schedule, run, f"the schedule is {schedule.state}", now)
            return False
        before = store.last_run(schedule.id, RunState.SUBMITTED)
        if before is not None:
            self._skip(schedule, run, f"the run of {before.local_date} has not ended", now)
            return False
        champion = self._champion(schedule)
        gate = Gate(**schedule.request["gate"])
        last = store.last_run(schedule.id, RunState.DONE)
        trained = None if last is None else last.finished_at
        if trained is None and champion is not None:
            trained = champion.created_at
        days = None if trained is None else (now - trained).total_seconds() / 86_400
        soon = too_soon(gate, days) if last is not None else None
        if soon is not None:
            self._skip(schedule, run, soon.because, now)
            return False
        dataset = fed(
            schedule,
            run,
            champion,
            store=store,
            reader=self._ingestor,
            settings=self._settings,
            now=now,
        )
        if dataset is None:  # being read in
            store.keep_run(run, until=now + WAIT)
            return False
        if champion is None:
            said = {"worth": True, "because": "there is no model of this name yet"}
            return self._submit(schedule, run, None, dataset, said, {}, now)
        late = new_to(champion, dataset, store=store)
        if nothing_new(champion, dataset, late):
            because = (
                "not worth it today, because no table has changed and no label has come since "
                f"version {dataset.version} of the data, which the champion learnt from"
            )
            self._skip(schedule, run, because, now, dataset=dataset)
            return False
        if last is not None and self._answered(last, champion, dataset, late):
            because = (
                "not worth it today, because no row and no label has come since the run of "
                f"{last.local_date}, whose challenger was compared with the same champion"
            )
            self._skip(schedule, run, because, now, dataset=dataset)
            return False
        judged = since_judged(last, dataset, late, store=store)
        began = self._clock()
        numbers = appraised(
            run,
            champion,
            dataset,
            late,
            judged=judged,
            store=store,
            artifacts=self._artifacts,
            settings=self._settings,
            clock=self._clock,
            stopping=self._stopping.is_set,
        )
        found = verdict(numbers, gate, days=days)
        histograms = numbers.pop("histograms")
        if judged is not None and last is not None:
            numbers["since"] = last.local_date
        self._observe(champion, numbers, histograms, now)
        cost = Cost(**numbers.pop("cost"))
        numbers["receipt"] = bill_appraisal(
            run,
            dataset,
            cost,
            began=began,
            store=store,
            prices=self._prices,
        )
        if not found.worth:
            self._skip(schedule, run, found.because, now, numbers=numbers, dataset=dataset)
            return False
        said = {"worth": True, "because": found.because, "numbers": numbers}
        return self._submit(schedule, run, champion, dataset, said, late, now)

    def _answered(
        self, last: Run, champion: Model, dataset: StoredDataset, late: Mapping[str, Any]
    ) -> bool:
        """Whether a run has trained on just this beside this champion: it would end the same way.

        So a challenger that lost is not made anew every night, nor one that a person has not
        promoted yet or has rolled back.
        """
        if last.job_id is None or last.dataset_id != dataset.id:
            return False
        then = self._store.job(last.job_id).request.get("retraining") or {}
        same = (then.get("champion") or {}).get("id") == champion.id
        labels = (then.get("labels") or {}).get("artifacts")
        return same and labels == late["labels"]["artifacts"]

    def _champion(self, schedule: Schedule) -> Model | None:
        """The version that answers for the schedule's model; None where there is none yet."""
        try:
            return self._store.get_model(schedule.project_id, schedule.request["model"])
        except (UnknownRecord, Gone, Conflict):
            if schedule.request.get("job") is None:
                raise
            return None

    def _observe(
        self, champion: Model, numbers: Json, histograms: Mapping[str, Any], now: datetime
    ) -> None:
        """Keep the histograms of the training and of the rows that came since."""
        kept = {TRAINING: (histograms["training"], 0)}
        if histograms["new"] is not None:
            kept[now.date().isoformat()] = (histograms["new"], numbers["n_new_rows"])
        for day, (found, n_rows) in kept.items():
            self._store.put_observation(champion.id, day=day, n_rows=n_rows, histograms=found)

    def _submit(
        self,
        schedule: Schedule,
        run: Run,
        champion: Model | None,
        dataset: StoredDataset,
        decision: dict[str, Any],
        late: Mapping[str, Any],
        now: datetime,
    ) -> bool:
        """The run and its job, in one transaction."""
        asked = request_of(schedule, run, champion, dataset, late, store=self._store)
        labels = None
        if champion is not None:
            labels = {
                **late["labels"],
                "labels": paths(self._artifacts, late["labels"]["artifacts"]),
            }
            del labels["artifacts"]
        admission = self._ingestor.admit(asked, dataset, labels=labels)
        if champion is not None:
            start = {"id": champion.id, "name": champion.name, "version": champion.version}
            admission["start"] = {**start, "same_target": True}
        deadline = max(
            window_of(schedule.request).closes(date.fromisoformat(run.local_date)),
            now + timedelta(hours=schedule.request["at"]["hours"]) if run.missed else now,
        )
        found = plan_of(
            asked,
            admission,
            deadline=deadline,
            now=now,
            settings=self._settings,
            intensity=self._intensity,
        )
        job = Job(
            id=uuid.uuid4().hex,
            project_id=schedule.project_id,
            dataset_id=dataset.id,
            request={**asked, "admission": admission},
            state=JobState.SUBMITTED,
            submitted_at=now,
            warnings=tuple(admission.get("warnings", ())),
            model_name=asked["model"],
            schedule_id=schedule.id,
        )
        self._store.submit_run(
            run,
            placed(job, found),
            decision=decision,
            champion=None if champion is None else champion.version,
            max_queued=self._settings.max_queued_jobs,
            now=now,
        )
        log.info("schedule %s: job %s, %s", schedule.id, job.id, decision["because"])
        return True

    def _skip(
        self,
        schedule: Schedule,
        run: Run,
        because: str,
        now: datetime,
        *,
        numbers: Json | None = None,
        dataset: StoredDataset | None = None,
    ) -> None:
        decision: dict[str, Any] = {"worth": False, "because": because}
        if numbers is not None:
            decision["numbers"] = dict(numbers)
        if dataset is not None:
            decision["dataset"] = dataset.id
        self._store.end_decision(
            run,
            state=RunState.SKIPPED,
            decision=decision,
            calls=self._calls(schedule, run, "run.skipped", {"because": because}),
            now=now,
        )
        log.info("schedule %s: run of %s skipped, %s", schedule.id, run.local_date, because)

    def _fail(self, schedule: Schedule, run: Run, told: Json, now: datetime) -> None:
        try:
            self._store.end_decision(
                run,
                state=RunState.FAILED,
                decision={"worth": None, "because": told["detail"], "problem": dict(told)},
                calls=self._calls(schedule, run, "run.failed", {"problem": dict(told)}),
                now=now,
            )
        except LostLease as error:
            log.warning("%s", error)
        log.warning("schedule %s: run of %s failed, %s", schedule.id, run.local_date, told["code"])

    def _end(self, schedule: Schedule, run: Run, job: Job, now: datetime) -> None:
        """End a run whose job has ended, and promote what won, in one transaction."""
        model = self._store.model_of_job(schedule.project_id, job.id)
        state, outcome, promote = outcome_of(schedule, job, model)
        calls: list[Call] = []
        if state is RunState.FAILED and job.state is JobState.CANCELLED:
            # The job itself told of any other failure.
            calls = self._calls(schedule, run, "run.failed", {"because": outcome["because"]})
        ended = self._store.end_run(
            run,
            project_id=schedule.project_id,
            state=state,
            outcome=outcome,
            promote=promote,
            calls=calls,
            now=now,
        )
        if ended is not None:
            said = (ended.outcome or {}).get("because")
            log.info("schedule %s: run of %s %s, %s", schedule.id, run.local_date, state, said)

    def _calls(self, schedule: Schedule, run: Run, event: str, said: Json) -> list[Call]:
        url = schedule.request.get("webhook")
        if not url:
            return []
        payload = {
            "event": event,
            "schedule": schedule.id,
            "name": schedule.name,
            "model": schedule.request["model"],
            "local_date": run.local_date,
            **said,
        }
        return [Call(project_id=schedule.project_id, url=str(url), payload=payload)]


def window_of(request: Mapping[str, Any]) -> DailyWindow:
    """The daily window of a schedule's request. Raises DataError ``unknown_time_zone``."""
    at = request["at"]
    ends = at.get("finish_by") is not None
    return DailyWindow(
        zone=time_zone(request["time_zone"]),
        at=local_time(at["finish_by"] if ends else at["start"]),
        hours=float(at["hours"]),
        ends=ends,
    )
