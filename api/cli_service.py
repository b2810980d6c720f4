"""Which service a command speaks to: a configured one, or one of its own on a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_shared import NO_SERVICE, plain_errors, read_settings, stop

if TYPE_CHECKING:
    from api.client import FrugalClient

HERE = "http://127.0.0.1:8080"
HEALTH_SECONDS = 0.5

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="FRUGAL_URL",
        help=f"Address of the service (default {HERE}).",
        show_default=False,
        show_envvar=True,
    ),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="FRUGAL_TOKEN",
        help="Token; better in the environment, since command lines are seen by others.",
        show_default=False,
        show_envvar=True,
    ),
]
Own = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Use no configured service but one of your own on this folder, for this command.",
        show_default=False,
    ),
]
NOTHING = (
    "no service is configured: set FRUGAL_URL and FRUGAL_TOKEN; or "
    "`frugal run data.csv --target y` makes one of your own in {folder}"
)
THERE = (
    f"a service answers at {HERE}: give its token in FRUGAL_TOKEN (`frugal token add NAME` makes "
    "one), or --data-dir for a service of your own"
)


@contextlib.contextmanager
def service(
    url: str, token: str, own: Path | None = None, *, makes: bool = False, works: bool = False
) -> Iterator[FrugalClient]:
    """A client of the service; what goes wrong is one sentence and an exit code.

    Parameters
    ----------
    url, token : str
        Of the configured service; both empty: there is none.
    own : Path, optional
        Folder of a service of one's own, in place of a configured one.
    makes : bool
        Whether the command may begin a folder that is not there yet.
    works : bool
        Whether a service of one's own is to run the jobs that wait.
    """
    with plain_errors():
        if own is None and (url or token):
            with configured(url, token) as client:
                yield client
            return
        folder = read_settings(own).data_dir
        _check_own(folder, named=own is not None, makes=makes)
        from api.local_service import LocalService

        if makes:
            typer.secho(f"a service of our own, data in {folder}", dim=True, err=True)
        with LocalService(folder, with_scheduler=works) as running, running.client() as client:
            yield client


@contextlib.contextmanager
def configured(url: str, token: str) -> Iterator[FrugalClient]:
    """A client of the service at an address."""
    if not token:
        raise stop("give a token in FRUGAL_TOKEN; `frugal token add` makes one", NO_SERVICE)
    from api.client import FrugalClient

    with FrugalClient(url or HERE, token) as client:
        yield client


def is_own(url: str, token: str, own: Path | None) -> bool:
    """Whether the command starts a service of its own.

    >>> is_own("", "", None), is_own("http://127.0.0.1:8080", "", None)
    (True, False)
    """
    return own is not None or not (url or token)


def _check_own(folder: Path, *, named: bool, makes: bool) -> None:
    known = (folder / "frugal.db").is_file()
    if not named and _answers():
        raise stop(THERE, NO_SERVICE)
    if not known and not makes:
        raise stop(NOTHING.format(folder=folder), NO_SERVICE)


def _answers() -> bool:
    """Whether a service of ours listens at the usual address."""
    import requests

    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{HERE}/healthz", timeout=HEALTH_SECONDS)
            return answer.ok and answer.json().get("status") == "ok"
    except (requests.RequestException, ValueError, AttributeError):
        return False
