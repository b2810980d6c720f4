"""The search over several tables: features first, then models, and both predict together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.data.dataset import Dataset
from automl.features.featurizer import Featurizer
from automl.meters.base import Meter
from automl.relations.tables import Relations
from automl.search.feature_groups import Chosen, chosen
from automl.search.run import SearchResult, search


@dataclass(frozen=True, kw_only=True)
class RelationalResult:
    """The features that earned their place, and what the search made of them."""

    features: Chosen
    found: SearchResult

    @property
    def featurizer(self) -> Featurizer | None:
        """What computes the columns that the champion was given; None where it was given none."""
        return self.features.featurizer

    def predict_proba(self, relations: Relations) -> npt.NDArray[np.float64]:
        """Calibrated probability of the positive class, shape (n_entities,)."""
        return self.found.champion.predict_proba(joined(relations.rows, relations, self.featurizer))


def search_relations(
    relations: Relations,
    dataset: Dataset,
    *,
    meter: Meter,
    seed: int = 0,
    mode: str = "balanced",
    groups: Sequence[str] | None = None,
    **options: Any,
) -> RelationalResult:
    """Find features and a model for entities with tables around them.

    Parameters
    ----------
    relations : entity rows and their tables, as many rows as the dataset and in its order
    dataset : Dataset
        With the columns of `relations.rows` that may be learnt from.
    groups : names of feature groups that may be proposed; all by default, none with ()
    options : as `automl.search.run.search` takes them
    """
    features = chosen(
        relations,
        dataset,
        meter=meter,
        seed=seed,
        mode=mode,
        groups=groups,
        objective=options.get("objective"),
        budget=options.get("budget"),
    )
    if options.get("budget") is not None:
        options["budget"] = options["budget"].less(features.cost)
    wide = replace(dataset, X=joined(dataset.X, relations, features.featurizer))
    found = search(wide, meter=meter, seed=seed, mode=mode, **options)
    return RelationalResult(features=features, found=found)


def joined(X: pd.DataFrame, relations: Relations, featurizer: Featurizer | None) -> pd.DataFrame:
    """Some columns of the entity rows, in the order of `relations`, with their features."""
    if featurizer is None:
        return X
    made = featurizer.transform(relations)
    return pd.concat([X.reset_index(drop=True), made.reset_index(drop=True)], axis=1)
