"""Objects that stay where they are: which of them a URI names, below the operator's prefixes.

The service itself never speaks to the storage: a child asks it, within a time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from automl.errors import DataError
from scheduler.child import call
from scheduler.config import S3_ROOT, Settings
from scheduler.errors import ChildDied
from scheduler.registered import ENDINGS, MOST_FILES

SCHEME = "s3://"
# Listing 10,000 objects takes ten requests; one that gets no answer is asked three times.
SECONDS = 60.0
FETCH_SECONDS = 3600.0
MEMORY_BYTES = 2 * 2**30
HIDDEN = re.compile(r"(^|/)[._]")


def is_object(uri: str) -> bool:
    """Whether a URI names object storage.

    >>> is_object("s3://bank/balances/"), is_object("file:///srv/balances")
    (True, False)
    """
    return uri.startswith(SCHEME)


def allowed_uri(uri: str, roots: Collection[str], *, field: str) -> str:
    """The URI without a slash at its end, where it lies below an allowed prefix.

    Keys are taken as they are written; what a browser or a path would read as a way out is
    refused, also where it is coded.

    Raises
    ------
    DataError
        ``uri_not_allowed``.

    >>> allowed_uri("s3://bank/data/2024/", ["s3://bank/data"], field="uri")
    's3://bank/data/2024'
    """
    plain = uri.rstrip("/")
    steps = unquote(plain).replace("\\", "/").split("/")[2:]
    inside = any(plain == one or plain.startswith(f"{one}/") for one in roots)
    if not S3_ROOT.fullmatch(plain) or not inside or {"", ".", ".."} & set(steps):
        raise DataError(
            "the URI is not below a prefix of FRUGAL_S3_ROOTS",
            code="uri_not_allowed",
            details={"field": field},
        )
    return plain


def objects_at(uri: str, settings: Settings, *, field: str) -> list[dict[str, Any]]:
    """The object that a URI names, or the data files below it in the order of their keys.

    Returns
    -------
    list of dict
        `uri`, `n_bytes` and `modified` of each, as `automl.relations.objects.ObjectFile` has them.

    Raises
    ------
    DataError
        ``uri_not_allowed``; below an allowed prefix also ``uri_not_found``, ``uri_denied``,
        ``uri_unreachable`` and ``too_many_files``.
    """
    plain = allowed_uri(uri, settings.s3_roots, field=field)
    found = _asked("scheduler.objects:listed", {"uri": plain}, plain, settings, field=field)
    if not found:
        raise DataError(
            f"there is no object '{plain}', and no Parquet, CSV or JSON Lines file or log below it",
            code="uri_not_found",
            details={"field": field, "uri": plain},
        )
    return list(found)


def fetch(one: Mapping[str, Any], destination: Path, settings: Settings, *, field: str) -> None:
    """Copy an object to a file. Raises DataError as `objects_at`, and ``source_changed``."""
    what = {"about": dict(one), "destination": str(destination)}
    _asked(
        "scheduler.objects:fetched", what, one["uri"], settings, field=field, seconds=FETCH_SECONDS
    )


def _asked(
    function: str,
    what: Mapping[str, Any],
    uri: str,
    settings: Settings,
    *,
    field: str,
    seconds: float = SECONDS,
) -> Any:
    try:
        return call(
            function,
            what,
            memory_bytes=MEMORY_BYTES,
            cpu_seconds=seconds,
            wall_seconds=seconds,
            passed=settings.storage_variables,
        )
    except DataError as error:
        error.details = {**(error.details or {}), "field": field}
        raise
    except ChildDied as error:
        raise DataError(
            f"'{uri}' cannot be read: {error}",
            code="uri_unreachable",
            details={"field": field, "uri": uri},
        ) from None


def state_of_objects(objects: Sequence[Mapping[str, Any]]) -> str:
    """A checksum of the keys, lengths and times of objects: another one where they changed."""
    lines = [f"{one['uri']}\0{one['n_bytes']}\0{one['modified']}\n" for one in objects]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def listed(uri: str) -> list[dict[str, Any]]:
    """What the child does that asks which objects there are."""
    from automl.relations.objects import objects_below

    found = objects_below(uri, most=MOST_FILES)
    return [one.to_json() for one in found if one.uri == uri or _is_data(one.uri[len(uri) :])]


def _is_data(rest: str) -> bool:
    """Whether the part of a key below the registered one is that of a data file.

    >>> _is_data("/2024/1.parquet"), _is_data("/_temporary/1.parquet"), _is_data("/README")
    (True, False, False)
    """
    odd = {"", ".", ".."} & set(rest.split("/")[1:])
    return rest.endswith(ENDINGS) and not HIDDEN.search(rest) and not odd


def fetched(about: Mapping[str, Any], destination: str) -> int:
    """What the child does that copies an object; returns its bytes."""
    from automl.relations.objects import STREAM_BYTES, ObjectFile

    n_bytes = 0
    with ObjectFile(**about).open("rb") as source, Path(destination).open("wb") as file:
        while chunk := source.read(STREAM_BYTES):
            n_bytes += file.write(chunk)
    return n_bytes
