"""Columns that are numbers or times but for a few cells, which one wrong cell turns into text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from automl.data.columns import COMMA, GROUPED, NUMBER, NUMBER_TOKENS, ColumnPlan, Strays, guess
from automl.data.dates import CLOCK, ISO
from automl.data.options import ReadingOptions
from automl.errors import DataError

# One cell in a hundred that is none may be a code like 3+; one in ten thousand is a slip.
MIN_CELLS, MOST = 200, 100
MANY_CELLS, NEARLY_ALL = 10_000, 10_000
DAY = "(0?[1-9]|[12][0-9]|3[01])"  # a month fits as well


def settle(
    plan: ColumnPlan, texts: pa.Array, *, comma: bool, options: ReadingOptions
) -> ColumnPlan:
    """The plan of a column of text, once it is known how few of its cells are no numbers.

    Parameters
    ----------
    plan : ColumnPlan
        As `guess` made it from `texts`.
    texts : array of string
        One cell per row of the sample, null where missing.

    Returns
    -------
    ColumnPlan
        With `strays` where 99 % of at least 200 cells are numbers or times. Where all but one in
        ten thousand are, it is their plan, so that reading refuses the first other cell by its row.

    Raises
    ------
    DataError
        ``ambiguous_date``, as `guess` does, where all but one in ten thousand are dates.
    """
    if plan.type != "string" or plan.why != "text in the sample" or len(texts) < MIN_CELLS:
        return plan
    counted = pc.value_counts(texts.drop_null())
    written, counts = counted.field("values"), counted.field("counts")
    values = pc.utf8_trim_whitespace(written)
    missing = pc.is_in(values, value_set=pa.array(NUMBER_TOKENS))
    if options.null_values != ("",):  # then the client says what means missing, and NA does not
        missing = pc.and_(missing, pa.scalar(False))
    n_cells = _total(counts, pc.invert(missing))
    if n_cells < MIN_CELLS:
        return plan
    for fits in _readings(values, comma=comma, options=options):
        other = pc.invert(pc.or_(fits, missing))
        n_other = _total(counts, other)
        if not n_other or n_other * MOST > n_cells:
            continue
        slip = n_cells >= MANY_CELLS and n_other * NEARLY_ALL <= n_cells
        try:
            most = guess(plan.name, values.filter(pc.invert(other)), comma=comma, options=options)
        except DataError:
            if slip:
                raise
            most = ColumnPlan(name=plan.name, type="timestamp")
        if most.type not in ("integer", "number", "timestamp"):
            continue
        first = pc.index(pc.is_in(texts, value_set=written.filter(other)), pa.scalar(True))
        strays = Strays(
            type=most.type, n_cells=n_cells, n_other=n_other, first_row=first.as_py() + 1
        )
        return replace(most if slip else plan, strays=strays)
    return plan


def as_text(plans: list[ColumnPlan]) -> list[ColumnPlan]:
    """The plans with stray cells kept: for columns that nobody asks for."""
    return [
        ColumnPlan(name=plan.name, type="string", strays=plan.strays, why="text in the sample")
        if plan.strays is not None
        else plan
        for plan in plans
    ]


def _readings(values: pa.Array, *, comma: bool, options: ReadingOptions) -> Iterator[pa.Array]:
    """Which of the texts are numbers or times, for each way to write them."""
    filled = pc.not_equal(values, "")
    for pattern in (NUMBER, *([COMMA] if comma else []), GROUPED):
        yield pc.and_(filled, pc.match_substring_regex(values, pattern))
    # the calendar must know the day: strptime alone reads 31 February as 2 March
    days = pc.strptime(
        pc.utf8_slice_codeunits(values, 0, 10), format="%Y-%m-%d", unit="s", error_is_null=True
    )
    shown = pc.strftime(days, format="%Y-%m-%d")
    known = pc.equal(shown, pc.utf8_slice_codeunits(values, 0, 10)).fill_null(False)
    yield pc.and_(known, pc.match_substring_regex(values, ISO))
    if options.date_format is not None:
        times = pc.strptime(values, format=options.date_format, unit="s", error_is_null=True)
        yield pc.is_valid(times)
        return
    for mark in "/.-":
        for shape in (
            rf"{DAY}\{mark}{DAY}\{mark}[0-9]{{4}}",
            rf"[0-9]{{4}}\{mark}{DAY}\{mark}{DAY}",
        ):
            yield pc.match_substring_regex(values, f"^{shape}{CLOCK}$")


def _total(counts: pa.Array, where: pa.Array) -> int:
    return int(pc.sum(counts.filter(where), min_count=0).as_py())
