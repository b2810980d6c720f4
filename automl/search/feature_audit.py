"""Features that look too good: named, with what becomes of them without the latest events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.features.featurizer import Featurizer
from automl.relations.tables import SECONDS_PER_DAY, EventTable, Relations, Spans

# An honest feature of events hardly ranks this well alone: above it, it is looked at ...
SUSPECT_AUC = 0.97
# ... with so many positives at least, since fewer are separated by chance.
FEWEST_POSITIVES = 20
# Where a feature loses this share of what it has above chance once the latest events are gone, they
# were written because of what is to be predicted.
FALL = 0.5
# How far back events are taken away: multiples of the median time between two events of an entity.
STEPS = (1.0, 5.0)
MOST_AUDITED = 20


def suspicions(
    relations: Relations, y: npt.NDArray[np.int8], featurizer: Featurizer
) -> list[dict[str, Any]]:
    """Warnings ``feature_leakage_suspected``, the strongest first, each with the reason.

    A feature that ranks the rows nearly perfectly alone is computed again with the latest events
    before the cut-off taken away. Where it falls to chance, its events stand so near to the cut-off
    that they may be known only because of the outcome; where it stays, the table itself may be
    written afterwards. Not promised: a leak that several features share, or a weak one.
    """
    from automl.data.leakage import alone

    if int(y.sum()) < FEWEST_POSITIVES or int(y.sum()) > len(y) - FEWEST_POSITIVES:
        return []
    frame = featurizer.transform(relations)
    found = {name: alone(_cells(frame[name]), y) for name in frame.columns}
    suspect = sorted((-one, name) for name, one in found.items() if one > SUSPECT_AUC)
    if not suspect:
        return []
    names = [name for _, name in suspect[:MOST_AUDITED]]
    audited = featurizer.only(names)
    after: dict[str, list[tuple[str, float]]] = {name: [] for name in names}
    for step in STEPS:
        shortened = {
            table: _step(relations.tables[table], relations.spans(table)) * step
            for table in audited.reads()
        }
        earlier = _without_latest(relations, audited, shortened)
        for name in names:
            table = relations.tables[name.partition(".")[0]]
            told = _length(shortened[table.name], dated=table.dated)
            after[name].append((told, alone(_cells(earlier[name]), y)))
    return [_warning(name, found[name], after[name]) for name in names]


def _without_latest(relations: Relations, featurizer: Featurizer, gaps: dict[str, float]) -> Any:
    """The features with a gap of its own for each table."""
    made = None
    for table, gap in gaps.items():
        own = featurizer.only([one for one in featurizer.columns if one.startswith(f"{table}.")])
        unit = SECONDS_PER_DAY if relations.tables[table].dated else 1.0
        frame = own.transform(replace(relations, gap=relations.gap + gap / unit))
        made = frame if made is None else made.join(frame)
    return made


def _step(table: EventTable, spans: Spans) -> float:
    """The median time between two events of an entity, over those that have some."""
    n_events = spans.end - spans.start
    some = n_events > 1
    if not some.any():
        return 0.0
    length = table.time[spans.end[some] - 1] - table.time[spans.start[some]]
    return float(np.median(length / (n_events[some] - 1)))


def _warning(name: str, auc: float, after: list[tuple[str, float]]) -> dict[str, Any]:
    told = " and ".join(f"{one:.3f} without the last {length}" for length, one in after)
    falls = any(one - 0.5 < (1 - FALL) * (auc - 0.5) for _, one in after)
    why = (
        "what it sees lies just before the cut-off and may have been written because of the outcome"
        if falls
        else "earlier events tell as much: the table may have been written after the outcome"
    )
    return {
        "code": "feature_leakage_suspected",
        "detail": f"'{name}' alone ranks the rows with an AUC of {auc:.3f}; {told}: {why}. Declare "
        "a gap before the cut-off, or leave the column out, if it is not known in time",
        "column": name,
    }


def _length(units: float, *, dated: bool) -> str:
    if not dated:
        return f"{units:.3g} units of time"
    if units >= SECONDS_PER_DAY:
        return f"{units / SECONDS_PER_DAY:.3g} days"
    return f"{units / 3600:.3g} hours"


def _cells(values: Any) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)
