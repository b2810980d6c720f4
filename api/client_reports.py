"""What `FrugalClient` can ask to read and to pass on: model cards and frugality reports."""

from __future__ import annotations

from typing import Any, Literal

from api.client_calls import Calls, Json, given, path_of

Form = Literal["markdown", "html"]


class ReportCalls(Calls):
    """Model cards and frugality reports."""

    def card(self, model: str, *, version: int | None = None) -> Json:
        """The model card."""
        return self._json("GET", path_of("models", model, "card"), params=given(version=version))

    def card_text(self, model: str, *, version: int | None = None, form: Form = "markdown") -> str:
        """The model card as Markdown, or as one page of HTML."""
        return self._text(path_of("models", model, "card"), form, version=version)

    def frugality(
        self,
        job_id: str | None = None,
        *,
        model: str | None = None,
        version: int | None = None,
        machine: tuple[float, float, int] | None = None,
    ) -> Json:
        """The frugality report of a job, or of the job that made a model.

        Parameters
        ----------
        job_id, model : str, optional
            One of them.
        version : int, optional
            Of the model; absent: the one that answers.
        machine : tuple, optional
            Kilograms of CO2e of its making, years of its life, its cores: then the software carbon
            intensity includes them.

        Raises
        ------
        ValueError
            Neither a job nor a model, or both.
        """
        path, params = _report_of(job_id, model, version, machine)
        return self._json("GET", path, params=params)

    def frugality_text(
        self,
        job_id: str | None = None,
        *,
        model: str | None = None,
        version: int | None = None,
        machine: tuple[float, float, int] | None = None,
        form: Form = "markdown",
    ) -> str:
        """The frugality report as Markdown, or as one page of HTML that can be printed and sent."""
        path, params = _report_of(job_id, model, version, machine)
        return self._text(path, form, **params)

    def _text(self, path: str, form: Form, **params: Any) -> str:
        params = given(**params, format=form)
        headers = {"Accept": f"text/{form}"}
        with self._request("GET", path, params=params, headers=headers) as answer:
            return answer.content.decode()


def _report_of(
    job_id: str | None,
    model: str | None,
    version: int | None,
    machine: tuple[float, float, int] | None,
) -> tuple[str, Json]:
    """Path and query of a frugality report.

    >>> _report_of(None, "bank", 2, (300.0, 4.0, 8))[0]
    '/v1/models/bank/frugality'
    """
    if (job_id is None) == (model is None):
        raise ValueError("name a job or a model")
    path = path_of(*(("jobs", job_id) if job_id is not None else ("models", str(model))))
    kilograms, years, cores = machine or (None, None, None)
    params = given(version=version, embodied_kg=kilograms, lifespan_years=years, cores=cores)
    return f"{path}/frugality", params
