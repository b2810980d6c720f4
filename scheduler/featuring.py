"""The tables around a job's rows: which features are worth computing, and what they are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.errors import Gone
from scheduler.records import StoredDataset
from scheduler.relating import LAYOUT
from scheduler.work import Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from automl.cost import Cost
    from automl.data.dataset import Dataset
    from automl.meters.base import Meter
    from automl.relations.stored import Stored
    from automl.search.around import Around
    from automl.search.champion import Champion

    Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Featured:
    """What a job computes of the tables around its rows.

    Parameters
    ----------
    around : what makes them
    groups : what was decided of each group of features, as JSON
    head : positions of some first rows, to measure predictions with
    """

    around: Around
    groups: tuple[Mapping[str, Any], ...]
    stored: Stored
    head: Positions

    def crowned(self, champion: Champion) -> Champion:
        """The champion with what makes its columns, but for those that none of its models uses."""
        return replace(champion, tables=self.around.using(used_columns(champion)))

    def in_use(self, champion: Champion, *, meter: Meter) -> tuple[Cost, float]:
        """What its features take beside its models: per 1,000 rows, and milliseconds for one."""
        from automl.meters.base import measure
        from automl.search.champion import PREDICT_ROWS, SINGLE_ROWS

        around = champion.tables or self.around
        relations = self.stored.relations(self.head, columns=around.reads())
        around.columns(relations)
        with measure(meter) as reading:
            around.columns(relations)
        took = []
        for i in range(min(SINGLE_ROWS, len(self.head))):
            one = self.stored.relations(self.head[i : i + 1], columns=around.reads())
            begun = time.process_time()
            around.columns(one)
            took.append(time.process_time() - begun)
        return reading.cost * (PREDICT_ROWS / len(self.head)), 1000 * statistics.median(took)

    def about(self, champion: Champion) -> dict[str, Any]:
        """What a receipt, a leaderboard and a card say of the tables."""
        around = self.around if champion.tables is None else champion.tables
        layout = self.stored.layout
        searched = dict(self.stored.bytes_read)
        return {
            "feature_groups": [dict(one) for one in self.groups],
            "not_read": around.not_read(),
            "storage": {
                **layout.storage(),
                "bytes_read_by_search": sum(searched.values()),
                "bytes_read_by_champion": champion_bytes(self.stored, around),
            },
        }


def featured(
    work: Work, stored: StoredDataset, dataset: Dataset, rows: Path
) -> tuple[Dataset, Featured]:
    """Choose the features of a job and add their columns to its rows."""
    import numpy as np
    import pandas as pd

    from automl.data.loading import places
    from automl.features.featurizer import Featurizer
    from automl.relations.spec import Spec
    from automl.relations.stored import Stored
    from automl.search.around import Around
    from automl.search.champion import PREDICT_ROWS
    from automl.search.feature_groups import chosen

    if stored.artifact is None or stored.spec is None:
        raise Gone("the data set was deleted")
    request = work.job.request
    seed = int(request.get("seed") or 0)
    tables = Stored(work.artifacts.path(stored.artifact) / LAYOUT)
    labelled, others = places(rows, request)
    relations = tables.relations(labelled.astype(np.int64), rows=dataset.X)
    found = chosen(
        relations,
        dataset,
        meter=work.meter,
        seed=seed,
        mode=request.get("mode") or "balanced",
    )
    featurizer = found.featurizer or Featurizer(groups=())
    columns = featurizer.transform(relations)
    unlabelled = dataset.unlabelled
    if unlabelled is not None:
        beside = tables.relations(
            others.astype(np.int64), rows=unlabelled, columns=featurizer.reads()
        )
        unlabelled = pd.concat([unlabelled, featurizer.transform(beside)], axis=1)
    about = dict((stored.profile or {})["relations"])
    around = Around(
        spec=Spec.from_json(about["spec"]),
        about=tables.layout.about,
        featurizer=featurizer,
        made=tuple(featurizer.columns),
        types=about.get("types") or {},
        reading=about.get("reading") or {},
    )
    X = pd.concat([dataset.X, columns], axis=1)
    made = replace(dataset, X=X, unlabelled=unlabelled)
    return made, Featured(
        around=around,
        groups=tuple(one.to_json() for one in found.decisions),
        stored=tables,
        head=labelled[:PREDICT_ROWS].astype(np.int64),
    )


def used_columns(champion: Champion) -> set[str]:
    """Columns that any model of a champion uses; all, where one of them does not tell."""
    import numpy as np

    from automl.models.boosting import Boosting

    origins = champion.encoder.origins
    used: set[str] = set()
    for member in champion.members:
        for fitted in member.models:
            if type(fitted.model) is not Boosting:
                return set(origins)
            splits = fitted.model.booster.feature_importance("split")
            used |= {origins[at] for at in np.flatnonzero(splits[: len(origins)])}
    return used


def champion_bytes(stored: Stored, around: Around) -> int:
    """Bytes on disk of the columns that a champion reads of all entities' events."""
    import pyarrow.parquet as pq

    from automl.relations.layout import SUBJECT, TIME

    total = 0
    for name, columns in around.reads().items():
        for part in stored.layout.tables[name].parts:
            wanted = {SUBJECT, TIME, *columns}
            metadata = pq.read_metadata(stored.folder / part.file)
            for i in range(metadata.num_row_groups):
                group = metadata.row_group(i)
                total += sum(
                    group.column(j).total_compressed_size
                    for j in range(group.num_columns)
                    if group.column(j).path_in_schema in wanted
                )
    return total
