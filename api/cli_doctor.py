"""`frugal doctor`: what is right and wrong with an installation and its service."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from api.cli_service import HERE, Token, Url
from api.cli_shared import FAILED, AsJson, DataDir, megabytes, plain_errors, read_settings, show

if TYPE_CHECKING:
    from scheduler.config import Settings

Verdict = Literal["ok", "note", "broken"]
# A service refuses uploads below this (`api.health`); below ten times of it somebody should know.
LEAST_FREE_BYTES = 64 * 2**20
FEW_FREE_BYTES = 2 * 2**30
PACKAGES = ("frugal-automl", "lightgbm", "scikit-learn", "pyarrow", "codecarbon")
EXTRAS = {"plot": "altair", "postgres": "psycopg"}
CHILD_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; broken is what a search or the service cannot do without."""

    name: str
    verdict: Verdict
    said: str


def doctor(
    data_dir: DataDir = None, url: Url = "", token: Token = "", as_json: AsJson = False
) -> None:
    """Look at meter, RAPL, intensity source, disk, versions, database, and the service.

    Nothing is changed. Ends with 1 when something is broken.
    """
    with plain_errors():
        settings = read_settings(data_dir)
        found = list(findings(settings, url=url, token=token, now=datetime.now(UTC)))
        broken = [one for one in found if one.verdict == "broken"]
        if as_json:
            typer.echo(json.dumps({"ok": not broken, "findings": [asdict(one) for one in found]}))
        else:
            _show(found)
    if broken:
        raise typer.Exit(FAILED)


def _show(found: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", "note": "yellow", "broken": "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for one in found:
        verdict = Text(one.verdict, style=styles[one.verdict])
        table.add_row(verdict, one.name, Text(one.said))
    show(table)


def findings(settings: Settings, *, url: str, token: str, now: datetime) -> Iterator[Finding]:
    """Everything that is looked at, in order."""
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("versions", versions),
        ("learning", learning),
        ("meter", lambda: meter(settings)),
        ("RAPL", rapl),
        ("intensity", lambda: intensity(settings, now=now)),
        ("disk", lambda: disk(settings)),
        ("database", lambda: database(settings)),
        ("extras", extras),
        ("service", lambda: running(url, token)),
    )
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # whatever it is: it is what was to be found out
            said = str(error) if hasattr(error, "code") else type(error).__name__
            yield Finding(name=name, verdict="broken", said=said)


def versions() -> Finding:
    """Python, and the packages that decide what a search gives."""
    found = [f"Python {platform.python_version()}", *(f"{one} {version(one)}" for one in PACKAGES)]
    return Finding(name="versions", verdict="ok", said=", ".join(found))


def learning() -> Finding:
    """LightGBM needs the system's OpenMP library, which no package brings along."""
    # In a process of its own, as everywhere: what does not load must not end this one.
    code = "import lightgbm, sklearn, pyarrow"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=CHILD_SECONDS
    )
    if done.returncode == 0:
        return Finding(name="learning", verdict="ok", said="LightGBM and scikit-learn load")
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    hint = "; on Debian: apt-get install libgomp1" if "libgomp" in last else ""
    return Finding(name="learning", verdict="broken", said=f"{last}{hint}")


def meter(settings: Settings) -> Finding:
    """What joules are measured with."""
    from automl.meters.detect import core_watts, detect_meter

    found = detect_meter(watts_per_core=settings.watts_per_core, watts_per_gb=settings.watts_per_gb)
    if found.name == "rapl":
        return Finding(name="meter", verdict="ok", said="rapl, the processor's own counters")
    if settings.watts_per_core is not None:
        said = f"{settings.watts_per_core:g} W per core, of FRUGAL_WATTS_PER_CORE"
        return Finding(name="meter", verdict="ok", said=f"CPU time at {said}")
    core = core_watts()
    said = f"CPU time at {core.watts:.3g} W per core ({core.source})"
    if core.source.startswith("default"):
        said += ": right within a factor of 2; FRUGAL_WATTS_PER_CORE says better"
        return Finding(name="meter", verdict="note", said=said)
    return Finding(name="meter", verdict="ok", said=said)


def rapl() -> Finding:
    """Whether the processor's own energy counters can be read."""
    from automl.errors import MeterUnavailable
    from automl.meters.rapl import RaplMeter

    try:
        zones = RaplMeter().zones
    except MeterUnavailable as error:
        return Finding(name="RAPL", verdict="note", said=f"not readable: {error}")
    return Finding(name="RAPL", verdict="ok", said=f"readable: {', '.join(zones)}")


def intensity(settings: Settings, *, now: datetime) -> Finding:
    """Where grams per kWh come from, and how much it is now."""
    from scheduler.carbon.sources import make_source
    from scheduler.carbon.zones import known_zone

    zone = known_zone(settings.zone)
    series = make_source(settings).latest(zone, now=now)
    reading = series.readings[-1]
    said = f"{zone}: {reading.grams_per_kwh:.0f} g/kWh by {series.source}"
    if settings.intensity and "typical" in series.source:
        said += "; no source of FRUGAL_INTENSITY answers for this zone"
        return Finding(name="intensity", verdict="note", said=said)
    if zone == "WORLD":
        said += "; FRUGAL_ZONE names the grid of this machine"
        return Finding(name="intensity", verdict="note", said=said)
    return Finding(name="intensity", verdict="ok", said=said)


def disk(settings: Settings) -> Finding:
    """Room where data and models are kept, or will be."""
    folder = Path(settings.data_dir).absolute()
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = shutil.disk_usage(place).free
    said = f"{megabytes(free)} free for {folder}"
    if not _writable(place):
        return Finding(name="disk", verdict="broken", said=f"{place} cannot be written")
    if free < LEAST_FREE_BYTES:
        return Finding(name="disk", verdict="broken", said=said)
    verdict: Verdict = "note" if free < FEW_FREE_BYTES else "ok"
    return Finding(name="disk", verdict=verdict, said=said)


def _writable(folder: Path) -> bool:
    import os

    return os.access(folder, os.W_OK | os.X_OK)


def database(settings: Settings) -> Finding:
    """Whether the store answers; none yet is none broken."""
    kind = "SQLite"
    if settings.database_url:
        kind = settings.database_url.partition(":")[0]  # the rest may hold a password
    elif not (settings.data_dir / "frugal.db").is_file():
        said = f"none yet in {settings.data_dir}: `frugal serve` or `frugal run` makes it"
        return Finding(name="database", verdict="ok", said=said)
    from scheduler.store import Store

    store = Store(settings.resolved_database_url)
    try:
        store.ping()
        states = {one.value.lower(): n for one, n in store.count_jobs().items() if n}
    finally:
        store.close()
    jobs = ", ".join(f"{n} {name}" for name, n in states.items()) or "none"
    return Finding(name="database", verdict="ok", said=f"{kind} answers; jobs: {jobs}")


def extras() -> Finding:
    """Optional packages."""
    found = []
    for extra, package in EXTRAS.items():
        try:
            found.append(f"{extra}: {package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{extra}: not installed")
    return Finding(name="extras", verdict="ok", said=", ".join(found))


def running(url: str, token: str) -> Finding:
    """Whether the configured service answers, and to this token."""
    if not url and not token:
        said = "none configured (FRUGAL_URL, FRUGAL_TOKEN): commands start one of their own"
        return Finding(name="service", verdict="ok", said=said)
    from api.client import FrugalClient, ServiceError, ServiceUnreachable

    where = url or HERE
    with FrugalClient(where, token, timeout=10) as client:
        try:
            client._json("GET", "/readyz")
            if not token:
                said = f"{where} answers; FRUGAL_TOKEN is not set"
                return Finding(name="service", verdict="broken", said=said)
            client.zones()
        except ServiceUnreachable as error:
            return Finding(name="service", verdict="broken", said=str(error))
        except ServiceError as error:
            said = f"{where}: {error}"
            return Finding(name="service", verdict="broken", said=said)
    return Finding(name="service", verdict="ok", said=f"{where} answers to this token")
