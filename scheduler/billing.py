"""What the bill of a job is made from: its phases in time, the watts of its meter, codecarbon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from automl.cost import ZERO, Cost
from automl.errors import FrugalError
from scheduler.emissions import Stretch
from scheduler.pricing import finite
from scheduler.records import Job, Phase, StoredTrial

if TYPE_CHECKING:
    from automl.meters.reference import Reference
    from scheduler.work import Work

UNFINISHED = "unfinished"
ORDER = ("features", "search", "refit", "predict", "challenge", UNFINISHED)
ENSEMBLE = "ensemble"  # its cost is that of its members, who stand in the bill themselves


def stretches_of(
    job: Job, phases: Iterable[Phase], trials: Iterable[StoredTrial], *, now: datetime
) -> list[Stretch]:
    """Return what a job's processes took and when, phase by phase in the order to show.

    Trials have times of their own; what else its search took is spread over the search. The last
    search has the trials of earlier processes in it already; what an earlier process spent on
    anything else was spent in vain, and is added. A search that never ended has only its trials.

    Parameters
    ----------
    now : when it ends, where neither a phase nor the job says so
    """
    rows = list(phases)
    searches = [one for one in rows if one.name == "search"]
    last = max(searches, key=lambda one: one.epoch, default=None)
    found = [
        _stretch(one, rows, job, now=now) for one in rows if one.name != "search" or one is last
    ]
    tried = [_tried(one) for one in trials if one.trial is not None]
    ran = [one for one in tried if one is not None]
    kept: list[Stretch] = []
    for stretch in found:
        if stretch.phase != "search":
            kept.append(stretch)
            continue
        within = [one for one in ran if one.end <= stretch.end]
        kept += _shared_out(stretch, within)
        kept += [one for one in ran if one.end > stretch.end]
    if last is None:
        kept += ran
    names = [*ORDER, *(one.phase for one in kept if one.phase not in ORDER)]
    return sorted(kept, key=lambda one: names.index(one.phase))


def _stretch(phase: Phase, rows: Sequence[Phase], job: Job, *, now: datetime) -> Stretch:
    """A phase over its time, which does not begin before the one ahead of it has ended."""
    cost = finite(phase.cost)
    end = phase.ended_at or job.finished_at or now
    start = phase.started_at or end - timedelta(seconds=cost.wall_seconds)
    if phase.name == UNFINISHED:  # beside the others, from the beginning to the end
        return Stretch(phase=phase.name, start=min(start, end), end=end, cost=cost)
    ends = [
        one.ended_at
        for one in rows
        if one.epoch == phase.epoch and one.ended_at is not None and one.ended_at < end
    ]
    if phase.epoch == 1 and job.started_at is not None:
        ends.append(job.started_at)
    start = min(max([start, *ends]), end)
    return Stretch(phase=phase.name, start=start, end=end, cost=cost)


def _tried(stored: StoredTrial) -> Stretch | None:
    if stored.trial is None or stored.trial.candidate.model == ENSEMBLE:
        return None
    end = stored.finished_at or stored.started_at
    cost = finite(stored.trial.cost)
    return Stretch(phase="search", start=min(stored.started_at, end), end=end, cost=cost)


def _shared_out(search: Stretch, trials: Sequence[Stretch]) -> list[Stretch]:
    """A search as its trials and the rest of it; together exactly what the search took."""
    spent = sum((one.cost for one in trials), start=ZERO)
    if not trials:
        return [search]
    if spent.joules > search.cost.joules:  # by rounding only: its phase was metered as a whole
        share = search.cost.joules / spent.joules
        trials = [replace(one, cost=one.cost * share) for one in trials]
        spent = spent * share
    return [*trials, replace(search, cost=_minus(search.cost, spent))]


@contextmanager
def accounted(work: Work) -> Iterator[None]:
    """Write down what a process took in vain, when the block ends by an exception.

    A job that fails or pauses within a phase has no cost of it on record; its finished trials and
    ended phases have. What is left of the process is its phase ``unfinished``. A process that is
    killed leaves nothing but its trials.
    """
    from automl.meters.base import measure

    began = work.clock()
    try:
        with measure(work.meter) as whole:
            yield
    except BaseException:
        with suppress(FrugalError):  # another worker has the job, or the store is away
            _write_rest(work, whole.cost, began=began)
        raise


def _write_rest(work: Work, whole: Cost, *, began: datetime) -> None:
    rows = [one for one in work.store.phases(work.job.id) if one.epoch == work.epoch]
    trials = [one for one in work.store.trials(work.job.id) if one.finished_at is not None]
    rest = unfinished(whole, rows, trials, began=began)
    if rest.joules > 0:
        work.store.add_phase(
            Phase(
                job_id=work.job.id,
                epoch=work.epoch,
                name=UNFINISHED,
                cost=rest,
                started_at=began,
                ended_at=work.clock(),
            )
        )


def unfinished(
    whole: Cost, phases: Iterable[Phase], trials: Iterable[StoredTrial], *, began: datetime
) -> Cost:
    """Return what a process took beside the phases that it ended and the trials it finished.

    Parameters
    ----------
    whole : of the process, since `began`
    phases : of this process
    trials : of the job, also those of earlier processes
    """
    tried = [(one, _tried(one)) for one in trials]
    own = [at for one, at in tried if at is not None and one.started_at >= began]
    earlier = [at for one, at in tried if at is not None and one.started_at < began]
    ended = sum((finite(one.cost) for one in phases), start=ZERO)
    if any(one.name == "search" for one in phases):  # it has the trials in it, earlier ones too
        ended = _minus(ended, sum((one.cost for one in earlier), start=ZERO))
    else:
        ended = sum((one.cost for one in own), start=ended)
    return _minus(whole, ended)


def _minus(cost: Cost, other: Cost) -> Cost:
    return Cost(
        cpu_seconds=max(cost.cpu_seconds - other.cpu_seconds, 0.0),
        joules=max(cost.joules - other.joules, 0.0),
        wall_seconds=max(cost.wall_seconds - other.wall_seconds, 0.0),
        meter=cost.meter,
    )


def constants_of(meter: Any) -> dict[str, float]:
    """Return the watts that codecarbon is to use, which are ours where we use any."""
    names = ("watts_per_core", "watts_per_gb")
    return {name: getattr(meter, name) for name in names if hasattr(meter, name)}


def reference_of(constants: Mapping[str, float]) -> AbstractContextManager[Reference]:
    """Return codecarbon as it watches this process, with the same watts as the meter."""
    from automl.meters.cpu_time import WATTS_PER_CORE, WATTS_PER_GB
    from automl.meters.reference import reference

    return reference(
        watts_per_core=constants.get("watts_per_core", WATTS_PER_CORE),
        watts_per_gb=constants.get("watts_per_gb", WATTS_PER_GB),
    )


def processor_joules(cpu_seconds: float, constants: Mapping[str, float]) -> float | None:
    """Return the processor's part of a cost; a counter of the hardware cannot tell it apart."""
    watts = constants.get("watts_per_core")
    return None if watts is None else watts * cpu_seconds
