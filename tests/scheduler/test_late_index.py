"""A job learns from entities whose labels came after the files in place were scanned."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl.errors import DataError
from automl.relations.sampled import first_and_positive
from automl.relations.stored import Stored
from scheduler import late_index
from scheduler.late_index import FOLDER, PART, leading_to
from tests.scheduler.test_rewriting import READ, N, made_of, put_together

__all__ = ["made_of"]  # a fixture

NOW = "2025-01-01T00:00:00+00:00"
LATE = np.array([N - 1, N // 2], dtype=np.int64)


@pytest.fixture
def scanned(
    made_of: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Stored, Stored, Any]:
    """All rows; tables with an index of the first twenty entities; and a job on those."""
    whole, _ = put_together(made_of, tmp_path / "whole", now=NOW)
    monkeypatch.setitem(first_and_positive.__kwdefaults__, "n_rows", 20)
    stored, relations = put_together(made_of, tmp_path / "some", now=NOW)
    sources = {**made_of, "relations": relations}
    monkeypatch.setattr(late_index, "made_of", lambda *_, **__: sources)
    work = SimpleNamespace(
        job=SimpleNamespace(id="a"),
        store=None,
        settings=None,
        artifacts=SimpleNamespace(path=lambda key: tmp_path / key),
    )
    (tmp_path / "jobs" / "a").mkdir(parents=True)
    return whole, stored, work


def test_entities_labelled_late_are_looked_for_once(
    scanned: tuple[Stored, Stored, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stored, work = scanned
    with pytest.raises(DataError):
        stored.relations(LATE, columns=READ)
    first = np.arange(20, dtype=np.int64)
    assert leading_to(work, None, stored, first) is stored  # type: ignore[arg-type]
    (tmp_path / "jobs" / "a" / PART).mkdir()  # of a process that died
    found = leading_to(work, None, stored, LATE)  # type: ignore[arg-type]
    for positions in (LATE, first):
        mine, theirs = (one.relations(positions, columns=READ) for one in (found, whole))
        here, there = mine.tables["visits"], theirs.tables["visits"]
        assert np.array_equal(here.subject, there.subject)
        assert here.columns["euros"].to_pylist() == there.columns["euros"].to_pylist()
    assert found.bytes_read["visits"] > 0
    monkeypatch.setattr(late_index, "for_positions", None)  # whoever resumes it scans nothing
    again = leading_to(work, None, stored, LATE)  # type: ignore[arg-type]
    assert again.folder == found.folder
    assert again.folder.parent == tmp_path / "jobs" / "a" / FOLDER


def test_where_the_files_are_not_known_any_more_reading_says_what_is_missing(
    scanned: tuple[Stored, Stored, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stored, work = scanned
    monkeypatch.setattr(late_index, "made_of", lambda *_, **__: None)
    found = leading_to(work, None, stored, LATE)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        found.relations(LATE, columns=READ)
    assert caught.value.code == "not_indexed"
    assert "once more" in str(caught.value)
