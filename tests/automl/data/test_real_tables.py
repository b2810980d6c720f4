"""Real files of the shared data: our values against those of pandas and pyarrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from automl.data.admission import admit
from automl.data.loading import load
from automl.data.tables import ReadingLimits, ReadingOptions, ingest

pytestmark = pytest.mark.data
LIMITS = ReadingLimits()

# Raw files that need a word from the client, and which one.
DECLARED: dict[str, dict[str, Any]] = {
    "cmapss_fd001/train_FD001.txt.gz": {"delimiter": " ", "header": False},
    "hdfs/HDFS_2k.log_templates.csv.gz": {},
}


def store(source: Path, folder: Path, **options: Any) -> dict[str, Any]:
    return ingest(source, folder, options=ReadingOptions.from_json(options), limits=LIMITS)


def same(ours: pd.Series[Any], theirs: pd.Series[Any]) -> None:
    """Equal values; where theirs are texts of dates, or 0/1 of booleans, they are converted."""
    assert (ours.isna().to_numpy() == theirs.isna().to_numpy()).all()
    if pd.api.types.is_numeric_dtype(theirs) and not pd.api.types.is_bool_dtype(theirs):
        left, right = ours.astype(float).to_numpy(), theirs.astype(float).to_numpy()
        np.testing.assert_allclose(left, right, rtol=1e-15, atol=0)  # pandas rounds the last bit
    elif isinstance(ours.dtype, pd.DatetimeTZDtype):
        format = "%m/%d/%Y" if theirs.astype(str).str.contains("/").any() else "ISO8601"
        right_times = pd.to_datetime(theirs, format=format, utc=True)
        assert (ours.dropna() == right_times.dropna()).all()
    else:
        left, right = (one.dropna().astype(str).to_numpy(dtype=object) for one in (ours, theirs))
        assert (left == right).all()


def raw_files(shared_data: Path) -> list[Path]:
    kinds = ("*.csv.gz", "*.asc.gz", "*.txt.gz")
    found = (path for kind in kinds for path in shared_data.rglob(kind))
    return sorted(path for path in found if path.parent.name != "carbon")


def test_every_raw_text_table_is_read_as_pandas_reads_it(shared_data: Path, tmp_path: Path) -> None:
    files = raw_files(shared_data)
    assert len(files) > 20
    for source in files:
        options = DECLARED.get(f"{source.parent.name}/{source.name}", {})
        folder = tmp_path / source.name
        profile = store(source, folder, **options)
        ours = pq.read_table(folder / "rows.parquet").to_pandas()
        dialect = profile["dialect"]
        theirs = pd.read_csv(
            source,
            sep=dialect["delimiter"],
            decimal=dialect["decimal"],
            header=0 if dialect["header"] else None,
            encoding=dialect["encoding"],
            keep_default_na=False,
            na_values=[""],
            dtype={i: "str" for i, c in enumerate(profile["columns"]) if c["type"] == "string"},
        )
        assert ours.shape == theirs.shape == (profile["n_rows"], profile["n_columns"])
        for index, column in enumerate(profile["columns"]):
            right = theirs.iloc[:, index]
            if "NA means missing" in column["why"]:
                right = pd.to_numeric(right, errors="coerce")
            same(ours.iloc[:, index], right)


def test_every_parquet_of_the_catalog_is_kept_as_it_is(shared_data: Path, tmp_path: Path) -> None:
    catalog = json.loads((shared_data / "catalog.json").read_text())
    files = [name for entry in catalog for name in entry["files"] if name.endswith(".parquet")]
    assert len(files) > 30
    for index, name in enumerate(files):
        source = shared_data / name
        if source.stat().st_size > 1_000_000:
            continue
        folder = tmp_path / str(index)
        profile = store(source, folder)
        truth = pq.read_table(source)
        stored = pq.read_table(folder / "rows.parquet")
        assert stored.column_names == truth.column_names
        assert stored.num_rows == truth.num_rows == profile["n_rows"]
        for column in stored.column_names:
            same(stored[column].to_pandas(), truth[column].to_pandas())


def test_give_me_some_credit_is_admitted_and_loaded(shared_data: Path, tmp_path: Path) -> None:
    profile = store(shared_data / "give_me_some_credit" / "cs-training.csv.gz", tmp_path)
    assert profile["target_candidates"][0]["name"] == "SeriousDlqin2yrs"
    request = {"target": "SeriousDlqin2yrs", "exclude": ["row_id"]}
    admission = admit(tmp_path / "rows.parquet", request, profile=profile)
    assert (admission.n_rows, admission.n_positive, admission.n_features) == (150_000, 10_026, 10)
    dataset = load(tmp_path / "rows.parquet", request, excluded=[])
    assert dataset.X.shape == (150_000, 10)
    assert {str(kind) for kind in dataset.X.dtypes} == {"float32"}
    assert int(dataset.X["MonthlyIncome"].isna().sum()) == 29_731


def test_bank_marketing_is_admitted_and_loaded(shared_data: Path, tmp_path: Path) -> None:
    profile = store(shared_data / "bank_marketing" / "bank-additional-full.csv.gz", tmp_path)
    assert profile["dialect"]["delimiter"] == ";"
    request = {"target": "y", "positive": "yes", "exclude": ["duration"]}
    admission = admit(tmp_path / "rows.parquet", request, profile=profile)
    assert (admission.n_rows, admission.n_positive, admission.n_features) == (41_188, 4_640, 19)
    dataset = load(tmp_path / "rows.parquet", request, excluded=[])
    assert dataset.n_positive == 4_640
    assert isinstance(dataset.X["job"].dtype, pd.CategoricalDtype)


def test_an_honest_column_with_a_high_auc_is_a_warning(shared_data: Path, tmp_path: Path) -> None:
    catalog = json.loads((shared_data / "catalog.json").read_text())
    entry = next(one for one in catalog if one["name"] == "adb_cover")
    profile = store(shared_data / entry["files"][0], tmp_path)
    request = {"target": entry["target"], "positive": entry["positive"]}
    admission = admit(tmp_path / "rows.parquet", request, profile=profile)
    assert "leakage_suspected" in [warning["code"] for warning in admission.warnings]
