"""The ledger: energy and carbon of a project by job, phase, day, data set or schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from api.auth import negotiated, produces
from api.context import parts, project_id
from api.pagination import cursor
from api.schemas import LedgerQuery
from api.schemas_emissions import (
    LedgerAnswer,
    LedgerLineAnswer,
    LedgerSumAnswer,
    LedgerTotalAnswer,
)
from scheduler.ledger import COLUMNS, SUM_COLUMNS, LedgerFilter, LedgerLine, LedgerSum, csv_rows

ledger = APIBlueprint("ledger", __name__, url_prefix="/v1", tag="Carbon")

CSV, JSON = "text/csv", "application/json"
CSV_PAGE = 1000

Page = tuple[Sequence[LedgerLine | LedgerSum], str | None]


@ledger.get("/ledger")
@ledger.input(LedgerQuery, location="query")
@ledger.output(LedgerAnswer)
@ledger.doc(operation_id="getLedger")
@produces(JSON, CSV)
def index(query_data: LedgerQuery) -> Any:
    """List what was spent and emitted, by whom and when; or sum it, with group_by.

    It counts every joule once, also of jobs that failed or were cancelled, and outlives the data.
    """
    query = query_data
    read = _reader(query)
    wanted = query.format or ("csv" if negotiated(JSON, CSV) == CSV else "json")
    if wanted == "csv":
        whole = not {"limit", "cursor"} & query.model_fields_set
        first = read(CSV_PAGE, None) if whole else read(query.limit, cursor(query.cursor))
        columns = COLUMNS if query.group_by is None else SUM_COLUMNS
        headers = {"Content-Disposition": 'attachment; filename="ledger.csv"'}
        body = _csv(first, columns, read=read if whole else None)
        return Response("".join(body), mimetype=CSV, headers=headers)
    items, following = read(query.limit, cursor(query.cursor))
    total = parts().store.ledger_total(project_id(), _chosen(query))
    shown = [
        LedgerLineAnswer.of(one) if isinstance(one, LedgerLine) else LedgerSumAnswer.of(one)
        for one in items
    ]
    return LedgerAnswer(items=shown, total=LedgerTotalAnswer.of(total), next_cursor=following)


def _chosen(query: LedgerQuery) -> LedgerFilter:
    return LedgerFilter(
        job_id=query.job,
        dataset_id=query.dataset,
        schedule_id=query.schedule,
        phase=query.phase,
        first_day=None if query.first_day is None else query.first_day.isoformat(),
        last_day=None if query.last_day is None else query.last_day.isoformat(),
    )


def _reader(query: LedgerQuery) -> Callable[[int, str | None], Page]:
    """What reads a page of so many lines, or sums, after a cursor."""
    store, project, chosen, group = parts().store, project_id(), _chosen(query), query.group_by

    def read(limit: int, after: str | None) -> Page:
        if group is None:
            return store.ledger_lines(project, chosen, limit=limit, after=after)
        return store.ledger_sums(project, chosen, group_by=group, limit=limit, after=after)

    return read


def _csv(
    page: Page, columns: Sequence[str], *, read: Callable[[int, str | None], Page] | None
) -> Iterator[str]:
    """The header and the rows of a page; with `read` also of all that follow."""
    yield ",".join(columns) + "\r\n"
    items, following = page
    while True:
        yield csv_rows(items, columns)
        if read is None or following is None:
            return
        items, following = read(CSV_PAGE, following)
