"""What `frugal serve` says when it is ready, and how a program reads it."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.config import Settings
    from scheduler.store import Store

# The words before what a program looks for in these lines.
READY = "listening on "
FIRST_TOKEN = "first token: "  # noqa: S105


def greeting(store: Store, settings: Settings, *, port: int, now: datetime) -> list[str]:
    """The lines to print; the last one begins with READY.

    Makes a project and its first token when the store has none: the only time the secret is seen.
    """
    from scheduler.carbon.typical import yearly_mean

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    intensity = yearly_mean(settings.zone)
    lines = [
        f"frugal {version('frugal-automl')}, data in {settings.data_dir.absolute()}",
        f"zone {intensity.zone}: {intensity.grams_per_kwh:.0f} gCO2e/kWh, {intensity.factor_type}, "
        f"mean of {intensity.year} ({intensity.source})",
    ]
    if not store.has_tokens():
        known = store.list_projects()  # one, if the very first start was cut short here
        project = known[0] if known else store.add_project("default", now=now)
        secret, _ = store.add_token(project.id, name="first", now=now)
        lines.append(f"{FIRST_TOKEN}{secret}  (shown only now; `frugal token add` makes others)")
    lines.append(f"{READY}http://{host}:{port}  (documents at /docs; Ctrl-C stops)")
    return lines
