"""The tables around a job's rows: which features are worth computing, and what they are."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.errors import Gone
from scheduler.late_index import leading_to
from scheduler.reading import objective_of
from scheduler.records import StoredDataset
from scheduler.relating import LAYOUT
from scheduler.work import CANCELLED, Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from automl.cost import Budget, Cost
    from automl.data.dataset import Dataset
    from automl.features.featurizer import Featurizer
    from automl.meters.base import Meter
    from automl.relations.stored import Stored
    from automl.search.anomaly import AnomalyRanker
    from automl.search.around import Around
    from automl.search.champion import Champion
    from automl.search.start import Start

    Positions = npt.NDArray[np.int64]

CHOICE = "features.json"  # beside the job's other files
CHOSEN_WITH = "features_chosen_with_positives"
# Of more positives the events are not read: fewer than of a plain table, since a positive's events
# are read wherever they lie.
MOST_POSITIVES = 20_000
# Of a night's challenger features are chosen anew once the positives have grown by half since they
# were. The standard error of what decided is then a fifth too large; and each choice reads as much
# more as the one before it, so all of them together take no more than three times the last one.
MORE_POSITIVES = 1.5


@dataclass(frozen=True, kw_only=True)
class Featured:
    """What a job computes of the tables around its rows.

    Parameters
    ----------
    around : what makes them
    groups : what was decided of each group of features, as JSON
    warnings : of features that look too good, and of a choice that its budget ended
    stop : why the choice ended before all groups were looked at, as `Stop.to_json`; else None
    chosen_with : positives by which the features were chosen; None where that is not known
    positions : of the rows that are learnt from, as they are stored
    of_rows : of how many rows they were taken
    cost : of choosing and computing the features
    taken_over : whether they are those of the champion that the search starts from
    """

    around: Around
    groups: tuple[Mapping[str, Any], ...]
    warnings: tuple[Mapping[str, Any], ...]
    stop: Mapping[str, Any] | None
    stored: Stored
    positions: Positions
    of_rows: int
    cost: Cost
    taken_over: bool = False
    chosen_with: int | None = None

    @property
    def head(self) -> Positions:
        """Some first rows, to measure predictions with."""
        from automl.search.champion import PREDICT_ROWS

        return self.positions[:PREDICT_ROWS]

    def crowned(self, champion: Champion) -> Champion:
        """The champion with what makes its columns, but for those that none of its models uses."""
        from automl.search.fitted import columns_used

        models = [fitted for member in champion.members for fitted in member.models]
        used = columns_used(models, champion.encoder.origins)
        told = {**champion.provenance, CHOSEN_WITH: self.chosen_with}
        return replace(champion, tables=self.around.using(used), provenance=told)

    def in_use(self, champion: Champion | AnomalyRanker, *, meter: Meter) -> tuple[Cost, float]:
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

    def about(self, champion: Champion | AnomalyRanker) -> dict[str, Any]:
        """What a receipt, a leaderboard and a card say of the tables."""
        around = self.around if champion.tables is None else champion.tables
        layout = self.stored.layout
        searched = dict(self.stored.bytes_read)
        return {
            "feature_groups": [dict(one) for one in self.groups],
            "features_stop": None if self.stop is None else dict(self.stop),
            "not_read": around.not_read(),
            "rows": {"learnt_from": len(self.positions), "of": self.of_rows},
            "storage": {
                **layout.storage(),
                "bytes_read_by_search": sum(searched.values()),
                "bytes_read_by_champion": champion_bytes(self.stored, around),
            },
        }


def featured(
    work: Work,
    stored: StoredDataset,
    dataset: Dataset,
    rows: Path,
    *,
    budget: Budget,
    kept: npt.NDArray[np.intp] | None = None,
    start: Start | None = None,
) -> tuple[Dataset, Featured]:
    """Choose the features of a job within its budget, and add their columns to its rows.

    Of more rows than finalists are fitted on, a part is taken, weighted to stand for all of them:
    nothing else would be read of their events.

    Parameters
    ----------
    kept : which of the rows with a label `dataset` has; None: all of them
    start : a champion to start from, whose features are taken over where they are all known and
        the rows have not grown so much that all is raced again
    """
    import numpy as np
    import pandas as pd

    from automl.data.loading import places
    from automl.meters.base import measure
    from automl.relations.stored import Stored
    from automl.search.feature_groups import sampled

    if stored.artifact is None or stored.spec is None:
        raise Gone("the data set was deleted")
    tables = Stored(work.artifacts.path(stored.artifact) / LAYOUT)
    labelled, others = (one.astype(np.int64) for one in places(rows, work.job.request))
    if kept is not None:
        labelled = labelled[kept]
    n_rows, unlabelled = dataset.n_rows, dataset.unlabelled
    part = taken(dataset)
    if part is not None:
        labelled, dataset = labelled[part], sampled(dataset, part)
    with measure(work.meter) as reading:
        needed = labelled if unlabelled is None else np.concatenate([labelled, others])
        tables = leading_to(work, stored, tables, needed)
        featurizer, told = _chosen(work, tables, labelled, dataset, budget=budget, start=start)
        columns = computed(tables, featurizer, labelled)
        if unlabelled is not None:
            beside = computed(tables, featurizer, others)
            unlabelled = pd.concat([unlabelled, beside], axis=1)
    around = around_with(featurizer, stored, tables)
    X = pd.concat([dataset.X, columns], axis=1)
    made = replace(dataset, X=X, unlabelled=unlabelled)
    return made, Featured(
        around=around,
        groups=tuple(told["groups"]),
        warnings=tuple(told["warnings"]),
        stop=told["stop"],
        stored=tables,
        positions=labelled,
        of_rows=n_rows,
        cost=reading.cost,
        taken_over=bool(told.get("taken_over")),
        chosen_with=told.get(CHOSEN_WITH),
    )


def around_with(featurizer: Featurizer, stored: StoredDataset, tables: Stored) -> Around:
    """What computes these features of the tables of a data set."""
    from automl.relations.spec import Spec
    from automl.search.around import Around

    about = dict((stored.profile or {})["relations"])
    return Around(
        spec=Spec.from_json(about["spec"]),
        about=tables.layout.about,
        featurizer=featurizer,
        made=tuple(featurizer.columns),
        types=about.get("types") or {},
        reading=about.get("reading") or {},
    )


def taken(dataset: Dataset) -> npt.NDArray[np.intp] | None:
    """Which rows a search on tables takes; None: all of them.

    As many as finalists are fitted on: events of all entities are never read by a search. They
    are the first positives and negatives in the order in which they are stored, which is that of
    a hash: so they are a sample of all, and lie together.
    """
    import numpy as np

    from automl.sampling.stratified import CaseControl

    n_positive, n_negative = CaseControl(final_positives=MOST_POSITIVES).final_classes(
        dataset.n_positive, dataset.n_rows - dataset.n_positive
    )
    if n_positive + n_negative == dataset.n_rows:
        return None
    positives, negatives = (np.flatnonzero(dataset.y == label) for label in (1, 0))
    return np.sort(np.concatenate([positives[:n_positive], negatives[:n_negative]]))


def computed(tables: Stored, featurizer: Featurizer, positions: Positions) -> pd.DataFrame:
    """Features of entities, of which so many at a time have their events in memory."""
    import pandas as pd

    from automl.relations.stored import BLOCK_ROWS

    reads = featurizer.reads()
    parts = [
        featurizer.transform(tables.relations(positions[at : at + BLOCK_ROWS], columns=reads))
        for at in range(0, len(positions), BLOCK_ROWS)
    ]
    return pd.concat(parts, ignore_index=True) if len(parts) != 1 else parts[0]


def taken_over(
    start: Start, dataset: Dataset, *, nightly: bool = False, mode: str = "balanced"
) -> Featurizer | None:
    """The features of a champion for the search that starts from it; None: they are chosen anew.

    Parameters
    ----------
    nightly : the search is one of a series, each of which starts from what came of the others:
        what one keeps, all keep. They are chosen anew where that is cheap, or was long ago
    mode : of the search
    """
    from automl.search.start import MOST_GROWTH

    around = start.champion.tables
    if around is None or around.whole is None:
        return None
    trained = int(start.champion.provenance.get("n_rows", 0))
    if dataset.n_rows > MOST_GROWTH * trained:
        return None
    if nightly and (
        choice_is_cheap(dataset, mode=mode)
        or dataset.n_positive >= MORE_POSITIVES * chosen_with(start.champion)
    ):
        return None
    there = {str(name) for name in dataset.X.columns} | set(around.made)
    return around.whole if set(start.champion.columns) <= there else None


def choice_is_cheap(dataset: Dataset, *, mode: str) -> bool:
    """Whether choosing features is expected to take so little that it is worth it in any case.

    The choice may take a share of the search, or so many expected CPU-seconds that are worth what
    all groups together bring (`automl.search.feature_race`); a night takes as much beside. By the
    counts alone, not by how fast the machine is tonight: what is decided has to repeat.
    """
    from automl.models.expected import CostModel
    from automl.search.feature_race import CHOICE_SHARE, LEAST_SECONDS
    from automl.search.outlook import WEIGHTS, work

    parts = work(
        n_rows=dataset.n_rows,
        n_positive=dataset.n_positive,
        n_columns=max(dataset.X.shape[1], 1),
        mode=mode,
        costs=CostModel.shipped(),
    )
    return CHOICE_SHARE * WEIGHTS[mode] * sum(parts) <= LEAST_SECONDS


def chosen_with(champion: Champion) -> int:
    """Positives by which the features of a champion were chosen, its own where that is not told."""
    told = champion.provenance
    return int(told.get(CHOSEN_WITH) or told.get("n_positive", 0))


def _chosen(
    work: Work,
    tables: Stored,
    positions: Positions,
    dataset: Dataset,
    *,
    budget: Budget,
    start: Start | None,
) -> tuple[Featurizer, dict[str, Any]]:
    """The features and what was decided of each group; what an earlier process chose stays."""
    import numpy as np

    from automl.features.featurizer import Featurizer
    from automl.sampling.stratified import CaseControl
    from automl.sampling.temporal import RecentFirst
    from automl.search.feature_groups import chosen, sampled

    request = work.job.request
    seed = int(request.get("seed") or 0)
    file = work.artifacts.path(f"jobs/{work.job.id}") / CHOICE
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Featurizer.from_json(kept["featurizer"]), kept
    older = None
    if start is not None:
        older = taken_over(
            start,
            dataset,
            nightly=request.get("retraining") is not None,
            mode=request.get("mode") or "balanced",
        )
    if older is not None and start is not None:
        card = work.store.model_by_id(work.job.project_id, start.parent["id"]).card
        groups = [_as_before(one) for one in card.get("feature_groups") or ()]
        same: dict[str, Any] = {"groups": groups, "warnings": [], "stop": None}
        same |= {"taken_over": True, CHOSEN_WITH: chosen_with(start.champion)}
        return older, _kept(file, older, same)
    sampler = CaseControl() if dataset.time is None else RecentFirst()
    # Of others than the screening sample no event is read before it is known which are needed.
    rows = np.sort(sampler.order(dataset, seed=seed)[: sampler.screening_rows(dataset)])
    sample = sampled(dataset, rows)
    found = chosen(
        tables.relations(positions[rows], rows=sample.X),
        sample,
        n_final=sampler.final_rows(dataset),
        meter=work.meter,
        seed=seed,
        mode=request.get("mode") or "balanced",
        objective=objective_of(request),
        budget=budget,
        stop=lambda: CANCELLED if work.heart.cancel_requested.is_set() else None,
    )
    featurizer = found.featurizer or Featurizer(groups=())
    told: dict[str, Any] = {
        "groups": [one.to_json() for one in found.decisions],
        "warnings": [dict(one) for one in found.warnings],
        "stop": None if found.stop is None else found.stop.to_json(),
        CHOSEN_WITH: dataset.n_positive,
    }
    return featurizer, _kept(file, featurizer, told)


def _as_before(group: Mapping[str, Any]) -> dict[str, Any]:
    """What was decided of a group for a champion, of the search that starts from it."""
    from automl.cost import ZERO

    return {**group, "cost": ZERO.to_json()}


def _kept(file: Path, featurizer: Featurizer, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write what was chosen, whole or not at all, whenever the process ends; what was written."""
    kept = {"featurizer": featurizer.to_json(), **told}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(kept, allow_nan=False), encoding="utf-8")
    part.replace(file)
    return kept


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
