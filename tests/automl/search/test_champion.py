"""A champion predicts by column name, saves without pickle, and refuses altered files."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.errors import DataError
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.champion import Champion
from automl.search.metrics import average_precision
from automl.search.objective import Objective
from automl.search.run import SearchResult, search
from tests.automl.search.problems import rare


@pytest.fixture(scope="module")
def result() -> SearchResult:
    return search(rare(), meter=CpuTimeMeter(), mode="balanced", pick="most_accurate")


@pytest.fixture(scope="module")
def champion(result: SearchResult) -> Champion:
    return result.champion


@pytest.fixture
def saved(champion: Champion, tmp_path: Path) -> tuple[Path, str]:
    return tmp_path / "model", champion.save(tmp_path / "model")


def test_it_loads_what_it_saved_bit_for_bit(champion: Champion, saved: tuple[Path, str]) -> None:
    folder, sha256 = saved
    X = rare(seed=3).X
    loaded = Champion.load(folder, sha256=sha256)
    assert len(champion.members) > 1  # an ensemble of several families here
    np.testing.assert_array_equal(loaded.predict_proba(X), champion.predict_proba(X))
    np.testing.assert_array_equal(loaded.alert(X), champion.alert(X))
    assert loaded.card() == json.loads(json.dumps(champion.card()))
    for name, array in champion.out_of_fold.items():
        np.testing.assert_array_equal(loaded.out_of_fold[name], array)


def test_saving_it_again_gives_the_same_files(
    champion: Champion, saved: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = saved
    champion.save(tmp_path / "again")
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        p.name for p in (tmp_path / "again").iterdir()
    )


def test_five_lines_in_a_fresh_interpreter_predict(
    champion: Champion, saved: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = saved
    X = rare(seed=4).X.head(20)
    X.to_parquet(tmp_path / "rows.parquet")
    script = (
        "import sys, pandas as pd\n"
        "from automl import Champion\n"
        "champion = Champion.load(sys.argv[1])\n"
        "X = pd.read_parquet(sys.argv[2])\n"
        "print(champion.predict_proba(X).tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, folder, tmp_path / "rows.parquet"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == champion.predict_proba(X).tolist()


def test_nothing_is_pickled(saved: tuple[Path, str]) -> None:
    folder, _ = saved
    suffixes = {path.suffix for path in folder.iterdir()}
    assert suffixes <= {".json", ".txt", ".skops", ".npz"}
    with np.load(folder / "out_of_fold.npz", allow_pickle=False) as arrays:
        assert {"rows", "y", "weight", "probability"} <= set(arrays.files)


def test_the_manifest_lists_every_other_file(saved: tuple[Path, str]) -> None:
    folder, _ = saved
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {p.name for p in folder.iterdir()} - {"manifest.json"}
    assert [c["name"] for c in manifest["schema"]] == ["a", "b", "c", "d", "region"]
    assert [c["type"] for c in manifest["schema"]] == ["number"] * 4 + ["category"]
    assert {"lightgbm", "scikit-learn", "numpy", "python"} <= set(manifest["versions"])


def test_one_flipped_bit_in_any_file_is_refused(saved: tuple[Path, str]) -> None:
    folder, sha256 = saved
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        rotten = bytearray(whole)
        rotten[len(rotten) // 2] ^= 1
        path.write_bytes(bytes(rotten))
        with pytest.raises(DataError) as caught:
            Champion.load(folder, sha256=sha256)
        assert caught.value.code == "corrupt_model"
        path.write_bytes(whole)
    Champion.load(folder, sha256=sha256)


def test_a_missing_file_or_folder_is_refused(saved: tuple[Path, str]) -> None:
    folder, sha256 = saved
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(DataError, match="missing") as caught:
            Champion.load(folder)
        assert caught.value.code == "corrupt_model"
        path.write_bytes(whole)
    with pytest.raises(DataError):
        Champion.load(folder / "nowhere", sha256=sha256)


def altered(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def test_a_manifest_of_another_kind_is_refused(saved: tuple[Path, str]) -> None:
    folder, _ = saved
    kinds: list[dict[str, Any]] = [
        {"format": 99},
        {"files": {}},
        {"files": {"../outside.txt": "0" * 64}},
        {"files": {"/etc/hostname": "0" * 64}},
        {"files": None},
    ]
    for changes in kinds:
        original = (folder / "manifest.json").read_text()
        altered(folder, **changes)
        with pytest.raises(DataError) as caught:
            Champion.load(folder)
        assert caught.value.code == "corrupt_model"
        (folder / "manifest.json").write_text(original)


def test_a_replaced_folder_is_refused_by_the_checksum_kept_elsewhere(
    saved: tuple[Path, str],
) -> None:
    folder, sha256 = saved
    altered(folder, provenance={})
    Champion.load(folder)  # consistent in itself
    with pytest.raises(DataError, match="SHA-256"):
        Champion.load(folder, sha256=sha256)


def test_it_is_saved_into_a_new_folder_only(champion: Champion, saved: tuple[Path, str]) -> None:
    with pytest.raises(FileExistsError):
        champion.save(saved[0])


def test_columns_are_found_by_name(champion: Champion) -> None:
    X = rare(seed=5).X
    expected = champion.predict_proba(X)
    shuffled = X[["region", "d", "a", "c", "b"]].assign(extra=1)
    np.testing.assert_array_equal(champion.predict_proba(shuffled), expected)
    report = champion.check(shuffled)
    assert report["extra_columns"] == ["extra"]
    assert report["missing_columns"] == []


def test_a_missing_column_is_an_error_that_names_it(champion: Champion) -> None:
    X = rare(seed=5).X.drop(columns=["a", "region"])
    assert champion.check(X)["missing_columns"] == ["a", "region"]
    with pytest.raises(DataError, match="'a'") as caught:
        champion.predict_proba(X)
    assert caught.value.code == "missing_columns"
    assert caught.value.details == {"columns": ["a", "region"]}


def test_unseen_categories_and_far_numbers_are_counted_and_predicted(champion: Champion) -> None:
    X = rare(seed=5).X
    X.loc[:9, "region"] = "mars"
    X.loc[:4, "a"] = 1e9
    report = champion.check(X)
    assert report["unseen_categories"] == {"region": 10}
    assert report["out_of_range"]["a"] == pytest.approx(5 / len(X), abs=0.01)
    assert report["out_of_range_share"] >= report["out_of_range"]["a"]
    assert np.isfinite(champion.predict_proba(X)).all()
    assert "mars" not in json.dumps(report)


def test_missing_cells_and_other_types_of_the_same_numbers(champion: Champion) -> None:
    X = rare(seed=5).X
    probability = champion.predict_proba(X.assign(a=np.nan, region=None))
    assert ((probability > 0) & (probability < 1)).all()
    np.testing.assert_array_equal(
        champion.predict_proba(X.assign(region=X["region"].astype("category"))),
        champion.predict_proba(X),
    )


def test_no_rows_give_no_predictions(champion: Champion) -> None:
    X = rare(seed=5).X.head(0)
    assert champion.predict_proba(X).shape == (0,)
    assert champion.alert(X).shape == (0,)
    assert champion.check(X)["n_rows"] == 0


def test_rows_are_predicted_one_by_one_as_all_at_once(champion: Champion) -> None:
    X = rare(seed=6).X.head(30)
    alone = [champion.predict_proba(X.iloc[[i]])[0] for i in range(len(X))]
    np.testing.assert_allclose(alone, champion.predict_proba(X), rtol=1e-5)


def test_the_threshold_alerts_about_the_wanted_share() -> None:
    for rate in (0.02, 0.1):
        found = search(
            rare(8000, n_positive=800),
            meter=CpuTimeMeter(),
            mode="eco",
            objective=Objective(alert_rate=rate),
        )
        other = rare(8000, n_positive=800, seed=9)
        assert found.champion.alert(other.X).mean() == pytest.approx(rate, rel=0.4)
        assert found.champion.alert_rate == rate


def test_finalists_out_of_fold_scores_are_kept(result: SearchResult) -> None:
    arrays = result.champion.out_of_fold
    dataset = rare()
    np.testing.assert_array_equal(arrays["y"], dataset.y[arrays["rows"]])
    for trial in result.trials:
        if f"logit_{trial.number}" in arrays:
            found = average_precision(
                arrays["y"], arrays[f"logit_{trial.number}"], arrays["weight"]
            )
            assert found == pytest.approx(trial.score)
    assert average_precision(arrays["y"], arrays["probability"], arrays["weight"]) == pytest.approx(
        result.champion.scores["average_precision"]
    )
    assert sum(name.startswith("logit_") for name in arrays) >= 2


def test_the_card_has_what_a_reader_needs_and_no_cell(champion: Champion) -> None:
    card = champion.card()
    text = json.dumps(card)  # JSON values only
    assert sum(member["weight"] for member in card["members"]) == pytest.approx(1)
    assert card["scores"]["expected_calibration_error"] < 0.05
    assert card["provenance"]["n_positive"] == 90
    assert "north" not in text


def test_the_card_tells_on_how_many_rows_each_member_was_fitted(tmp_path: Path) -> None:
    dataset = rare(51_000, n_positive=200, with_category=False)
    champion = search(dataset, meter=CpuTimeMeter(), mode="eco").champion
    told = [member["fitted_rows"] for member in champion.card()["members"]]
    # Twenty negatives for each positive, or three times those rows where that gained.
    assert set(told) <= {200 * 21, 3 * 200 * 21}
    assert 200 * 21 in told
    champion.save(tmp_path / "model")
    kept = [member["fitted_rows"] for member in Champion.load(tmp_path / "model").card()["members"]]
    assert kept == told


def test_a_champion_saved_before_its_rows_were_counted_loads_without(
    champion: Champion, saved: tuple[Path, str]
) -> None:
    folder, _ = saved
    assert {m["fitted_rows"] for m in champion.card()["members"]} == {1200}
    state = json.loads((folder / "champion.json").read_text())
    for member in state["members"]:
        for model in member["models"]:
            del model["n_rows"]
    (folder / "champion.json").write_text(json.dumps(state))
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256((folder / "champion.json").read_bytes()).hexdigest()
    manifest["files"]["champion.json"] = digest
    (folder / "manifest.json").write_text(json.dumps(manifest))
    old = Champion.load(folder)
    assert {m["fitted_rows"] for m in old.card()["members"]} == {None}
    X = rare(seed=3).X
    np.testing.assert_array_equal(old.predict_proba(X), champion.predict_proba(X))


def test_timestamps_are_features_too(tmp_path: Path) -> None:
    dataset = rare(800, n_positive=120)
    opened = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        np.where(dataset.y == 1, 5, 100) + np.arange(800) % 50, unit="D"
    )
    X = dataset.X.assign(opened=opened)
    found = search(type(dataset)(X=X, y=dataset.y), meter=CpuTimeMeter(), mode="eco")
    assert found.champion.scores["average_precision"] > 0.8
    sha256 = found.champion.save(tmp_path / "m")
    loaded = Champion.load(tmp_path / "m", sha256=sha256)
    np.testing.assert_array_equal(loaded.predict_proba(X), found.champion.predict_proba(X))
