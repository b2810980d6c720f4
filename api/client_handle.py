"""A job as one holds it in Python: wait for it, read it, plot it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from api.client_calls import JobEvent, Json
from api.client_frames import to_table
from automl.errors import FrugalError

if TYPE_CHECKING:
    import altair

    from api.client import FrugalClient

FAILED = ("FAILED", "QUARANTINED")
ENDED = ("DONE", "CANCELLED", *FAILED)


class JobFailed(FrugalError):
    """The job ended without a model; `job` is what is known of it."""

    code = "job_failed"

    def __init__(self, job: Mapping[str, Any]) -> None:
        problem = job.get("problem") or {}
        reason = problem.get("detail") or job.get("stop_reason") or "no reason is known"
        super().__init__(f"job {job['id']} ended {job['state']}: {reason}")
        self.job = dict(job)


class Job(dict[str, Any]):
    """A job as the service answered it, a dictionary, with what can be asked of it.

    `job["state"]` is as old as the last answer: `refresh`, and `wait`, ask again.
    """

    def __init__(self, client: FrugalClient, answer: Json) -> None:
        super().__init__(answer)
        self._client = client

    def __repr__(self) -> str:
        """Id, state and model."""
        return f"<Job {self.id} {self.state}, model {self.get('model')!r}>"

    @property
    def id(self) -> str:
        """Its id."""
        return str(self["id"])

    @property
    def state(self) -> str:
        """SUBMITTED, PLANNED, RUNNING, PAUSED, DONE, FAILED, CANCELLED or QUARANTINED."""
        return str(self.get("state"))

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    def refresh(self) -> Job:
        """Ask for its state now."""
        return self._renewed(self._client.job(self.id))

    def wait(
        self,
        *,
        progress: bool | None = None,
        on_event: Callable[[JobEvent], None] | None = None,
    ) -> Job:
        """Return when it has ended.

        Parameters
        ----------
        progress : bool, optional
            Show how far it is; absent: where a person looks on, that is on a terminal and in a
            notebook.
        on_event : callable, optional
            Is told each event instead, and nothing is shown.

        Raises
        ------
        JobFailed
            It ended without a model.
        """
        from api.client_watch import watch

        if on_event is None:
            ended = watch(self._client, self, show=progress)
        else:
            ended = self._client.wait(self.id, on_event=on_event)
        self._renewed(ended)
        if self.state in FAILED:
            raise JobFailed(self)
        return self

    def events(self) -> Iterator[JobEvent]:
        """What happens to it, as it happens, from its beginning to its end."""
        return self._client.events(self.id)

    def leaderboard(self, *, sort: str = "score", front: bool = False) -> Any:
        """Its finished trials, best first: a pandas DataFrame where pandas is, else a list."""
        return to_table(self._client.leaderboard(self.id, sort=sort, front=front))

    def receipt(self) -> Json:
        """What it took, by phase: CPU-seconds, kWh, gCO2e, and what was saved."""
        return self._client.receipt(self.id)

    def frugality(self) -> Json:
        """Its frugality report: what it read and left unread, took, emitted and saved."""
        return self._client.frugality(self.id)

    def plot(self) -> altair.Chart | altair.LayerChart:
        """Quality against emissions of every trial, the front drawn; needs the extra `plot`.

        Raises
        ------
        ImportError
            Altair is not installed.
        """
        from api.client_plot import front_chart

        return front_chart(self._client.leaderboard(self.id))

    def cancel(self) -> Job:
        """Stop it; it keeps the best model so far."""
        return self._renewed(self._client.cancel(self.id))

    def pause(self) -> Job:
        """Let it pause after its current trial, until `resume`."""
        return self._renewed(self._client.pause(self.id))

    def resume(self) -> Job:
        """Let it go on."""
        return self._renewed(self._client.resume(self.id))

    def _renewed(self, answer: Mapping[str, Any]) -> Job:
        self.clear()
        self.update(answer)
        return self
