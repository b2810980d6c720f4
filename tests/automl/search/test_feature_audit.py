"""Features that look too good are named, and why is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from automl.features.featurizer import Featurizer
from automl.relations.tables import EventTable, Relations
from automl.search.feature_audit import suspicions

DAY = 86_400.0


def relations(*, leaking: str | None) -> tuple[Relations, np.ndarray]:
    """200 entities with ten dated amounts; of positives the last one, or all, are large."""
    rng = np.random.default_rng(0)
    n, n_events = 200, 10
    y = (np.arange(n) % 4 == 0).astype(np.int8)
    amount = rng.normal(size=(n, n_events))
    if leaking == "last":
        amount[y == 1, -1] += 50
    if leaking == "all":
        amount[y == 1] += 50
    table = EventTable(
        name="calls",
        role="events",
        subject=np.repeat(np.arange(n), n_events),
        time=np.tile(np.arange(n_events) * DAY, n),
        columns=pa.table({"amount": amount.ravel()}),
    )
    return (
        Relations(
            rows=pd.DataFrame(index=range(n)),
            subjects={"calls": np.arange(n)},
            cut_off=np.full(n, n_events * DAY),
            tables={"calls": table},
        ),
        y,
    )


def found(leaking: str | None) -> list[dict[str, object]]:
    data, y = relations(leaking=leaking)
    return suspicions(data, y, Featurizer.fit(data, ["calls.aggregates"], seed=0))


def test_an_event_written_because_of_the_outcome():
    warnings = found("last")
    assert warnings
    assert warnings[0]["code"] == "feature_leakage_suspected"
    assert "just before the cut-off" in str(warnings[0]["detail"])
    assert "days" in str(warnings[0]["detail"])


def test_a_table_written_afterwards():
    warnings = found("all")
    assert any("earlier events tell as much" in str(one["detail"]) for one in warnings)


def test_honest_features_are_not_named():
    assert found(None) == []
