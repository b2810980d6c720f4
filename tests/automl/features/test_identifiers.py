from __future__ import annotations

import numpy as np
import pytest

from automl.features.aggregates import Aggregates
from automl.features.identifiers import identifiers
from tests.automl.features.making import event_table, relations

N = 600


def _made(role="events", n_rows=20):
    rng = np.random.default_rng(0)
    table = event_table(
        subject=np.arange(N) % 20,
        time=np.arange(N),
        columns={
            "serial": np.arange(N) * 7 + 1000,
            "amount": rng.integers(0, 10**9, N),
            "cents": rng.integers(0, 500, N),
            "account_id": rng.integers(0, 50, N),
            "clientId": rng.integers(0, 50, N),
            "paid": rng.integers(0, 50, N),
            "weight": np.arange(N) + 0.5,
        },
        role=role,
    )
    cut_off = np.full(n_rows, float(N))
    return relations(table, subjects=np.arange(n_rows) % 20, cut_off=cut_off)


def _found(made):
    table = made.tables["trans"]
    return identifiers(table, made.spans("trans"), table.columns.column_names)


@pytest.mark.parametrize("n_rows", [20, 60])
def test_serial_numbers_and_what_is_called_an_id_are_no_amounts(n_rows):
    # With 60 entity rows each event is seen three times and counts once.
    assert _found(_made(n_rows=n_rows)) == {"serial", "account_id", "clientId"}


def test_readings_of_a_series_may_only_rise():
    assert _found(_made(role="series")) == {"account_id", "clientId"}


def test_they_are_not_summed_up():
    made = _made()
    group = Aggregates().fit(made.tables["trans"], made.spans("trans"), seed=0)
    assert set(group.reads) == {"amount", "cents", "paid", "weight"}


def test_nothing_is_seen():
    made = _made()
    assert _found(relations(made.tables["trans"], subjects=[99], cut_off=[5.0])) == {
        "account_id",
        "clientId",
    }
