"""A search's journal in the store: what makes a job resumable by anybody, anywhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from automl.cost import Cost
from automl.trial import Proposal, Trial
from scheduler.artifacts import ArtifactStore
from scheduler.clock import Clock
from scheduler.errors import Conflict
from scheduler.store import Store

if TYPE_CHECKING:
    from automl.search.journal import Arrays, Begun


class StoreJournal:
    """The trials of one job under one epoch; whoever lost the job can write nothing.

    Out-of-fold arrays are artifacts ``jobs/<job>/<number>.npz``, written before the row that says
    that the trial ended. A number is begun by one epoch only, so no two workers write one file.

    Parameters
    ----------
    progress : called with the trial and the CPU-seconds expected when one begins, and with
        (None, 0) when it ended.
    on_cancel : called when a write finds that the job's cancellation was asked for.
    """

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        *,
        job_id: str,
        epoch: int,
        clock: Clock,
        progress: Callable[[int | None, float], None] = lambda number, seconds: None,
        on_cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._artifacts = store, artifacts
        self._job_id, self._epoch, self._clock = job_id, epoch, clock
        self._progress, self._on_cancel = progress, on_cancel

    def finished(self) -> Sequence[Trial]:
        """Return every ended trial, failed ones too, ordered by number."""
        return [one.trial for one in self._store.trials(self._job_id) if one.trial is not None]

    def interrupted(self) -> Begun | None:
        """Return the trial that was begun and never ended: its process died."""
        from automl.search.journal import Begun

        found = self._store.running_trial(self._job_id)
        if found is None:
            return None
        return Begun(number=found.number, proposal=found.proposal, expected=found.expected)

    def begin(self, number: int, proposal: Proposal, expected: Cost) -> None:
        """Write down that a trial starts.

        Raises
        ------
        ValueError
            The number was begun before, or another trial has not ended.
        LostLease
            The job is somebody else's now.
        """
        running = self._store.running_trial(self._job_id)
        if running is not None:
            raise ValueError(f"trial {running.number} has not ended")
        try:
            cancel_requested = self._store.begin_trial(
                self._job_id,
                epoch=self._epoch,
                number=number,
                proposal=proposal,
                expected=expected,
                now=self._clock(),
            )
        except Conflict as error:
            raise ValueError(f"trial {number} was begun before") from error
        if cancel_requested:
            self._on_cancel()
        self._progress(number, expected.cpu_seconds)

    def end(self, trial: Trial, out_of_fold: Arrays | None) -> None:
        """Write down what came of the begun trial; durable when this returns.

        Raises
        ------
        ValueError
            The trial was not begun, or has ended before.
        LostLease
            The job is somebody else's now.
        """
        running = self._store.running_trial(self._job_id)
        if running is None or running.number != trial.number:
            raise ValueError(f"trial {trial.number} is not the one that was begun")
        if out_of_fold is not None:
            import numpy as np

            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **dict(out_of_fold))
            self._artifacts.put_stream(self._key(trial.number), [buffer.getvalue()])
        if self._store.end_trial(self._job_id, epoch=self._epoch, trial=trial, now=self._clock()):
            self._on_cancel()
        self._progress(None, 0.0)

    def out_of_fold(self, number: int) -> Arrays | None:
        """Return the arrays given to `end`, bit for bit; None when there were none."""
        import numpy as np

        key = self._key(number)
        if not self._artifacts.exists(key):
            return None
        with self._artifacts.open(key) as file:
            content = io.BytesIO(file.read())
        found: dict[str, Any] = {}
        with np.load(content, allow_pickle=False) as arrays:
            for name in arrays.files:
                found[name] = arrays[name]
        return found

    def _key(self, number: int) -> str:
        return f"jobs/{self._job_id}/{number}.npz"
