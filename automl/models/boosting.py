"""LightGBM, stopped early by average precision."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

# Before LightGBM loads OpenMP: on two contended cores spinning threads burnt 19 times the CPU.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from lightgbm.basic import ZERO_THRESHOLD

from automl.data.encoding import EncoderInfo
from automl.models.base import (
    Floats,
    Labels,
    Valid,
    X,
    check_columns,
    load_details,
    positive_rate,
    save_details,
)
from automl.models.rounds import (
    default_rounds,
    most_rounds,
    patience_on,
    rounds_between_scores,
)
from automl.models.rows import BLOCK_ROWS, RowsOf

FIXED = {
    "objective": "binary",
    # Whatever the objective: docs/method.md, Objective.
    "metric": "average_precision",
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
# LightGBM finds bins on so many rows (its `bin_construct_sample_cnt`); matrices of fewer cells are
# small whatever is made of them.
SAMPLED_ROWS, LEAST_CELLS = 200_000, 2_000_000
# With many columns, trees that all see the same few best ones are alike: on 258 columns of a bank's
# tables (682 rows, 76 positives, 5 x 2 halves) a share of 0.3 for each tree ranked at 0.919, 0.8 at
# 0.907. Narrow tables keep theirs.
WIDE_COLUMNS, WIDE_FRACTION = 100, 0.3
TUNABLE = (
    "learning_rate",
    "num_leaves",
    "min_data_in_leaf",
    "feature_fraction",
    "bagging_fraction",
    "bagging_freq",
    "lambda_l2",
    "path_smooth",
    "max_bin",
)


class _Blocks(lgb.Sequence):
    """Rows that LightGBM bins block by block; the bins and the trees are the same."""

    def __init__(self, rows: RowsOf) -> None:
        self.rows, self.batch_size = rows, BLOCK_ROWS

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> npt.NDArray[Any]:
        if isinstance(which, slice):
            return self.rows[which]
        row: npt.NDArray[np.float64] = self.rows[which : which + 1][0].astype(np.float64)
        return row


class _Binned(lgb.Dataset):
    """Rows in bins, of which those that the bins are found on are not copied twice.

    LightGBM 4 makes a list of 200,000 rows, then a matrix of it, then columns: with 43 columns,
    170 MB before the first tree. Where it asks by another name for them, it does so again.
    """

    def _Dataset__sample(
        self, *, seqs: list[_Blocks], total_nrow: int
    ) -> tuple[list[Floats], list[npt.NDArray[np.int32]]]:
        (blocks,) = seqs
        wanted = blocks.rows.rows[self._create_sample_indices(total_nrow=total_nrow)]
        everywhere = np.arange(len(wanted), dtype=np.int32)
        values, places = [], []
        for i in range(blocks.rows.shape[1]):
            column = blocks.rows.matrix[wanted, i].astype(np.float64)
            told = ~(np.abs(column) <= ZERO_THRESHOLD)  # zeros are left out, missing cells are not
            full = bool(told.all())
            values.append(column if full else column[told])
            places.append(everywhere if full else everywhere[told])
        return values, places


def _binned(X: X | RowsOf, y: npt.NDArray[Any], **options: Any) -> lgb.Dataset:
    """Rows for LightGBM to grow trees on.

    Of a matrix its own sampling grows lists of cells and of their places, four times the matrix.
    Up to `SAMPLED_ROWS` all rows are its sample whichever way they come, and the bins the same.
    """
    if not isinstance(X, RowsOf) and X.size > LEAST_CELLS and len(X) <= SAMPLED_ROWS:
        X = RowsOf(matrix=X, rows=np.arange(len(X)))
    if isinstance(X, RowsOf):
        return _Binned(_Blocks(X), y, **options)
    return lgb.Dataset(X, y, **options)


def _readable(X: X | RowsOf) -> X | _Blocks:
    return _Blocks(X) if isinstance(X, RowsOf) else X


class Boosting:
    """Gradient boosted trees; with `valid` they stop `patience` rounds after the best.

    Parameters
    ----------
    params : mapping
        LightGBM's own names in `TUNABLE`; ``negatives_per_positive``, which bags that many
        negatives beside all positives for each tree where they are rarer; ``rounds``, a fixed
        number of trees whatever `valid` says.
    rounds : int, optional
        The number of trees without `valid` (a refit).
    """

    def __init__(
        self,
        *,
        params: Mapping[str, Any],
        info: EncoderInfo,
        seed: int,
        patience: int,
        rounds: int | None = None,
    ) -> None:
        self.params, self.info, self.seed, self.patience = dict(params), info, seed, patience
        self.rounds = rounds
        self.details: dict[str, Any] = {}
        self._booster: lgb.Booster | None = None

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Grow trees; see `FittableModel.fit`."""
        check_columns(X, len(self.info.kinds))
        rate = positive_rate(y, sample_weight)
        params = self._lightgbm(y)
        train = _binned(X, y, weight=sample_weight, feature_name=self.info.names, params=params)
        booster = lgb.Booster(params, train)
        if valid is not None and "rounds" not in self.params:
            positive_rate(valid[1], None)
            judge = train.create_valid(_readable(valid[0]), valid[1], weight=valid[2])
            patience = patience_on(len(y), self.patience)
            best = self._stopped(booster, judge, patience=patience)
        else:
            best = _grown(booster, default_rounds(self.params, self.rounds))
        # Through its text at once: the trained booster keeps the binned rows, and the loaded
        # one is what predicts after saving, so both are the same bit by bit.
        self._read(booster.model_to_string(num_iteration=best))
        self.details |= {
            "best_iteration": best,
            "n_rounds": booster.current_iteration(),
            "positive_rate": rate,
            "n_columns": X.shape[1],
        }
        return self

    def decision(self, X: X) -> Floats:
        """Logits, shape (n_rows,)."""
        check_columns(X, self.details["n_columns"])
        if not len(X):
            return np.empty(0)
        return np.asarray(self.booster.predict(X, raw_score=True, num_threads=1), np.float64)

    @property
    def booster(self) -> lgb.Booster:
        """The fitted trees."""
        if self._booster is None:
            raise ValueError("this model is not fitted yet")
        return self._booster

    def save(self, folder: Path, stem: str) -> list[str]:
        """Write ``stem.txt``, LightGBM's own text, and ``stem.json``."""
        (folder / f"{stem}.txt").write_text(self.booster.model_to_string(), encoding="utf-8")
        return [f"{stem}.txt", save_details(self, folder, stem)]

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """Read what `save` wrote."""
        details = load_details(folder, stem)["details"]
        model = cls(params={}, info=EncoderInfo.numeric(details["n_columns"]), seed=0, patience=0)
        model.details = details
        model._read((folder / f"{stem}.txt").read_text(encoding="utf-8"))
        return model

    def _stopped(self, booster: lgb.Booster, judge: lgb.Dataset, *, patience: int) -> int:
        """Grow until `patience` rounds after the best score, or the most; the best round."""
        booster.add_valid(judge, "valid")
        most = most_rounds(self.params)
        every = rounds_between_scores(self.params)
        best, best_score = 1, -1.0
        while booster.current_iteration() < most:
            wanted = min(every, most - booster.current_iteration())
            at = booster.current_iteration() + _grown(booster, wanted)
            score = booster.eval_valid()[0][2]
            if score > best_score:
                best, best_score = max(at, 1), score
            elif at - best >= patience:
                break
            if at % every and at < most:
                break  # no tree found a split any more
        return best

    def _read(self, text: str) -> None:
        self._booster = lgb.Booster(model_str=text)

    @property
    def settings(self) -> dict[str, Any]:
        """LightGBM's parameters, as far as they do not follow from the labels."""
        params: dict[str, Any] = {**FIXED, "seed": self.seed}
        params |= {name: value for name, value in self.params.items() if name in TUNABLE}
        if len(self.info.kinds) > WIDE_COLUMNS:
            share = params.get("feature_fraction", 1.0)
            params["feature_fraction"] = min(share, WIDE_FRACTION)
        if self.info.monotone:
            # LightGBM 4.7's smoothed leaves broke the direction, by 0.02 of a logit.
            params.pop("path_smooth", None)
            params |= {
                "monotone_constraints": list(self.info.monotone),
                "monotone_constraints_method": "intermediate",
            }
        return params

    def _lightgbm(self, y: Labels) -> dict[str, Any]:
        params = self.settings
        wanted = self.params.get("negatives_per_positive")
        n_positive = int((y == 1).sum())
        share = (wanted or 0) * n_positive / (len(y) - n_positive)
        if wanted and share < 1:
            params |= {"pos_bagging_fraction": 1.0, "neg_bagging_fraction": share}
            params |= {"bagging_freq": 1}
        return params


def regressed(
    X: X,
    target: Floats,
    *,
    params: Mapping[str, Any],
    info: EncoderInfo,
    seed: int,
    rounds: int,
    sample_weight: Floats | None = None,
) -> Boosting:
    """Trees fitted to numbers by least squares, here the logits of another model, (n_rows,)."""
    model = Boosting(params=params, info=info, seed=seed, patience=0, rounds=rounds)
    settings = model.settings | {"objective": "regression", "metric": "none"}
    train = lgb.Dataset(X, target, weight=sample_weight, feature_name=info.names, params=settings)
    booster = lgb.Booster(settings, train)
    grown = _grown(booster, rounds)
    model._read(booster.model_to_string())
    model.details |= {"best_iteration": grown, "n_rounds": grown, "n_columns": X.shape[1]}
    return model


def continued(
    old: Boosting,
    X: X,
    y: Labels,
    *,
    params: Mapping[str, Any],
    info: EncoderInfo,
    seed: int,
    rounds: int,
    sample_weight: Floats | None = None,
) -> Boosting:
    """The trees of `old`, and `rounds` more fitted to what they leave unexplained on these rows.

    Where nothing is drawn (all rows and columns in every round), going on for some rounds on the
    same rows gives the trees that were grown at once, bit by bit. Where rows or columns are drawn,
    the draws begin anew: give another seed than that of `old`. Trees cut encoded cells: the rows
    have to come from the very encoder that those of `old` came from.

    Raises
    ------
    ValueError
        The trees of `old` read other columns.
    """
    check_columns(X, len(info.kinds))
    if old.details["n_columns"] != len(info.kinds):
        raise ValueError(
            f"the trees to go on with read {old.details['n_columns']} other columns, "
            f"not these {len(info.kinds)}"
        )
    rate = positive_rate(y, sample_weight)
    model = Boosting(params=params, info=info, seed=seed, patience=0, rounds=rounds)
    settings = model._lightgbm(y) | {"metric": "none"}
    train = lgb.Dataset(X, y, weight=sample_weight, feature_name=info.names, params=settings)
    booster = lgb.train(settings, train, num_boost_round=rounds, init_model=old.booster)
    model._read(booster.model_to_string())
    grown = int(booster.num_trees())
    model.details |= {
        "best_iteration": grown,
        "n_rounds": grown,
        "n_continued": grown - int(old.booster.num_trees()),
        "positive_rate": rate,
        "n_columns": X.shape[1],
    }
    return model


def _grown(booster: lgb.Booster, n_rounds: int) -> int:
    """Add so many trees, or fewer where no split is left; how many were added."""
    before = booster.current_iteration()
    for _ in range(n_rounds):
        if booster.update():
            break
    return int(booster.current_iteration()) - before
