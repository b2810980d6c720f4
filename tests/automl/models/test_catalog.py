"""Names, refinements and expected costs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import optuna
import pytest

from automl.errors import DataError
from automl.meta.portfolio import NAMED
from automl.models.catalog import CATALOG, build, expected_cpu_seconds, family, load
from automl.models.trees import check_nodes
from automl.trial import Candidate
from tests.contracts.test_models import INFO, rows

SHAPES = [(n_rows, n_columns) for n_rows in (500, 6600, 100_000) for n_columns in (5, 20, 80)]


@pytest.mark.parametrize(
    ("candidate", "rung", "match"),
    [
        (Candidate(model="nonesuch"), "final", "not in the catalog"),
        (Candidate(model="logistic", params={"D": 1}), "final", "no parameter"),
        (Candidate(model="logistic", params={"C": 1}), "late", "rung 'late'"),
    ],
)
def test_what_is_unknown_is_named(candidate: Candidate, rung: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build(candidate, encoder_info=INFO, seed=0, rung=rung)


def test_families() -> None:
    assert {name: family(candidate) for name, candidate in NAMED.items()} == {
        "L15": "boosting",
        "L255": "boosting",
        "Lps": "boosting",
        "Lnb10": "boosting",
        "LightGBM default": "boosting",
        "R15": "rated",
        "S15": "boosting",
        "LRq": "linear",
        "KLR": "kernel",
        "ETs": "forest",
        "ETd": "forest",
        "RF": "forest",
        "balanced forest": "balanced",
        "SMOTE + L15": "resampled",
    }


@pytest.mark.parametrize("name", NAMED)
def test_expected_cost_is_pure_and_grows_with_the_table(name: str) -> None:
    candidate = NAMED[name]
    seconds = {shape: expected_cpu_seconds(candidate, *shape) for shape in SHAPES}
    assert seconds == {shape: expected_cpu_seconds(candidate, *shape) for shape in SHAPES}
    for (n_rows, n_columns), value in seconds.items():
        assert 0 < value < 600
        assert expected_cpu_seconds(candidate, 2 * n_rows, n_columns) > value
        assert expected_cpu_seconds(candidate, n_rows, 2 * n_columns) >= value


def test_expected_cost_follows_what_a_parameter_adds() -> None:
    def seconds(model: str, **params: object) -> float:
        return expected_cpu_seconds(Candidate(model=model, params=params), 20_000, 20)

    assert seconds("lightgbm", num_leaves=127) > seconds("lightgbm", num_leaves=15)
    assert seconds("lightgbm", rounds=400) > 2 * seconds("lightgbm", rounds=100)
    assert seconds("lightgbm", learning_rate=0.02) > seconds("lightgbm", learning_rate=0.1)
    assert seconds("extra_trees", max_features=1.0) > seconds("extra_trees")
    assert seconds("extra_trees") < seconds("random_forest")
    few = expected_cpu_seconds(NAMED["RF"], 20_000, 20, n_trees=20)
    assert seconds("random_forest") / 3.1 < few < seconds("random_forest") / 2.5


@pytest.mark.parametrize("name", NAMED)
def test_refinements_are_candidates_of_the_same_model_that_fit(name: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    around = NAMED[name]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    made = [CATALOG[around.model].refine(around, study.ask()) for _ in range(4)]
    assert {candidate.model for candidate in made} == {around.model}
    assert len({candidate.id for candidate in made} | {around.id}) >= 4
    X, y = rows(300)
    for candidate in made:
        assert json.loads(json.dumps(candidate.params)) == candidate.params
        model = build(candidate, encoder_info=INFO, seed=0, n_trees=5, rounds=5)
        assert np.isfinite(model.fit(X, y).decision(X)).all()
    again = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert made[0].id == CATALOG[around.model].refine(around, again.ask()).id


def test_a_file_of_another_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"class": "os.system", "details": {}}')
    with pytest.raises(ValueError, match="not in the catalog"):
        load(tmp_path, "m")


def test_a_skops_file_with_another_type_is_refused(tmp_path: Path) -> None:
    from skops.io.exceptions import UntrustedTypesFoundException

    X, y = rows(300)
    build(NAMED["ETs"], encoder_info=INFO, seed=0, n_trees=3).fit(X, y).save(tmp_path, "m")
    with zipfile.ZipFile(tmp_path / "m.skops") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].decode()
    assert '"ExtraTreesClassifier"' in schema
    members["schema.json"] = schema.replace('"ExtraTreesClassifier"', '"Rogue"').encode()
    with zipfile.ZipFile(tmp_path / "m.skops", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UntrustedTypesFoundException):
        load(tmp_path, "m")


class Nodes:
    """A tree of three nodes, as scikit-learn shows it."""

    node_count, n_features = 3, 2
    children_left, children_right = np.array([1, -1, -1]), np.array([2, -1, -1])
    feature = np.array([0, -2, -2])


@pytest.mark.parametrize(
    "broken",
    [
        {"children_left": np.array([7, -1, -1])},
        {"children_right": np.array([-5, -1, -1])},
        {"children_left": np.array([0, -1, -1])},  # a loop
        {"feature": np.array([2, -2, -2])},
        {"feature": np.array([-1, -2, -2])},
        {"children_left": np.array([1, -1])},
        {"children_right": np.array([-1, -1, -1])},
    ],
)
def test_a_tree_that_points_outside_itself_is_refused(broken: dict[str, object]) -> None:
    check_nodes(Nodes)
    with pytest.raises(DataError) as caught:
        check_nodes(type("Broken", (Nodes,), broken))
    assert caught.value.code == "corrupt_model"
