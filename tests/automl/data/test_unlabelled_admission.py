"""Rows without a target: what a ranking is made of, or why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.data.admission import MIN_RANKED, Admission, admit
from automl.data.loading import load_rows
from automl.data.tables import ReadingLimits, ReadingOptions, ingest
from automl.errors import DataError
from tests.api import tables


def admitted(
    folder: Path, rows: list[dict[str, Any]], **request: Any
) -> tuple[Admission, Path, dict[str, Any]]:
    source, stored = folder / "rows.csv", folder / "stored"
    source.write_bytes(tables.csv(rows))
    stored.mkdir()
    profile = ingest(source, stored, options=ReadingOptions(), limits=ReadingLimits())
    asked = {"target": None, **request}
    path = next(stored.glob("*.parquet"))
    return admit(path, asked, profile=profile), path, asked


def test_every_column_that_tells_rows_apart_is_taken(tmp_path: Path) -> None:
    rows = [{"constant": 1, **row} for row in tables.rows()]
    found, path, asked = admitted(tmp_path, rows, exclude=["age"])
    assert (found.n_rows, found.n_labelled, found.n_positive) == (tables.N_ROWS, 0, 0)
    assert [one["column"] for one in found.excluded] == ["constant"]
    frame = load_rows(path, asked, excluded=["constant"])
    assert list(frame.columns) == ["balance", "segment", "y"]
    assert len(frame) == tables.N_ROWS
    assert found.n_features == 3


def test_a_column_named_like_a_target_is_a_warning(tmp_path: Path) -> None:
    rows = [{"default": row.pop("y"), **row} for row in tables.rows()]
    found, _, _ = admitted(tmp_path, rows)
    assert [one["code"] for one in found.warnings] == ["target_suspected"]
    assert found.warnings[0]["column"] == "default"


def test_an_alert_rate_of_less_than_a_row_is_a_warning(tmp_path: Path) -> None:
    found, _, _ = admitted(tmp_path, tables.rows(60, n_positive=5), objective={"alert_rate": 0.001})
    assert "no_alerts" in [one["code"] for one in found.warnings]


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        admitted(tmp_path, tables.rows(MIN_RANKED - 1, n_positive=4))
    assert caught.value.code == "too_few_rows"


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        admitted(tmp_path, [{"a": 1, "b": "x"}] * 50)
    assert caught.value.code == "no_usable_features"
