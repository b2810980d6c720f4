"""`frugal run` and `frugal plan`: from a file to a model and its bill, and what that would take."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import cli_request as asked
from api.cli_datasets import added, candidate_names, summary
from api.cli_files import Option, reading_options
from api.cli_service import Own, Token, Url, is_own, service
from api.cli_shared import INTERRUPTED, JOB_FAILED, AsJson, complain, minute, show, show_table

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
Spec = Annotated[
    typer.FileText | None,
    typer.Option(
        help="JSON that says what several tables are to each other.",
        rich_help_panel=asked.DATA,
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(help="Name of the data set.", rich_help_panel=asked.DATA, show_default=False),
]


def run(
    data: Data,
    target: asked.Target = None,
    positive: asked.Positive = None,
    exclude: asked.Exclude = None,
    spec: Spec = None,
    name: Name = None,
    option: Option = None,
    time_column: asked.TimeColumn = None,
    gap: asked.Gap = None,
    group_column: asked.GroupColumn = None,
    metric: asked.Goal = None,
    alert_rate: asked.AlertRate = None,
    recall: asked.Recall = None,
    missed_cost: asked.MissedCost = None,
    alert_cost: asked.AlertCost = None,
    predictions_per_day: asked.PerDay = None,
    limit_gco2e: asked.LimitGrams = None,
    limit_joules: asked.LimitJoules = None,
    limit_cpu_seconds: asked.LimitCpu = None,
    limit_seconds: asked.LimitSeconds = None,
    limit_trials: asked.LimitTrials = None,
    mode: asked.HowMuch = None,
    low_carbon: asked.LowCarbon = False,
    deadline: asked.Deadline = None,
    zone: asked.Zone = None,
    seed: asked.Seed = None,
    model: asked.ModelName = None,
    request: asked.More = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and do not wait for it.")
    ] = False,
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Upload a table, search for a model, and print the leaderboard and the bill.

    Without a configured service it starts one of its own, which keeps data and models in
    ./frugal-data. Ctrl-C stops such a search and keeps the best model so far; a search on a
    configured service goes on without us.
    """
    mine = is_own(url, token, own)
    if mine and detach:
        raise typer.BadParameter(
            "a service of our own ends with this command: --detach needs FRUGAL_URL",
            param_hint="--detach",
        )
    body = {
        "time_column": time_column,
        "gap": gap,
        "group_column": group_column,
        "objective": asked.said(
            metric=metric and metric.value,
            alert_rate=alert_rate,
            recall=recall,
            missed_cost=missed_cost,
            alert_cost=alert_cost,
            predictions_per_day=predictions_per_day,
        ),
        "limits": asked.said(
            gco2e=limit_gco2e,
            joules=limit_joules,
            cpu_seconds=limit_cpu_seconds,
            wall_seconds=limit_seconds,
            trials=limit_trials,
        ),
        "when": asked.when_of(
            low_carbon=low_carbon, deadline=deadline, zone=zone, now=datetime.now(UTC)
        ),
        "mode": mode and mode.value,
        "seed": seed,
        "model": model,
        "exclude": exclude or None,
        "target": target,
    }
    options = reading_options(option)
    check_there(data, spec)
    with service(url, token, own, makes=True, works=True) as client:
        body = {**(asked.said(**body) or {}), **asked.further(request)}
        dataset, profile = _dataset(client, data, name=name, spec=spec, options=options)
        body["dataset"] = dataset["id"]
        _name_target(body, dataset, profile, positive)
        job = client.submit(body)
        if detach:
            typer.echo(json.dumps(job) if as_json else job.id)
            return
        if not as_json:
            typer.secho(f"{dataset['name']}: {summary(dataset, profile)}", dim=True, err=True)
        for warning in job["warnings"]:
            complain(f"warning: {warning.get('detail', warning.get('code'))}")
        found = waited(client, job, own=mine)
        print_found(client, found, as_json=as_json)
        if not as_json and found["state"] == "DONE":
            where = "" if own is None else f" --data-dir {own}"
            # Rows of a file have no tables around them; those of a data set do.
            rows = "NEW.csv" if dataset["spec"] is None else "DATASET -o scores.csv"
            typer.echo(f"\nfrugal predict {found['model']} {rows}{where}   predicts with it")


def plan(
    data: Data,
    target: asked.Target = None,
    positive: asked.Positive = None,
    exclude: asked.Exclude = None,
    spec: Spec = None,
    name: Name = None,
    option: Option = None,
    limit_gco2e: asked.LimitGrams = None,
    limit_joules: asked.LimitJoules = None,
    limit_cpu_seconds: asked.LimitCpu = None,
    limit_seconds: asked.LimitSeconds = None,
    limit_trials: asked.LimitTrials = None,
    mode: asked.HowMuch = None,
    low_carbon: asked.LowCarbon = False,
    deadline: asked.Deadline = None,
    zone: asked.Zone = None,
    request: asked.More = None,
    url: Url = "",
    token: Token = "",
    own: Own = None,
    as_json: AsJson = False,
) -> None:
    """Say when a search would run, what it would take, and what waiting saves. Nothing is run."""
    body = {
        "limits": asked.said(
            gco2e=limit_gco2e,
            joules=limit_joules,
            cpu_seconds=limit_cpu_seconds,
            wall_seconds=limit_seconds,
            trials=limit_trials,
        ),
        "when": asked.when_of(
            low_carbon=low_carbon, deadline=deadline, zone=zone, now=datetime.now(UTC)
        ),
        "mode": mode and mode.value,
        "exclude": exclude or None,
        "target": target,
    }
    options = reading_options(option)
    check_there(data, spec)
    with service(url, token, own, makes=True) as client:
        body = {**(asked.said(**body) or {}), **asked.further(request)}
        dataset, profile = _dataset(client, data, name=name, spec=spec, options=options)
        body["dataset"] = dataset["id"]
        _name_target(body, dataset, profile, positive)
        found = client.plan(body)
    if as_json:
        typer.echo(json.dumps(found))
        return
    _show_plan(found)


def check_there(data: str, spec: typer.FileText | None) -> None:
    """Say that a file is not there before a service is started for it. Raises BadParameter."""
    from api.client_jobs import is_id

    path = Path(data)
    if spec is None and not is_id(data) and not path.is_file():
        what = "is a folder: say --spec" if path.is_dir() else "is no file, and no id of a data set"
        raise typer.BadParameter(f"{data!r} {what}", param_hint="DATA")


def _dataset(
    client: FrugalClient,
    data: str,
    *,
    name: str | None,
    spec: typer.FileText | None,
    options: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    from api.client_jobs import dataset_of, is_id

    if spec is None and is_id(data):
        dataset = dataset_of(client, data)
    else:
        dataset = added(client, Path(data), name=name, spec=spec, options=options)
    return dataset, client.profile(dataset["id"])


def _name_target(
    body: dict[str, Any],
    dataset: Mapping[str, Any],
    profile: Mapping[str, Any],
    positive: list[str] | None,
) -> None:
    """Put the positive value in as its column has it. Raises DataError without a target."""
    from automl.errors import DataError

    if "target" not in body and dataset.get("spec") is None:
        known = candidate_names(profile)
        hint = f"; it could be {', '.join(map(repr, known[:5]))}" if known else ""
        raise DataError(f"name the column to predict with --target{hint}", code="target_needed")
    target = str(body.get("target", (dataset.get("spec") or {}).get("target")))
    value = asked.typed(positive, profile["columns"], target)
    if value is not None:
        body["positive"] = value


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
    made = any(row["picks"] for row in rows)
    if as_json:
        typer.echo(json.dumps({"job": job, "leaderboard": rows, "receipt": receipt}))
    else:
        from api.report import leaderboard_table, picks_table, receipt_table

        if made:
            show(leaderboard_table(rows), "", picks_table(rows), "")
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
        show_table(("start", "end", "g/kWh", "mgCO2e", "saves, mg"), rows, empty="")
    for warning in plan["warnings"]:
        complain(f"warning: {warning.get('detail', warning.get('code'))}")
