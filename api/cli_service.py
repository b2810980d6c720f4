"""Which service a command speaks to: a configured one, or one of its own on a folder."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from api.cli_options import shaped, spread
from api.cli_shared import NO_SERVICE, AsJson, plain_errors, read_settings, stop

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
NOT_HERE = (
    "no service has run in {folder}: `frugal run data.csv --target y --data-dir {folder}` makes "
    "one of your own there"
)
THERE = (
    f"a service answers at {HERE}: give its token in FRUGAL_TOKEN (`frugal token add NAME` makes "
    "one), or --data-dir for a service of your own"
)


# What a verb answers: values for --json, and for people a text or what prints one.
Answer = tuple[Any, str | Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class At:
    """Which service is asked, as the options say.

    Parameters
    ----------
    url, token : of the configured service; both empty: there is none
    own : folder of a service of one's own, in place of a configured one
    """

    url: Url = ""
    token: Token = ""
    own: Own = None

    @property
    def is_own(self) -> bool:
        """Whether the command starts a service of its own.

        >>> At().is_own, At(url="http://127.0.0.1:8080").is_own
        (True, False)
        """
        return self.own is not None or not (self.url or self.token)


def asks(
    *, makes: bool = False, works: bool = False
) -> Callable[[Callable[..., Answer]], Callable[..., None]]:
    """Make a command of a function that asks a client: with the options of `At`, and --json.

    Parameters
    ----------
    makes, works : as of `service`
    """

    def made(verb: Callable[..., Answer]) -> Callable[..., None]:
        @functools.wraps(verb)
        def command(at: At, as_json: bool, **given: Any) -> None:
            with service(at, makes=makes, works=works) as client:
                values, people = verb(client, **given)
                if as_json:
                    typer.echo(json.dumps(values))
                elif callable(people):
                    people()
                else:
                    typer.echo(people)

        # The client is not the user's to give, and is no import of the command line's.
        hints = get_type_hints(verb, localns={"FrugalClient": object}, include_extras=True)
        _, *own = signature(verb).parameters.values()
        own = [one.replace(annotation=hints[one.name]) for one in own]
        for name, kind, default in (("at", At, Parameter.empty), ("as_json", AsJson, False)):
            own.append(Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default))
        return spread(shaped(command, own))

    return made


@contextlib.contextmanager
def service(at: At, *, makes: bool = False, works: bool = False) -> Iterator[FrugalClient]:
    """A client of the service; what goes wrong is one sentence and an exit code.

    Parameters
    ----------
    makes : bool
        Whether the command may begin a folder that is not there yet.
    works : bool
        Whether a service of one's own is to run the jobs that wait.
    """
    with plain_errors():
        if not at.is_own:
            with configured(at) as client:
                yield client
            return
        folder = read_settings(at.own).data_dir
        _check_own(folder, named=at.own is not None, makes=makes)
        from api.local_service import LocalService

        if makes:
            typer.secho(f"a service of our own, data in {folder}", dim=True, err=True)
        with LocalService(folder, with_scheduler=works) as running, running.client() as client:
            yield client


@contextlib.contextmanager
def configured(at: At) -> Iterator[FrugalClient]:
    """A client of the service at an address."""
    if not at.token:
        raise stop("give a token in FRUGAL_TOKEN; `frugal token add` makes one", NO_SERVICE)
    from api.client import FrugalClient

    with FrugalClient(at.url or HERE, at.token) as client:
        yield client


def _check_own(folder: Path, *, named: bool, makes: bool) -> None:
    known = (folder / "frugal.db").is_file()
    if not named and _answers():
        raise stop(THERE, NO_SERVICE)
    if not known and not makes:
        raise stop((NOT_HERE if named else NOTHING).format(folder=folder), NO_SERVICE)


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
