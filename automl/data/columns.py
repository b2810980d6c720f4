"""Column types: guessed on a sample of strings, then applied to every block."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from automl.data.dates import DateConflict, guess_dates, parse_dates
from automl.data.options import ReadingOptions
from automl.errors import DataError

LARGEST_EXACT = 2**53  # above it neighbouring integers are one and the same float64
SPACES = "[ \u00a0\u202f\u2009]"  # what French, Swiss and ISO texts put between thousands
INTEGER = r"^-?(0|[1-9][0-9]*)$"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity|nan)$"
COMMA = (
    r"^[+-]?([0-9]{1,3}([ .\x{a0}\x{202f}\x{2009}][0-9]{3})+|[0-9]+)?(,[0-9]*)?([eE][+-]?[0-9]+)?$"
)
GROUPED = r"^[+-]?[0-9]{1,3}([ \x{a0}\x{202f}\x{2009}][0-9]{3})+(\.[0-9]+)?$|" + NUMBER
LEADING_ZERO = r"^\s*0[0-9xX]"
# Texts that mean "missing" in a column which is otherwise numbers; a column of texts keeps them.
NULL_TOKENS = ("NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "nan", "NaN")
# Among numbers these mean missing, too; among texts they are levels like any other.
NUMBER_TOKENS = (*NULL_TOKENS, "M", "?", "-", ".")
# Where fewer different numbers are seen, a letter beside them may be one of some codes.
FEW_NUMBERS = 3
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
ARROW = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True, kw_only=True)
class Strays:
    """The few cells of a sample that are not of the type that nearly all are.

    `n_other` of `n_cells` cells (those that mean missing not counted), the first in `first_row`.
    """

    type: str
    n_cells: int
    n_other: int
    first_row: int


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """How one column of text becomes values.

    `style` is how numbers are written: plain (``1234.5``), comma (``1 234,5``), grouped
    (``1 234.5``). `format` is the date format (None: ISO 8601); `aware` whether times carry
    an offset; `tokens` whether NA and the like mean missing; `strays` the cells that alone make
    a column text, or are refused. `why` is said in the profile.
    """

    name: str
    type: str
    style: str = "plain"
    format: str | None = None
    aware: bool = False
    declared: bool = False
    tokens: bool = False
    strays: Strays | None = None
    why: str = ""


class Widening(Exception):
    """A column turned out wider than its type; reading starts again with `plan`."""

    def __init__(self, plan: ColumnPlan, row: int) -> None:
        super().__init__("wider")
        self.plan, self.row = plan, row


class Misfit(Exception):
    """Cell `index` does not fit its plan: `kind` is bad, fraction, zeros, big, tokens or a code."""

    def __init__(self, kind: str, index: int) -> None:
        super().__init__(kind)
        self.kind, self.index = kind, index


def guess(name: str, texts: pa.Array, *, comma: bool, options: ReadingOptions) -> ColumnPlan:
    """The plan of one column from a sample of its texts; nulls are already null.

    Raises
    ------
    DataError
        ``ambiguous_date`` where day and month cannot be told apart.
    """
    declared = options.types.get(name)
    seen = pc.utf8_trim_whitespace(pc.unique(texts).drop_null())
    if declared is not None:
        return _declared(name, declared, seen, comma=comma, options=options)
    if not len(seen):
        return ColumnPlan(name=name, type="string", why="no value in the sample")
    numbers = _numbers(name, seen, comma=comma)
    if numbers is None and options.null_values == ("",):
        rest = seen.filter(pc.invert(_tokens(seen)))
        if len(rest) < FEW_NUMBERS:
            rest = seen.filter(pc.invert(pc.is_in(seen, value_set=pa.array(NULL_TOKENS))))
        if 0 < len(rest) < len(seen):
            numbers = _numbers(name, rest, comma=comma)
            if numbers is not None and numbers.type == "string":
                numbers = None
            elif numbers is not None:
                numbers = replace(numbers, tokens=True, why=numbers.why + "; NA means missing")
    if numbers is not None:
        return numbers
    if _all(seen, "^(" + "|".join(TRUE + FALSE) + ")$"):
        return ColumnPlan(name=name, type="boolean", why="true and false in the sample")
    dates = guess_dates(name, seen, options=options)
    if dates is not None:
        return ColumnPlan(
            name=name, type="timestamp", format=dates.format, aware=dates.aware, why=dates.why
        )
    return ColumnPlan(name=name, type="string", why="text in the sample")


def _tokens(texts: pa.Array) -> pa.Array:
    return pc.is_in(texts, value_set=pa.array(NUMBER_TOKENS))


def share_tokens(plans: list[ColumnPlan]) -> list[ColumnPlan]:
    """NA means missing in all columns of numbers once it does in one."""
    if not any(plan.tokens for plan in plans):
        return plans
    return [
        replace(plan, tokens=True) if plan.type in ("integer", "number") else plan for plan in plans
    ]


def _numbers(name: str, seen: pa.Array, *, comma: bool) -> ColumnPlan | None:
    """The plan of distinct texts that are written like numbers; None when they are not."""
    if _all(seen, INTEGER):
        if int(pc.max(pc.binary_length(seen)).as_py()) > 15 and _has_big(seen):
            return ColumnPlan(name=name, type="string", why="integers above 2^53 are kept as text")
        return ColumnPlan(name=name, type="integer", why="whole numbers in the sample")
    if _any(seen, LEADING_ZERO) and _all(seen, r"^[0-9]+$"):
        return ColumnPlan(
            name=name, type="string", why="digits with leading zeros are kept as text"
        )
    if _all(seen, NUMBER):
        if _all(seen, r"^(?i:inf|infinity|nan)$") and _any(seen, r"^(?i:inf|infinity)$"):
            return ColumnPlan(name=name, type="string", why="text in the sample")
        if _any(seen, r"^-?[0-9]{16,}$") and _has_big(seen):
            return ColumnPlan(name=name, type="string", why="integers above 2^53 are kept as text")
        return ColumnPlan(name=name, type="number", why="numbers in the sample")
    if comma and _all(seen, COMMA) and _any(seen, ",") and _any(seen, "[0-9]"):
        return ColumnPlan(name=name, type="number", style="comma", why="numbers with decimal comma")
    if _all(seen, GROUPED):
        kind = "number" if _any(seen, r"[.eE]") else "integer"
        return ColumnPlan(
            name=name, type=kind, style="grouped", why="numbers with spaced thousands"
        )
    return None


def _declared(
    name: str, kind: str, seen: pa.Array, *, comma: bool, options: ReadingOptions
) -> ColumnPlan:
    plan = ColumnPlan(name=name, type=kind, declared=True, why="declared")
    if kind in ("integer", "number") and len(seen) and not _all(seen, NUMBER):
        comma = comma or options.decimal == ","
        return replace(plan, style="comma" if comma and _all(seen, COMMA) else "grouped")
    if kind == "timestamp":
        dates = guess_dates(name, seen, options=options)
        if dates is not None:
            return replace(plan, format=dates.format, aware=dates.aware)
        if _all(seen, INTEGER):
            return replace(plan, format="epoch")
        return replace(plan, format=options.date_format)
    return plan


def _all(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _any(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _has_big(texts: pa.Array) -> bool:
    long = texts.filter(pc.match_substring_regex(texts, r"^-?[0-9]{16,}$"))
    return any(abs(int(one)) > LARGEST_EXACT for one in long.to_pylist())


def _first(mask: pa.Array) -> int:
    """Index of the first true of a mask, -1 without one; null counts as false."""
    return int(pc.index(mask, pa.scalar(True)).as_py())


def convert(texts: pa.Array, plan: ColumnPlan, *, options: ReadingOptions) -> pa.Array:
    """Texts (null where missing) to the values of a plan.

    Raises
    ------
    Misfit
        At the first cell that does not fit.
    """
    if plan.type == "string":
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    if plan.type == "boolean":
        return _booleans(trimmed)
    if plan.tokens:
        trimmed = pc.if_else(_tokens(trimmed), pa.scalar(None, pa.string()), trimmed)
    if plan.type == "timestamp":
        if plan.format == "epoch":
            return epochs(
                convert(texts, replace(plan, type="integer", format=None), options=options)
            )
        try:
            return parse_dates(trimmed, format=plan.format, aware=plan.aware, options=options)
        except DateConflict as conflict:
            raise Misfit(conflict.code, conflict.index) from None
    pattern = {"comma": COMMA, "grouped": GROUPED}.get(plan.style, NUMBER)
    if plan.style == "plain" and plan.type == "integer":
        pattern = INTEGER
    bad = _first(pc.invert(pc.match_substring_regex(trimmed, pattern)))
    empty = _first(pc.equal(trimmed, ""))
    bad = empty if empty >= 0 and (bad < 0 or empty < bad) else bad
    if bad >= 0 and not plan.tokens and options.null_values == ("",):
        rest = trimmed.filter(pc.invert(pc.match_substring_regex(trimmed, pattern))).drop_null()
        if pc.any(_tokens(rest)).as_py():
            raise Misfit("tokens", bad)
    if bad >= 0:
        raise Misfit(_kind(trimmed, plan), _bad_index(trimmed, plan, bad))
    plain = trimmed
    if plan.style != "plain":
        plain = pc.replace_substring_regex(plain, SPACES, "")
    if plan.style == "comma":
        plain = pc.replace_substring(pc.replace_substring(plain, ".", ""), ",", ".")
    if plan.type == "integer":
        fraction = _first(pc.match_substring_regex(plain, "[.eE]"))
        if fraction >= 0:
            raise Misfit("fraction", fraction)
        long = _first(pc.match_substring_regex(plain, r"^[+-]?[0-9]{19,}$"))
        if long >= 0:
            raise Misfit("big", long)
        return pc.replace_substring_regex(plain, r"^\+", "").cast(pa.int64())
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    return plain.cast(pa.float64())


def _kind(trimmed: pa.Array, plan: ColumnPlan) -> str:
    """What is wrong with an array that does not fit: bad beats all, then zeros, big, fraction."""
    if plan.type != "integer" or plan.style != "plain":
        return "bad"
    misfits = trimmed.filter(pc.invert(pc.match_substring_regex(trimmed, INTEGER))).drop_null()
    if not _all(misfits, NUMBER + r"|^0[xX][0-9a-fA-F]+$"):
        return "bad"
    if _any(misfits, LEADING_ZERO):
        return "zeros"
    return "fraction"


def _bad_index(trimmed: pa.Array, plan: ColumnPlan, index: int) -> int:
    if plan.type == "integer" and plan.style == "plain" and _kind(trimmed, plan) == "bad":
        fits = pc.match_substring_regex(trimmed, INTEGER + "|" + NUMBER)
        first = _first(pc.invert(fits))
        return first if first >= 0 else index
    return index


def _booleans(texts: pa.Array) -> pa.Array:
    yes = pc.is_in(texts, value_set=pa.array([*TRUE, "1"]))
    known = pc.or_(yes, pc.is_in(texts, value_set=pa.array([*FALSE, "0"])))
    bad = _first(pc.and_(pc.is_valid(texts), pc.invert(known)))
    if bad >= 0:
        raise Misfit("bad", bad)
    return pc.if_else(pc.is_valid(texts), yes, pa.scalar(None, pa.bool_()))


def epochs(values: pa.Array) -> pa.Array:
    """Seconds or milliseconds since 1970 (told apart by size) to UTC microseconds.

    Raises
    ------
    Misfit
        ``date_range`` when a column mixes the two, or is in neither range.
    """
    size = pc.abs(values)
    seconds = pc.less(size, 2**33)  # until the year 2242
    if pc.all(seconds, min_count=0).as_py():
        factor = 1_000_000
    else:
        mixed = _first(seconds)
        if mixed >= 0:
            raise Misfit("date_range", mixed)
        beyond = _first(pc.greater(size, 2**43))
        if beyond >= 0:
            raise Misfit("date_range", beyond)
        factor = 1_000
    return pc.multiply(values, factor).cast(pa.timestamp("us")).cast(ARROW["timestamp"])


def wider(plan: ColumnPlan, kind: str) -> ColumnPlan | None:
    """The plan that also holds what did not fit, None when there is none."""
    if plan.declared and kind != "tokens":
        return None
    if kind == "tokens":
        return replace(plan, tokens=True, why=plan.why + "; NA means missing")
    if kind == "fraction" and plan.type == "integer":
        return replace(plan, type="number", why="whole numbers, then a fraction")
    if kind == "zeros" and plan.type == "integer":
        return replace(
            plan, type="string", style="plain", why="digits with leading zeros are kept as text"
        )
    if kind == "big":
        return replace(
            plan, type="string", style="plain", why="integers above 2^53 are kept as text"
        )
    return None


def misfit_error(plan: ColumnPlan, kind: str, *, row: int) -> DataError:
    """The error that says which cell does not fit, without its value."""
    if kind == "date_range":
        return DataError(
            f"row {row:,} of column '{plan.name}' is a time outside 1800 to 2200 "
            "or in another unit",
            code="date_range",
            column=plan.name,
            row=row,
        )
    if kind == "mixed_timezones":
        return DataError(
            f"row {row:,} of column '{plan.name}' mixes times with and without an offset; "
            "declare a timezone",
            code="mixed_timezones",
            column=plan.name,
            row=row,
        )
    if kind == "non_finite":
        return DataError(
            f"row {row:,} of column '{plan.name}' is not a finite number",
            code="non_finite",
            column=plan.name,
            row=row,
        )
    return DataError(
        f"row {row:,} of column '{plan.name}' is not of type {plan.type} as the column is; "
        "declare its type, or the texts that mean missing",
        code="type_conflict",
        column=plan.name,
        row=row,
        details={"type": plan.type},
    )
