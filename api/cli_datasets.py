"""`frugal datasets`: hand over tables, see what was understood of them, delete them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli_files import Option, check_there, reading_options, spec_with_files
from api.cli_service import Answer, asks
from api.cli_shared import megabytes, minute, show, table, warn

if TYPE_CHECKING:
    from api.client import FrugalClient

datasets_app = typer.Typer(
    help="Tables that were handed over, and what was understood.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(help="Id of the data set, as `frugal datasets list` shows.")]
MOST_COLUMNS = 60


@datasets_app.command(
    "add",
    epilog="Examples:  frugal datasets add customers.csv   |   "
    "frugal datasets add semicolons.csv --option delimiter=';'   |   "
    "frugal datasets add tables/ --spec spec.json",
)
@asks(makes=True)
def add(
    client: FrugalClient,
    data: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A file: CSV, Parquet or JSON Lines, each also gzipped. With --spec the folder "
            "of its files.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Its name (default: the file's).")] = None,
    spec: Annotated[
        typer.FileText | None,
        typer.Option(help="JSON that says what several tables are to each other."),
    ] = None,
    option: Option = None,
    append_to: Annotated[
        str | None, typer.Option(help="Id of a data set whose next version this is.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Id of an upload of this file that broke off.")
    ] = None,
) -> Answer:
    """Upload a table, or several with a spec, and say what was understood.

    A large file goes in pieces, each sent again where the connection breaks. Where it broke off
    for good, the error names the upload, and --resume goes on with it.
    """
    check_there(data, spec, hint="DATA")
    found = added(
        client,
        data,
        name=name,
        spec=spec,
        options=reading_options(option),
        base=append_to,
        upload_id=resume,
    )
    profile = client.profile(found["id"])

    def people() -> None:
        typer.echo(f"{found['id']}  {summary(found, profile)}")
        warn([*profile["warnings"], *found["warnings"]])

    return found, people


def added(
    client: FrugalClient,
    data: Path,
    *,
    name: str | None,
    spec: typer.FileText | None,
    options: Mapping[str, str],
    base: str | None = None,
    upload_id: str | None = None,
) -> dict[str, Any]:
    """The data set of a file or a spec, once it is READY. Raises DatasetInvalid."""
    from api.client_jobs import DatasetInvalid, dataset_of

    if base is not None:
        found = client.append(base, data)
        if found["state"] != "READY":
            raise DatasetInvalid(found)
        return found
    with _Bar(data) as progress:
        if spec is not None:
            given, files = spec_with_files(spec, data)
            return dataset_of(client, given, files=files, name=name or data.resolve().name)
        return dataset_of(
            client, data, name=name, options=options, upload_id=upload_id, progress=progress
        )


class _Bar:
    """A bar of the bytes that are there, on a terminal."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("uploading"), BarColumn(), DownloadColumn(), console=console, transient=True
        )
        if not console.is_terminal:
            return None
        self.bar.start()
        self.task = self.bar.add_task("", total=None)
        return lambda done, total: self.bar.update(self.task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self.bar.live.is_started:  # else it would print an empty line
            self.bar.stop()


def summary(dataset: Mapping[str, Any], profile: Mapping[str, Any]) -> str:
    """A data set in a line.

    >>> summary({"n_rows": 3, "bytes_in": 20e6, "bytes_stored": 5e6}, {"n_columns": 2})
    '3 rows, 2 columns; 20.0 MB, kept in 5.0 MB'
    """
    sizes = f"{megabytes(dataset['bytes_in'])}, kept in {megabytes(dataset['bytes_stored'])}"
    return f"{dataset['n_rows']:,} rows, {profile['n_columns']} columns; {sizes}"


@datasets_app.command("list", epilog="Example:  frugal datasets list --json")
@asks()
def list_all(client: FrugalClient) -> Answer:
    """List data sets, newest first."""
    items = client.datasets()
    rows = [
        (
            one["id"],
            one["name"],
            one["state"],
            "" if one["n_rows"] is None else f"{one['n_rows']:,}",
            megabytes(one["bytes_stored"]),
        )
        for one in items
        if one["state"] != "DELETED"
    ]
    return items, table(
        ("id", "name", "state", "rows", "kept"),
        rows,
        empty="there is no data set; `frugal datasets add FILE` adds one",
    )


@datasets_app.command(
    "show", epilog="Example:  frugal datasets show 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90"
)
@asks()
def show_one(client: FrugalClient, dataset: Id) -> Answer:
    """Show what was understood of a data set: its columns, their roles, and what is odd."""
    found = client.dataset(dataset)
    profile = client.profile(dataset) if found["state"] == "READY" else None
    return {**found, "profile": profile}, partial(_show_dataset, found, profile)


def _show_dataset(found: Mapping[str, Any], profile: Mapping[str, Any] | None) -> None:
    typer.echo(f"{found['name']}  {found['state']}  {minute(found['created_at'])}")
    if profile is None:
        problem = found["problem"] or {}
        typer.echo(problem.get("detail", ""))
        return
    typer.echo(summary(found, profile))
    _show_columns(profile["columns"])
    if found["tables"]:
        for line in around(found["tables"]):
            typer.echo(line)
    else:
        for line in candidates(profile):
            typer.echo(line)
    warn([*profile["warnings"], *found["warnings"]])


def around(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What became of each table of a spec, in a line.

    >>> visits = {"role": "events", "kind": "events", "rows": 900, "orphans": 4}
    >>> list(around({"visits": visits | {"uri": "file:///srv/visits", "unreadable": 2}}))
    ['visits: events, 900 rows; 4 of no entity, 2 without a readable time; in file:///srv/visits']
    """
    for name, one in tables.items():
        kind = one.get("kind") if one.get("kind") == "lookup" else one.get("role")
        odd = {
            "of no entity": (one.get("orphans") or 0) + (one.get("unrelated") or 0),
            "without a readable time": (one.get("unreadable") or 0)
            + (one.get("without_time") or 0),
            "after the time of ingestion": one.get("future") or 0,
        }
        said = ", ".join(f"{n:,} {words}" for words, n in odd.items() if n)
        rows = f", {one['rows']:,} rows" if one.get("rows") is not None else ""
        where = f"in {one['uri']}" if one.get("uri") else ""
        yield f"{name}: " + "; ".join(filter(None, [f"{kind}{rows}", said, where]))


def candidates(profile: Mapping[str, Any]) -> Iterator[str]:
    """What could be a target, with its values and how many rows have each."""
    columns = {one["name"]: one for one in profile["columns"]}
    for name in candidate_names(profile):
        levels = columns.get(name, {}).get("levels") or ()
        counts = ", ".join(f"{level['value']}: {level['count']:,}" for level in levels)
        yield f"could be the target: {name!r}" + (f" ({counts})" if counts else "")


def candidate_names(profile: Mapping[str, Any]) -> list[str]:
    """Columns that could be a target, likeliest first.

    >>> candidate_names({"target_candidates": [{"name": "y", "why": "two values"}]})
    ['y']
    """
    found = profile["target_candidates"]
    return [one["name"] if isinstance(one, dict) else str(one) for one in found]


def _show_columns(columns: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("column", "type", box=None, header_style="dim", pad_edge=False)
    for name in ("missing", "values"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in columns[:MOST_COLUMNS]:
        roles = [role.replace("_", " ") for role in one.get("roles", ())]
        table.add_row(
            Text(str(one["name"])),
            str(one["type"]),
            f"{one['n_missing']:,}" if one.get("n_missing") else "",
            f"{one['n_distinct']:,}" if one.get("n_distinct") else "",
            Text(", ".join(roles)),
        )
    show(table)
    if len(columns) > MOST_COLUMNS:
        typer.echo(f"and {len(columns) - MOST_COLUMNS} more columns: --json has all")


@datasets_app.command(
    "rm", epilog="Example:  frugal datasets rm 5f0c54f1c1e04b0e9d2f6a1b7c3d8e90 --force"
)
@asks()
def remove(
    client: FrugalClient,
    datasets: Annotated[list[str], typer.Argument(help="Ids of data sets.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also while a job uses it, which is cancelled.")
    ] = False,
) -> Answer:
    """Delete data sets with their rows, and the versions that were built on them."""
    deleted = [gone for one in datasets for gone in client.delete_dataset(one, force=force)]
    return {"deleted": deleted}, "\n".join(f"deleted {one}" for one in deleted)
