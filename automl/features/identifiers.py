"""Which whole numbers name rows rather than measure something, and are not to be summed up."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from automl.features.values import numbers
from automl.relations.tables import EventTable, Integers, Spans

# `disp_id`, `accountId`, `id`; not `paid` or `humid`.
NAMED = re.compile(r"(^|_)(id|ID|Id)$|[a-z]I[dD]$")
# Rows that are looked at.
LOOKED_AT = 100_000
# Numbers drawn by chance from a range would all differ with a probability of about
# exp(-n^2 / (2 range)), the birthday problem; below exp(-10) they were numbered.
UNLIKELY = 10.0


def identifiers(table: EventTable, spans: Spans, names: Sequence[str]) -> set[str]:
    """Columns of whole numbers that are called ids, or differ in all rows that training rows see.

    A series has readings that only rise (an hour meter), so there the name alone decides.
    """
    whole = [name for name in names if pa.types.is_integer(table.columns.schema.field(name).type)]
    found = {name for name in whole if NAMED.search(name)}
    if table.role == "series":
        return found
    rows = pa.array(_seen(spans))
    for name in whole:
        if name not in found:
            column = table.columns.column(name).take(rows).combine_chunks()
            values = numbers(column)
            values = values[~np.isnan(values)]
            if len(values) and len(np.unique(values)) == len(values):
                reach = float(values.max() - values.min()) + 1.0
                if len(values) ** 2 > 2.0 * UNLIKELY * reach:
                    found.add(name)
    return found


def _seen(spans: Spans) -> Integers:
    """Rows of the table that any entity row sees, each once, the first `LOOKED_AT` of them."""
    some = np.flatnonzero(spans.start < spans.end)
    some = some[np.argsort(spans.start[some], kind="stable")]
    start, end = spans.start[some], spans.end[some]
    start[1:] = np.maximum(start[1:], np.maximum.accumulate(end)[:-1])
    length = np.maximum(end - start, 0)
    enough = int(np.searchsorted(np.cumsum(length), LOOKED_AT)) + 1
    start, length = start[:enough], length[:enough]
    before = np.cumsum(length) - length
    rows: Integers = np.arange(int(length.sum())) + np.repeat(start - before, length)
    return rows[:LOOKED_AT]
