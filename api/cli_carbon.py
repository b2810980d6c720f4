"""`frugal carbon`: what a service's work took and emitted, and how clean the grid is now."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_service import Answer, asks
from api.cli_shared import minute, table

if TYPE_CHECKING:
    from api.client import FrugalClient

carbon_app = typer.Typer(
    help="What a running service's work took and emitted, and the grid.", no_args_is_help=True
)


class Group(StrEnum):
    """As `scheduler.ledger.GROUPS` has them, without importing it."""

    job = "job"
    dataset = "dataset"
    phase = "phase"
    day = "day"
    schedule = "schedule"


@carbon_app.command("ledger", epilog="Example:  frugal carbon ledger --by day --from 2026-11-01")
@asks()
def ledger(
    client: FrugalClient,
    by: Annotated[Group | None, typer.Option(help="Sum by this (default: single lines).")] = None,
    first_day: Annotated[str | None, typer.Option("--from", help="First day, in UTC.")] = None,
    last_day: Annotated[
        str | None, typer.Option("--to", help="Last day, in UTC, included.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Id of a job.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Id of a data set.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Id of a schedule.")] = None,
    phase: Annotated[str | None, typer.Option(help="E.g. search or refit.")] = None,
) -> Answer:
    """Show the bill of the token's project: energy, emissions, and what waiting saved."""
    asked = {
        "from": first_day,
        "to": last_day,
        "job": job,
        "dataset": dataset,
        "schedule": schedule,
        "phase": phase,
    }
    chosen = {name: value for name, value in asked.items() if value is not None}
    found = client.ledger(group_by=None if by is None else by.value, **chosen)
    columns = ("day", "phase", "job") if by is None else (by.value,)
    figures = ("kwh", "grams_per_kwh", "gco2e", "saved_by_later_gco2e")
    rows = [
        (
            *((one["day"], one["phase"], one["job"]) if by is None else (one["key"] or "(none)",)),
            *(_number(one[name]) for name in figures),
        )
        for one in found["items"]
    ]
    if rows:
        total = [_number(found["total"][name]) for name in figures]
        rows.append(("total", *[""] * (len(columns) - 1), *total))
    head = (*columns, "kWh", "g/kWh", "gCO2e", "saved by waiting, g")
    return found, table(head, rows, empty="nothing was spent that fits")


def _number(value: float | None) -> str:
    """Four digits; below 0 a wait was dirtier, and is shown so.

    >>> _number(0.00012345), _number(-2.5), _number(None)
    ('0.0001234', '-2.5', '')
    """
    return "" if value is None else f"{value:.4g}"


@carbon_app.command("now", epilog="Example:  frugal carbon now --zone DE")
@asks()
def now(
    client: FrugalClient,
    zone: Annotated[str | None, typer.Option(help="Zone (default: the service's own).")] = None,
) -> Answer:
    """Show the newest carbon intensity that is known of a zone, and whose it is."""
    found = client.intensity(zone)
    estimated = ", estimated" if found["is_estimated"] else ""
    return found, (
        f"{found['zone']}: {found['grams_per_kwh']:.0f} g/kWh from {minute(found['start'])} to "
        f"{minute(found['end'])} ({found['source']}, {found['factor_type']}{estimated})"
    )


@carbon_app.command("zones", epilog="Example:  frugal carbon zones --json")
@asks()
def zones(client: FrugalClient) -> Answer:
    """List the zones that a job may name; those with a profile differ by hour without a network."""
    found = client.zones()
    rows = [(one["code"], one["name"], "yes" if one["profile"] else "") for one in found["items"]]
    return found, table(("zone", "name", "profile"), rows)
