"""The command `frugal`. What it needs is imported inside each verb: `frugal --help` is quick."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli_carbon import carbon_app
from api.cli_datasets import datasets_app
from api.cli_doctor import doctor
from api.cli_jobs import jobs_app
from api.cli_models import models_app
from api.cli_predict import predict
from api.cli_results import leaderboard, receipt, report
from api.cli_run import plan, run
from api.cli_schedules import schedules_app
from api.cli_shared import (
    EXIT_CODES,
    AsJson,
    DataDir,
    for_this_user_only,
    plain_errors,
    read_settings,
    stop,
    tell,
)
from api.cli_tokens import token_app

WORK, LOOK, OPERATE = "From data to a model", "What there is", "The service"

app = typer.Typer(
    name="frugal",
    help="Models for rare events, with an honest bill in kWh and gCO2e.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Settings are environment variables, e.g. FRUGAL_PORT=9000 frugal serve. {EXIT_CODES}",
)
app.command(
    "run",
    rich_help_panel=WORK,
    epilog="Examples:  frugal run customers.csv --target fragile   |   "
    "frugal run bank.csv --target y --positive yes --exclude duration --limit-cpu-seconds 60   |   "
    "frugal run tables/ --spec spec.json --deadline 08:00",
)(run)
app.command(
    "plan",
    rich_help_panel=WORK,
    epilog="Example:  frugal plan customers.csv --target fragile --deadline 8h --zone FR",
)(plan)
app.command(
    "predict",
    rich_help_panel=WORK,
    epilog="Examples:  frugal predict bank new.csv > scores.csv   |   "
    "frugal predict bank new.parquet -o scores.parquet --reasons 3   |   "
    "head -100 new.csv | frugal predict bank -",
)(predict)
app.command(
    "leaderboard",
    rich_help_panel=LOOK,
    epilog="Example:  frugal leaderboard last --front --json",
)(leaderboard)
app.command(
    "receipt", rich_help_panel=LOOK, epilog="Example:  frugal receipt last --json > receipt.json"
)(receipt)
app.command(
    "report",
    rich_help_panel=LOOK,
    epilog="Examples:  frugal report last   |   frugal report bank -o bank.html   |   "
    "frugal report bank --json > bank.json",
)(report)
for _noun, _name in (
    (datasets_app, "datasets"),
    (jobs_app, "jobs"),
    (models_app, "models"),
    (schedules_app, "schedules"),
    (carbon_app, "carbon"),
):
    app.add_typer(_noun, name=_name, rich_help_panel=LOOK)
app.command(
    "doctor",
    rich_help_panel=OPERATE,
    epilog="Example:  frugal doctor --json || echo 'something is broken'",
)(doctor)
app.add_typer(token_app, name="token", rich_help_panel=OPERATE)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the interpreter with the exit code."""
    app(args=arguments)


@app.command(
    rich_help_panel=OPERATE,
    epilog="Examples:  frugal serve   |   frugal serve --port 9000 --data-dir /srv/frugal",
)
def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address (default 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port, 0 for any (default 8080).")
    ] = None,
    without_scheduler: Annotated[
        bool, typer.Option("--without-scheduler", help="`python -m scheduler` runs the jobs.")
    ] = False,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    On the first start it prints a token; every request needs one.
    """
    with plain_errors():
        settings = read_settings(data_dir, host=host, port=port)
        from api.server import serve as run

        try:
            code = run(
                settings,
                with_scheduler=not without_scheduler,
                until_stdin_closes=until_stdin_closes,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise stop(
                f"{settings.host}:{settings.port} is taken, perhaps by a service that runs "
                "already; `frugal serve --port NUMBER` listens elsewhere"
            ) from None
    raise typer.Exit(code)


@app.command(
    rich_help_panel=WORK, epilog="Examples:  frugal demo   |   frugal demo --json > demo.json"
)
def demo(
    customers: Annotated[
        int, typer.Option(min=2000, help="Customers of the made-up bank.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same customers and search.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep everything here (default a temporary folder).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the fragile customers of a made-up bank, and see what it took.

    Starts a service of its own, uploads customers, their balances and a contact log, searches on
    one, two and all three of them, and prints the leaderboard, the three picks, the receipt, and
    what each table adds. Needs no network and about a minute.
    """
    with plain_errors():
        from api.demo import run

        run(n_customers=customers, seed=seed, data_dir=data_dir, as_json=as_json)


@app.command(rich_help_panel=OPERATE, epilog="Example:  frugal backup /backups/2026-11-22")
def backup(
    destination: Annotated[Path, typer.Argument(help="New folder to write.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy the database and all stored data and models, with their checksums.

    May run while the service does.
    """
    with plain_errors():
        from scheduler.backup import backup as copy

        with for_this_user_only():
            report = copy(read_settings(data_dir), destination, now=datetime.now(UTC))
        tell(report, as_json, f"backup in {destination}")


@app.command(
    rich_help_panel=OPERATE,
    epilog="Example:  frugal restore /backups/2026-11-22 --data-dir /srv/frugal",
)
def restore(
    source: Annotated[Path, typer.Argument(help="Folder that `frugal backup` wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty data folder; every checksum is verified.

    The service must not run.
    """
    with plain_errors():
        from scheduler.backup import restore as bring_back

        with for_this_user_only():
            report = bring_back(read_settings(data_dir), source)
        tell(report, as_json, f"restored {source}")


@app.command(rich_help_panel=OPERATE, epilog="Example:  frugal version --json")
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    number = installed("frugal-automl")
    tell({"version": number}, as_json, f"frugal {number}")
