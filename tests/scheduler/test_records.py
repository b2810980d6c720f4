"""Which states are final, and that no record changes under its reader."""

from __future__ import annotations

import dataclasses

import pytest

from scheduler import records
from scheduler.records import FINAL, JobState


def test_the_four_final_states() -> None:
    final = {state for state in JobState if state.is_final}
    assert final == FINAL
    assert {str(state) for state in final} == {"DONE", "FAILED", "CANCELLED", "QUARANTINED"}


@pytest.mark.parametrize(
    "name", ["Project", "Token", "StoredDataset", "Job", "StoredTrial", "Phase", "Event", "Model"]
)
def test_records_are_frozen_and_keyword_only(name: str) -> None:
    record = getattr(records, name)
    assert record.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(record))
