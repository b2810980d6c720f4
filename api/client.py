"""A client of the service: `FrugalClient(url, token)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.client_calls import JobEvent, Json, ServiceError, ServiceUnreachable, path_of
from api.client_carbon import CarbonCalls
from api.client_handle import Job, JobFailed
from api.client_jobs import DatasetInvalid, JobCalls, asked_for, dataset_of
from api.client_models import ModelCalls, PredictionWarning
from api.client_schedules import ScheduleCalls
from api.client_tables import TableCalls
from api.client_uploads import UploadBroken

__all__ = [
    "DatasetInvalid",
    "FrugalClient",
    "Job",
    "JobEvent",
    "JobFailed",
    "PredictionWarning",
    "ServiceError",
    "ServiceUnreachable",
    "UploadBroken",
]


class FrugalClient(ScheduleCalls, CarbonCalls, TableCalls, JobCalls, ModelCalls):
    """Talks to one service as one project.

    What means the same when it is sent twice is sent again when the service is busy or away for a
    moment; so is a job, with an Idempotency-Key, so that a retry never makes a second one.

    Parameters
    ----------
    url : str
        Address of the service, e.g. ``http://127.0.0.1:8080``.
    token : str
        Bearer token.
    timeout : float
        Seconds to wait for an answer.

    Raises
    ------
    ServiceError
        From every method: the service answered with a problem.
    ServiceUnreachable
        From every method: nothing answers.
    """

    def __enter__(self) -> FrugalClient:
        """Use as a context that closes the connections at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def run(
        self,
        data: Any,
        *,
        target: str | None = None,
        positive: Any = None,
        exclude: Sequence[str] = (),
        objective: Mapping[str, Any] | None = None,
        limits: Mapping[str, float] | None = None,
        when: Mapping[str, Any] | None = None,
        model: str | None = None,
        mode: str | None = None,
        seed: int | None = None,
        more: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        name: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Job:
        """Hand over data and ask for a search; `job.wait()` returns when it has ended.

        Parameters
        ----------
        data : path, table, spec, data set or its id
            What is not there yet is uploaded: a file, a table of pandas, polars or Arrow, or with
            `files` the tables of a spec.
        target : str, optional
            Column that says whether the event happened; a spec may say it itself.
        positive : optional
            Value of the target that is the rare event; needed unless it has 0 and 1.
        exclude : sequence of str
            Columns not to learn from, e.g. those known only afterwards.
        objective, limits, when : mapping, optional
            What a good model is, where the search must stop, and when it may run.
        model : str, optional
            Name of the model; absent: from the data set's name and the target.
        mode : str, optional
            ``eco``, ``balanced`` or ``best``.
        seed : int, optional
            The same seed on the same data gives the same champion.
        more : mapping, optional
            Further fields of a job, as POST /v1/jobs has them.
        files : mapping, optional
            Of a spec: by table a path, or a table of pandas, polars or Arrow.
        name, options : optional
            What the data set is called, and how its file is read.

        Raises
        ------
        DatasetInvalid
            A file could not be read.
        """
        dataset = dataset_of(self, data, files=files, name=name, options=options)
        return self.submit(
            asked_for(
                dataset["id"],
                target=target,
                positive=positive,
                exclude=exclude,
                objective=objective,
                limits=limits,
                when=when,
                model=model,
                mode=mode,
                seed=seed,
                more=more,
            )
        )

    def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Ask for a search; the same key with the same request gives the same job."""
        return Job(self, self._submitted(request, idempotency_key))

    def jobs(self, *, state: str | None = None) -> list[Job]:
        """Every job of the project, newest first."""
        params = {} if state is None else {"state": state}
        return [Job(self, one) for one in self._pages("/v1/jobs", **params)]

    def job(self, job_id: str) -> Job:
        """One job."""
        return Job(self, self._json("GET", path_of("jobs", job_id)))

    def cancel(self, job_id: str) -> Job:
        """Stop a job; it keeps the best model so far."""
        return self._told(job_id, "cancel")

    def pause(self, job_id: str) -> Job:
        """Ask a job to pause after its current trial; it waits until `resume`."""
        return self._told(job_id, "pause")

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on; never retried."""
        return Job(self, self._json("POST", path_of("jobs", job_id, "resume")))

    def _told(self, job_id: str, verb: str) -> Job:
        return Job(self, self._again("POST", path_of("jobs", job_id, verb)))

    def wait(self, job_id: str, *, on_event: Callable[[JobEvent], None] | None = None) -> Json:
        """The job once it has ended; `on_event` is called with each event on the way."""
        for event in self.events(job_id):
            if on_event is not None:
                on_event(event)
        return self.job(job_id)
