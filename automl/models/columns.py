"""What models without a notion of categories or missing cells need before them."""

from __future__ import annotations

from collections.abc import Collection

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

from automl.data.encoding import EncoderInfo


def for_linear(
    info: EncoderInfo, *, n_quantiles: int, seed: int, without: Collection[int] = ()
) -> ColumnTransformer:
    """Median fill and normal scores for numbers, one-hot for few levels, frequency for many.

    The numbers come out first, in the order of `linear_numbers`; those in `without` not at all.
    """
    numbers = make_pipeline(
        _median(),
        QuantileTransformer(
            n_quantiles=n_quantiles, output_distribution="normal", random_state=seed
        ),
    )
    kept = [i for i in linear_numbers(info) if i not in without]
    return _columns(numbers, kept, info.where("category"))


def linear_numbers(info: EncoderInfo) -> list[int]:
    """Positions of the columns that a linear model takes as numbers."""
    return info.where("numeric", "frequency")


def for_trees(info: EncoderInfo) -> ColumnTransformer:
    """Median fill for numbers, ranks and frequencies, which come first, one-hot for few levels.

    Better than scikit-learn's own NaN splits: 0.75 against 0.65 on hmeq (docs/method.md, Columns).
    """
    return _columns(_median(), tree_numbers(info), info.where("category"))


def tree_numbers(info: EncoderInfo) -> list[int]:
    """Positions of the columns that trees take as numbers."""
    return info.where("numeric", "frequency", "rank")


def _median() -> SimpleImputer:
    # An all-missing column of a small sample becomes 0 rather than vanishing.
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _columns(
    numbers: Pipeline | SimpleImputer, numeric: list[int], categorical: list[int]
) -> ColumnTransformer:
    # A missing cell is a level of its own; one unseen in this sample is none of the levels.
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float32")
    parts = [("numbers", numbers, numeric), ("levels", levels, categorical)]
    return ColumnTransformer(
        [part for part in parts if part[2]], verbose_feature_names_out=False, sparse_threshold=0
    )
