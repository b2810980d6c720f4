"""`frugal run` and `frugal plan`: from a file to a model and its bill, and what that would take."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_datasets import added, candidate_names, summary
from api.cli_files import check_there, reading_options
from api.cli_options import spread
from api.cli_request import Asked, typed
from api.cli_service import At, service
from api.cli_shared import (
    INTERRUPTED,
    JOB_FAILED,
    AsJson,
    complain,
    minute,
    plain_errors,
    show,
    show_table,
    warn,
)

if TYPE_CHECKING:
    from api.client import FrugalClient, Job

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A file, or the id of a data set. With --spec the folder of its files.",
        show_default=False,
    ),
]


@spread
def run(
    data: Data,
    asked: Asked,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and do not wait for it.")
    ] = False,
    *,
    at: At,
    as_json: AsJson = False,
) -> None:
    """Upload a table, search for a model, and print the leaderboard and the bill.

    Without a configured service it starts one of its own, which keeps data and models in
    ./frugal-data. Ctrl-C stops such a search and keeps the best model so far; a search on a
    configured service goes on without us.
    """
    if at.is_own and detach:
        raise typer.BadParameter(
            "a service of our own ends with this command: --detach needs FRUGAL_URL",
            param_hint="--detach",
        )
    body = _checked(data, asked)
    with service(at, makes=True, works=True) as client:
        dataset, profile = _dataset(client, data, asked)
        job = client.submit(_of(dataset, profile, body, asked.positive))
        if detach:
            typer.echo(json.dumps(job) if as_json else job.id)
            return
        if not as_json:
            typer.secho(f"{dataset['name']}: {summary(dataset, profile)}", dim=True, err=True)
        warn(job["warnings"])
        found = waited(client, job, own=at.is_own)
        print_found(client, found, as_json=as_json)
        if not as_json and found["state"] == "DONE":
            where = "" if at.own is None else f" --data-dir {at.own}"
            # Rows of a file have no tables around them.
            several = dataset["spec"] is not None
            rows = "FOLDER --spec SPEC.json -o scores.csv" if several else "NEW.csv"
            typer.echo(f"\nfrugal predict {found['model']} {rows}{where}   predicts with it")


@spread
def plan(data: Data, asked: Asked, at: At, as_json: AsJson = False) -> None:
    """Say when a search would run, what it would take, and what waiting saves. Nothing is run.

    It takes the options of `frugal run`.
    """
    body = _checked(data, asked)
    with service(at, makes=True) as client:
        dataset, profile = _dataset(client, data, asked)
        found = client.plan(_of(dataset, profile, body, asked.positive))
        if as_json:
            typer.echo(json.dumps(found))
        else:
            _show_plan(found)


def _checked(data: str, asked: Asked) -> dict[str, Any]:
    """The body of the request, before a service is started for what cannot be."""
    from api.client_jobs import is_id

    if asked.spec is not None or not is_id(data):
        check_there(data, asked.spec, hint="DATA", other=", and no id of a data set")
    reading_options(asked.option)
    with plain_errors():
        return asked.body(now=datetime.now(UTC))


def _dataset(
    client: FrugalClient, data: str, asked: Asked
) -> tuple[dict[str, Any], dict[str, Any]]:
    from api.client_jobs import dataset_of, is_id

    if asked.spec is None and is_id(data):
        dataset = dataset_of(client, data)
    else:
        options = reading_options(asked.option)
        dataset = added(client, Path(data), name=asked.name, spec=asked.spec, options=options)
    return dataset, client.profile(dataset["id"])


def _of(
    dataset: Mapping[str, Any],
    profile: Mapping[str, Any],
    body: Mapping[str, Any],
    positive: list[str] | None,
) -> dict[str, Any]:
    """The request, with the positive value as its column has it.

    Raises DataError ``target_needed``.
    """
    from automl.errors import DataError

    if "target" not in body and dataset.get("spec") is None:
        known = candidate_names(profile)
        hint = f"; it could be {', '.join(map(repr, known[:5]))}" if known else ""
        raise DataError(
            f"name the column to predict with --target{hint}; or rank rows without labels with "
            "--no-target",
            code="target_needed",
        )
    target = str(body.get("target", (dataset.get("spec") or {}).get("target")))
    value = typed(positive, profile["columns"], target)
    given = {} if value is None else {"positive": value}
    return {**body, **given, "dataset": dataset["id"]}


def waited(client: FrugalClient, job: Job, *, own: bool) -> dict[str, Any]:
    """The job once it has ended, its progress on stderr.

    Ctrl-C asks a service of our own to stop and keep the best so far, and ends the command the
    second time; a configured service's job is left alone. Raises Exit.
    """
    from api.client_watch import watch

    try:
        return watch(client, job, show=True)
    except KeyboardInterrupt:
        if not own:
            complain(
                f"\nleft alone: the job goes on. `frugal jobs watch {job.id}` looks again, "
                f"`frugal jobs cancel {job.id}` stops it"
            )
            raise typer.Exit(INTERRUPTED) from None
    complain("\nstopping after the current trial, keeping the best so far; Ctrl-C again ends now")
    try:
        client.cancel(job.id)
        return watch(client, job, show=False)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service is ended in order
        raise typer.Exit(INTERRUPTED) from None


def print_found(client: FrugalClient, job: Mapping[str, Any], *, as_json: bool) -> None:
    """Leaderboard and receipt of a job that has ended. Raises Exit where it made no model."""
    rows, receipt = client.leaderboard(job["id"]), client.receipt(job["id"])
    picked = any(row["picks"] for row in rows)
    # A ranking without labels is a model that nothing was chosen by.
    made = picked or job.get("model_version") is not None
    if as_json:
        typer.echo(json.dumps({"job": job, "leaderboard": rows, "receipt": receipt}))
    else:
        from api.report import leaderboard_table, picks_table, receipt_table

        if picked:
            show(leaderboard_table(rows), "", picks_table(rows), "")
        elif made:
            show(leaderboard_table(rows), "")
        show(receipt_table(receipt))
        problem = job["problem"] or {}
        if job["state"] != "DONE":
            complain(f"{job['state']}: {problem.get('detail') or job['stop_reason']}")
    if not made:
        raise typer.Exit(JOB_FAILED)


def _show_plan(plan: Mapping[str, Any]) -> None:
    expected = plan["expected"]
    typer.echo(plan["reason"])
    from api.report import number

    grams = "" if plan["gco2e"] is None else f", {number(1000 * plan['gco2e'])} mg of CO2e"
    typer.echo(
        f"expected: {expected['cpu_seconds']:.0f} CPU-s (19 of 20 take less than "
        f"{expected['p95_cpu_seconds']:.0f}), {number(expected['kwh'])} kWh{grams}"
    )
    if plan["source"]:
        typer.echo(f"forecast: {plan['source']}")
    rows = [
        (
            minute(one["start"]),
            minute(one["end"]),
            f"{one['grams_per_kwh']:.0f}",
            number(1000 * one["gco2e"]),
            number(1000 * one["saving_gco2e"]),
        )
        for one in plan["alternatives"]
    ]
    if rows:
        show_table(("start", "end", "g/kWh", "mgCO2e", "saves, mg"), rows)
    warn(plan["warnings"])
