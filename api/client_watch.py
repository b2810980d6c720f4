"""How far a job is, shown while one waits for it: a line that moves on a terminal, else lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from api.client_calls import JobEvent, Json

if TYPE_CHECKING:
    from api.client import FrugalClient

# As `api.report` has the heads of scores.
SHORT = {
    "average_precision": "AP",
    "roc_auc": "AUC",
    "recall_at_alert_rate": "recall",
    "precision_at_recall": "precision",
    "expected_cost": "saving",
}
UNITS = {"cpu_seconds": "CPU-s", "joules": "J", "trials": "trials"}
DOING = {
    "SUBMITTED": "waiting for a worker",
    "PLANNED": "waiting for its window",
    "PAUSED": "paused",
    "RUNNING": "reading the data",
}
AFTER = {"features": "searching", "search": "fitting the model", "refit": "measuring its use"}
BAR_WIDTH = 30


class Progress:
    """What the events of a job say so far.

    >>> seen = Progress({"id": "a", "request": {}})
    >>> seen.told(JobEvent(seq=1, kind="state", data={"state": "RUNNING"}))
    ['reading the data']
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        request = job.get("request") or {}
        self.id = str(job["id"])
        self.limits = {
            name: limit for name, limit in (request.get("limits") or {}).items() if limit
        }
        objective = request.get("objective") or {}
        self.metric = SHORT.get(str(objective.get("metric")), "score")
        self.doing = DOING["SUBMITTED"]
        self.best: float | None = None
        self.best_model = ""
        self.rung_of_best = ""
        self.used = {"cpu_seconds": 0.0, "joules": 0.0, "trials": 0.0}
        self.n_failed = 0
        self.eta_seconds: float | None = None

    def told(self, event: JobEvent) -> list[str]:
        """Take an event in; what is worth a line of its own."""
        if event.kind == "state":
            return self._moved(event.data)
        if event.kind == "trial":
            return self._tried(event.data)
        if event.kind == "phase":
            self.doing = AFTER.get(str(event.data.get("name")), self.doing)
            self.eta_seconds = None
            return []
        if event.kind == "warning":
            return [f"warning: {event.data.get('detail', event.data.get('code'))}"]
        if event.kind == "end":
            problem = event.data.get("problem") or {}
            reason = event.data.get("stop_reason") or problem.get("detail") or ""
            state = str(event.data.get("state", "ended"))
            return [f"{state.lower()}: {reason}" if reason else state.lower()]
        return []

    def _moved(self, data: Json) -> list[str]:
        state = str(data.get("state"))
        if data.get("cancel_requested"):
            doing = "stopping after the current trial, the best model so far is kept"
        elif data.get("pause_requested"):
            doing = "pausing after the current trial"
        else:
            doing = DOING.get(state, state.lower())
        reason, start = data.get("reason"), data.get("start_at")
        if reason:
            doing = str(reason) if state == "PLANNED" else f"{doing}: {reason}"
        elif state in ("PLANNED", "PAUSED") and start:
            doing += f" at {moment(str(start))}"
        changed = doing != self.doing or state == "RUNNING"
        self.doing, self.eta_seconds = doing, None
        return [doing] if changed else []

    def _tried(self, data: Json) -> list[str]:
        cost, score = data.get("cost") or {}, data.get("score")
        self.used["trials"] += 1
        for name in ("cpu_seconds", "joules"):
            self.used[name] += cost.get(name) or 0.0
        rung = str(data.get("rung", ""))
        self.doing, self.eta_seconds = rung, data.get("eta_seconds")
        model = str((data.get("candidate") or {}).get("model", ""))
        line = f"trial {data.get('number', 0):>3}  {rung:<10}  {model:<11} "
        line += f"{data.get('n_rows', 0):>9,} rows  "
        if score is None:
            if data.get("error"):
                self.n_failed += 1
                return [f"{line}failed"]
            return [line.rstrip()]
        # Scores of two rungs do not compare: each begins anew.
        if self.best is not None and rung == self.rung_of_best and score <= self.best:
            return []
        self.best, self.best_model, self.rung_of_best = score, model, rung
        return [f"{line}{self.metric} {score:.3f}"]

    def line(self) -> str:
        """Where it is, in one line."""
        parts = [self.doing]
        n_trials = int(self.used["trials"])
        if n_trials:
            failed = f", {self.n_failed} failed" if self.n_failed else ""
            parts.append(f"{n_trials} trial{'s' * (n_trials > 1)}{failed}")
            parts.append(f"{self.used['joules']:,.3g} J")
        if self.best is not None:
            parts.append(f"best {self.metric} {self.best:.3f} {self.best_model}")
        if self.eta_seconds:
            parts.append(f"at most {lasting(self.eta_seconds)} left")
        return "  ".join(parts)

    def share(self) -> tuple[str, float] | None:
        """The limit that is nearest, and how much of it is used; None where there is none."""
        shares = [
            (self.used[name] / limit, name, limit)
            for name, limit in self.limits.items()
            if name in self.used
        ]
        if not shares:
            return None
        share, name, limit = max(shares)
        return f"of {limit:g} {UNITS[name]}", min(share, 1.0)


class Shown:
    """A job's progress on a console, from `__enter__` to `__exit__`."""

    def __init__(self, job: Mapping[str, Any], console: Console) -> None:
        self.progress = Progress(job)
        self.console = console
        # In a notebook each refresh would be an output of its own.
        moves = console.is_terminal and not console.is_jupyter
        self._spinner = Spinner("dots")
        self._live = (
            Live(get_renderable=self._render, console=console, refresh_per_second=5, transient=True)
            if moves
            else None
        )

    def __enter__(self) -> Shown:
        """Begin to show it."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the moving line away."""
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: JobEvent) -> None:
        """Show an event."""
        for line in self.progress.told(event):
            self.console.print(Text(line, style="dim"), soft_wrap=self._live is None)

    def _render(self) -> Group:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, Text(self.progress.line(), no_wrap=True, overflow="ellipsis"))
        share = self.progress.share()
        if share is None:
            return Group(line)
        bar = Table.grid(padding=(0, 1))
        shown = ProgressBar(total=1.0, completed=share[1], width=BAR_WIDTH)
        bar.add_row("  ", shown, f"{100 * share[1]:.0f} % {share[0]}")
        return Group(line, bar)


def watch(client: FrugalClient, job: Mapping[str, Any], *, show: bool | None = None) -> Json:
    """The job once it has ended, its progress shown on stderr.

    Absent, `show` is whether a person looks on: a terminal or a notebook.
    """
    console = Console(stderr=True, highlight=False)
    if not (console.is_terminal or console.is_jupyter if show is None else show):
        return client.wait(str(job["id"]))
    with Shown(job, console) as shown:
        return client.wait(str(job["id"]), on_event=shown)


def moment(text: str) -> str:
    """A moment of an answer, to the minute.

    >>> moment("2026-11-23T02:30:00Z")
    '2026-11-23 02:30 UTC'
    """
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def lasting(seconds: float) -> str:
    """How long, in words.

    >>> lasting(8.2), lasting(95), lasting(9000)
    ('9 s', '2 min', '2.5 h')
    """
    if seconds < 60:
        return f"{int(seconds) + 1} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
