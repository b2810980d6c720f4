"""How a text table is written: encoding, delimiter, quote, decimal mark, header."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from dataclasses import dataclass
from typing import Any

from automl.data.options import ReadingLimits, ReadingOptions
from automl.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
NUMERIC = re.compile(r"\s*[+-]?(\d[\d \u00a0\u202f\u2009.]*)?([.,]\d*)?([eE][+-]?\d+)?\s*")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
MAX_NAME = 256
SAMPLE_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What was declared or guessed about an upload; `guessed` lists what was guessed.

    For Parquet and JSON Lines only `format`, `compressed` and `names` say something.
    """

    format: str
    compressed: bool
    names: tuple[str, ...]
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    quote: str = '"'
    header: bool = True
    guessed: tuple[str, ...] = ()
    header_bytes: int = 0  # bytes of the header record as UTF-8, its line end included
    carriage_returns: bool = False  # lines end with CR alone

    def to_json(self) -> dict[str, Any]:
        """The public part, as in the profile."""
        return {
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "decimal": self.decimal,
            "quote": self.quote,
            "header": self.header,
            "compressed": self.compressed,
            "guessed": list(self.guessed),
        }


def guess_encoding(sample: bytes, *, options: ReadingOptions) -> tuple[str, bool]:
    """The encoding of a sample and whether it was guessed against the odds.

    UTF-8 and a byte order mark are recognised; other bytes are taken as Windows-1252 and said.

    Raises
    ------
    DataError
        ``encoding``: UTF-16 without a byte order mark.
    """
    if options.encoding is not None:
        return options.encoding, False
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", False
    look = sample[:65536]
    if look.count(b"\0") > len(look) // 5:
        raise DataError(
            "the bytes look like UTF-16 without a byte order mark; declare the encoding",
            code="encoding",
        )
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        readable = codecs.decode(sample, "utf-8", "ignore")
        undefined = re.search(rb"[\x81\x8d\x8f\x90\x9d]", sample)
        # Some characters of two bytes and some broken ones: damaged UTF-8, not Windows-1252.
        if any(ord(one) > 127 for one in readable) or undefined:
            return "utf-8", False
        return "cp1252", True
    return "utf-8", False


def guess_dialect(
    text: str,
    *,
    encoding: str,
    encoding_guessed: bool,
    complete: bool,
    options: ReadingOptions,
    limits: ReadingLimits,
    compressed: bool,
) -> tuple[Dialect, list[list[str]]]:
    """The dialect of a sample of text, and its first rows (header not among them).

    Raises
    ------
    DataError
        ``no_columns, only_one_column, ambiguous_dialect, too_many_columns, header_mismatch,
        no_rows, duplicate_columns, column_name_too_long``.
    """
    guessed = ["encoding"] if encoding_guessed else []
    carriage = "\r" in text and "\n" not in text
    if carriage:
        text = text.replace("\r", "\n")
    if not text.strip():
        raise DataError("the file has blank lines only", code="no_columns")
    quote = '"' if options.quote is None else options.quote
    delimiter = options.delimiter
    if delimiter is None:
        delimiter = _found(text, quote=quote, complete=complete, key=options.key)
        guessed.append("delimiter")
    rows = _split(text, delimiter, quote=quote, complete=complete)
    n_columns = len(rows[0])
    if n_columns > limits.max_columns:
        raise DataError(
            f"the table has {n_columns:,} columns; {limits.max_columns:,} are the limit",
            code="too_many_columns",
            details={"n_columns": n_columns, "limit": limits.max_columns},
        )
    if n_columns < 2 and options.key is None:
        raise _only_one(text)
    header = options.header
    if header is None:
        header = _has_header(rows)
        guessed.append("header")
    body = rows[1:] if header else rows
    if not body:
        raise _no_body(text, quote=quote, limits=limits)
    widths = {len(row) for row in body}
    # one row of another width is a bad row, several alike mean that the header is
    if header and len(widths) == 1 < len(body) and widths != {n_columns}:
        raise DataError(
            f"the header names {n_columns:,} columns and every row has {widths.pop():,}",
            code="header_mismatch",
            details={"n_columns": n_columns},
        )
    names = column_names(rows[0] if header else [""] * n_columns, rows=body, header=header)
    decimal: str | None = options.decimal
    if decimal is None:
        decimal = _decimal(body, delimiter)
        guessed.append("decimal")
    return (
        Dialect(
            format="csv",
            compressed=compressed,
            names=tuple(names),
            encoding=encoding,
            delimiter=delimiter,
            decimal=decimal,
            quote=quote,
            header=header,
            guessed=tuple(guessed),
            header_bytes=_header_bytes(text, delimiter, quote) if header else 0,
            carriage_returns=carriage,
        ),
        body,
    )


def _no_body(text: str, *, quote: str, limits: ReadingLimits) -> DataError:
    """No row could be split off: there is none, or the first one does not end."""
    if len(text.strip().splitlines()) < 2 and len(text) < limits.max_cell_bytes:
        return DataError("the file has a header and no rows", code="no_rows")
    if quote and text.count(quote) % 2:
        return DataError("row 1 opens a quote that is not closed", code="quote", row=1)
    if len(text) > limits.max_cell_bytes:
        return DataError(
            f"row 1 has a cell longer than {limits.max_cell_bytes:,} bytes",
            code="cell_too_long",
            row=1,
        )
    return DataError("the file has a header and no rows", code="no_rows")


def _reader(text: str, delimiter: str, quote: str) -> Any:
    if quote:
        return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _split(
    text: str, delimiter: str, *, quote: str, complete: bool, n_rows: int = SAMPLE_ROWS
) -> list[list[str]]:
    """The first rows of a text, blank lines skipped; the last, perhaps cut, one is left out."""
    rows: list[list[str]] = []
    reader = _reader(text, delimiter, quote)
    while len(rows) <= n_rows:
        try:
            row = next(reader)
        except StopIteration:
            if not complete and len(rows) > 1:
                rows.pop()
            break
        except csv.Error:  # a cell beyond the csv module's own limit: what comes later says so
            break
        if row and not (len(row) == 1 and not row[0].strip()):
            rows.append(row)
    return rows or [[text[:1]]]


def _found(text: str, *, quote: str, complete: bool, key: str | None) -> str:
    """The delimiter; of a table whose only column is its declared key, a comma."""
    try:
        return _delimiter(text, quote=quote, complete=complete)
    except DataError as error:
        first = text.split("\n", 1)[0].strip().strip(quote)
        if error.code != "only_one_column" or key is None or first != key:
            raise
        return ","


def _delimiter(text: str, *, quote: str, complete: bool) -> str:
    """The only delimiter that splits all rows alike.

    Raises
    ------
    DataError
        ``only_one_column`` when none splits, ``ambiguous_dialect`` when several do.
    """
    splits = {
        one: _split(text, one, quote=quote, complete=complete, n_rows=200)
        for one in DELIMITERS
        if one in text
    }
    shares = {}
    for one, rows in splits.items():
        width = len(rows[0])
        body = rows[1:] or rows
        if width > 1 or len(body[0]) > 1:
            shares[one] = sum(len(row) == width for row in body) / len(body)
            # R writes one name fewer than columns; such a header is refused later, by its name
            if len(rows) > 2 and len({len(row) for row in body}) == 1 and width > 1:
                shares[one] = max(shares[one], 0.99)
    full = [one for one, share in shares.items() if share == 1.0 and len(splits[one][0]) > 1]
    if len(full) == 1:
        return full[0]
    if len(full) > 1:
        if "," in full and len(full) == 2:
            other = next(one for one in full if one != ",")
            if all(_is_decimal_only(cell) for row in splits[other] for cell in row):
                return other
        raise DataError(
            "more than one delimiter splits every row alike; declare the delimiter",
            code="ambiguous_dialect",
            details={"delimiters": [NAMES[one] for one in full]},
        )
    best = sorted((one for one in shares if len(splits[one][0]) > 1), key=lambda one: -shares[one])
    if len(best) == 1 and all(len(row) > 1 for row in splits[best[0]]):
        return best[0]  # rows of another width than the header; reading says which
    if len(best) == 1 and quote and text.count(quote) % 2:
        return best[0]  # a torn quote hides the rest; reading says where
    if not best or shares[best[0]] < 0.2:
        raise _only_one(text)
    if len(best) > 1 and shares[best[0]] - shares[best[1]] < 0.2:
        raise DataError(
            "no delimiter splits all rows alike, and several split most; declare the delimiter",
            code="ambiguous_dialect",
            details={"delimiters": [NAMES[one] for one in best]},
        )
    return best[0]


def _is_decimal_only(cell: str) -> bool:
    return "," not in cell or bool(NUMERIC.fullmatch(cell))


def _only_one(text: str) -> DataError:
    first = text.split("\n", 1)[0]
    return DataError(
        "the table has one column; declare the delimiter if it has more",
        code="only_one_column",
        details={"delimiters_tried": {NAMES[one]: first.count(one) for one in DELIMITERS}},
    )


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names columns: it has text where the rows below have numbers."""
    if len(rows) == 1:
        return not any(NUMERIC.fullmatch(cell) and cell.strip() for cell in rows[0])
    first, body = rows[0], rows[1:201]
    votes = 0
    for index, name in enumerate(first):
        cells = [row[index] for row in body if len(row) > index and row[index].strip()]
        if cells and all(NUMERIC.fullmatch(cell) for cell in cells):
            votes += -1 if name.strip() and NUMERIC.fullmatch(name) else 1
    if votes:
        return votes > 0
    return not any(
        name and sum(len(row) > index and row[index] == name for row in body) > 0
        for index, name in enumerate(first)
    )


def column_names(first: list[str], *, rows: list[list[str]], header: bool) -> list[str]:
    """Names of the columns; unnamed ones get one that says where they stand.

    A first column without a name that counts the rows, as R and pandas write it, is `row_id`.

    Raises
    ------
    DataError
        ``duplicate_columns`` with the list, ``column_name_too_long``, ``nul_byte``.
    """
    names = [name.strip() for name in first]
    taken = set(names)
    for index, name in enumerate(names):
        if not name:
            counts = header and index == 0 and "row_id" not in taken and _counts_up(rows)
            names[index] = "row_id" if counts else _free(f"column_{index + 1}", taken)
            taken.add(names[index])
    check_names(names)
    return names


def check_names(names: list[str]) -> None:
    """Raise DataError where names cannot be kept: twice the same, too long, with a NUL byte."""
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    long = [index + 1 for index, name in enumerate(names) if len(name) > MAX_NAME]
    if long:
        raise DataError(
            f"{len(long):,} column name(s) are longer than {MAX_NAME} characters",
            code="column_name_too_long",
            details={"positions": long[:20]},
        )
    if twice:
        raise DataError(
            f"{len(twice):,} column name(s) occur more than once, the first is {twice[0]!r}",
            code="duplicate_columns",
            column=twice[0],
            details={"columns": twice[:20]},
        )
    if any("\0" in name for name in names):
        raise DataError("a column name has a NUL byte", code="nul_byte")


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _counts_up(rows: list[list[str]]) -> bool:
    values = [row[0] for row in rows if row]
    if not values or not all(re.fullmatch(r"\d{1,15}", value) for value in values):
        return False
    numbers = [int(value) for value in values]
    return all(later - earlier == 1 for earlier, later in itertools.pairwise(numbers))


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """ "," when some column is numbers with decimal comma; only where comma does not delimit."""
    if delimiter == ",":
        return "."
    for index in range(len(rows[0])):
        cells = [row[index] for row in rows if len(row) > index and row[index].strip()]
        if any("," in cell for cell in cells) and all(
            NUMERIC.fullmatch(cell) and cell.strip() not in (",", ".") for cell in cells
        ):
            return ","
    return "."


def _header_bytes(text: str, delimiter: str, quote: str) -> int:
    """How many bytes of UTF-8 the first record that is not blank takes, line end included."""
    lines = io.StringIO(text, newline="")
    taken: list[str] = []

    def spy() -> Any:
        for line in lines:
            taken.append(line)
            yield line

    if quote:
        reader = csv.reader(spy(), delimiter=delimiter, quotechar=quote)
    else:
        reader = csv.reader(spy(), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    for row in reader:
        if row and not (len(row) == 1 and not row[0].strip()):
            break
    return len("".join(taken).encode("utf-8", "surrogatepass"))
