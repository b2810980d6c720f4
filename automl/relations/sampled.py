"""Which entities' rows are looked for in files that stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from automl.data.target import matches
from automl.relations.assembling import Assembled
from automl.relations.tables import Integers

# What a search reads at most: 20,000 positives, 20 negatives each.
SAMPLED_ROWS = 420_000
MOST_LEVELS = 20  # of a target whose rarer values are looked for


def first_and_positive(
    positive: Sequence[Any], *, n_rows: int = SAMPLED_ROWS
) -> Callable[[Assembled], Integers]:
    """The first entity rows and all that have one of these target values: what a search reads.

    Where no value is said to be positive, any but the most frequent may be, of a target that has
    few.
    """

    def chosen(done: Assembled) -> Integers:
        found = np.arange(done.relations.n_rows) < n_rows
        if done.target is not None:
            coded = pc.dictionary_encode(done.target)
            codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            if positive:
                is_positive = matches(coded.dictionary, list(positive))
            else:
                counts = np.bincount(codes[codes >= 0], minlength=len(coded.dictionary))
                is_positive = np.zeros(len(counts), dtype=bool)
                if 1 < len(counts) <= MOST_LEVELS:
                    is_positive = np.arange(len(counts)) != counts.argmax()
            found |= np.append(is_positive, False)[codes]
        return np.flatnonzero(found)

    return chosen
