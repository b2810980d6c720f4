"""How long a job may still take, from what it did and used so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from automl.cost import grams_co2e
from automl.meta.portfolio import portfolio
from automl.search.effort import EFFORTS
from scheduler.records import Event, Job

ENSEMBLES = 2  # weighted means that are judged at the end


@cache
def most_trials(mode: str) -> int:
    """How many trials a search of this mode runs at most when no limit stops it.

    >>> most_trials("eco") < most_trials("balanced") < most_trials("best")
    True
    """
    effort = EFFORTS[mode]
    tables = (portfolio(mode), portfolio(mode, n_rows=0))  # of many rows, and of few
    named = max(len(t.first) + sum(map(len, t.expand.values())) for t in tables)
    return named + effort.refinements + effort.members + ENSEMBLES


class Progress:
    """Follows the events of one job, which must come in order, and adds `eta_seconds` to trials.

    Parameters
    ----------
    job : Job
        Whose events they are.
    grams_per_kwh : float
        To compare joules with a limit in grams.
    """

    def __init__(self, job: Job, *, grams_per_kwh: float) -> None:
        self.limits: dict[str, float | None] = dict(job.request.get("limits") or {})
        self.mode = str(job.request.get("mode") or "balanced")
        self.grams_per_kwh = grams_per_kwh
        self.started = job.started_at
        self.resumed = job.epoch > 1
        self._away: datetime | None = None  # since when it has been waiting again
        self.cpu_seconds = self.joules = 0.0

    @property
    def needs_history(self) -> bool:
        """Whether a limit, or how long it ran, is something that only the events together tell."""
        return self.resumed or any(
            self.limits.get(name) for name in ("cpu_seconds", "joules", "gco2e")
        )

    def skip(self, events: Iterable[Event]) -> None:
        """Count events that the reader has seen before."""
        for event in events:
            self.told(event)

    def told(self, event: Event) -> Event:
        """The event, with `eta_seconds` when it is a trial that does not say it itself.

        Not promised: it is an upper bound at the pace so far, until the first limit or the last
        trial planned; a search mostly stops before, when the next step is not worth its energy.
        """
        if event.kind == "state":
            self._moved(str(event.data.get("state")), event.at)
        if event.kind != "trial":
            return event
        cost = event.data.get("cost") or {}
        self.cpu_seconds += cost.get("cpu_seconds", 0.0)
        self.joules += cost.get("joules", 0.0)
        if "eta_seconds" in event.data:
            return event
        number = int(event.data.get("number", 0))
        return replace(event, data={**event.data, "eta_seconds": self._eta(number, event.at)})

    def _moved(self, state: str, at: datetime) -> None:
        """Pauses do not count: the start moves forward by how long each of them took."""
        if state == "RUNNING":
            if self.started is not None and self._away is not None:
                self.started += max(at - self._away, timedelta(0))
            self.started, self._away = self.started or at, None
        elif self.started is not None and self._away is None and at > self.started:
            self._away = at

    def _eta(self, number: int, at: datetime) -> float | None:
        if self.started is None:
            return None
        elapsed = (at - self.started).total_seconds()
        used = {
            "wall_seconds": elapsed,
            "trials": number + 1.0,
            "cpu_seconds": self.cpu_seconds,
            "joules": self.joules,
            "gco2e": grams_co2e(self.joules, grams_per_kwh=self.grams_per_kwh),
        }
        shares = [(number + 1) / max(most_trials(self.mode), number + 1)]
        shares += [used[name] / limit for name, limit in self.limits.items() if limit]
        share = min(max(shares), 1.0)
        return round(max(elapsed, 0.0) * (1.0 - share) / share, 1)
