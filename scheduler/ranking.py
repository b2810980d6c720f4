"""A job without a target: its rows ranked by how odd they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from automl.cost import Cost
from scheduler.billing import constants_of, reference_of
from scheduler.errors import Gone
from scheduler.pausing import stop_reason
from scheduler.reading import objective_of
from scheduler.records import Job, StoredDataset
from scheduler.registration import register
from scheduler.relating import LAYOUT
from scheduler.settlement import billed
from scheduler.work import Work, data_of, journal_of, rows_of

if TYPE_CHECKING:
    import pandas as pd

    from scheduler.featuring import Featured


def ranked(work: Work) -> Job:
    """Rank the rows of a job without a target, and register what ranks them."""
    from automl.data.loading import load_rows
    from automl.meters.base import measure
    from automl.search.anomaly import predict_cost
    from automl.search.champion import PREDICT_ROWS, milliseconds_per_row
    from automl.search.ranking import rank_anomalies

    request = work.job.request
    stored = data_of(work)
    own: list[Cost] = []

    def on_phase(name: str, cost: Cost) -> None:
        own.append(cost)
        work.phase(name, loading.cost + cost if name == "features" else cost)

    with reference_of(constants_of(work.meter)) as codecarbon:
        with measure(work.meter) as loading:
            admission = request.get("admission") or {}
            excluded = [entry["column"] for entry in admission.get("excluded", ())]
            X = load_rows(rows_of(work, stored), request, excluded=excluded)
            around = None
            if stored.spec is not None:
                X, around = _featured(work, stored, X)
        journal = journal_of(work)
        replayed = sum(trial.cost.cpu_seconds for trial in journal.finished())
        found = rank_anomalies(
            X,
            alert_rate=objective_of(request).alert_rate,
            seed=int(request.get("seed") or 0),
            meter=work.meter,
            journal=journal,
            stop=lambda: stop_reason(work),
            on_phase=on_phase,
        )
        with measure(work.meter) as predicting:
            predict = predict_cost(found.champion, X, meter=work.meter)
            one_row = milliseconds_per_row(found.champion.anomaly, X.head(PREDICT_ROWS))
            tables = None
            if around is not None:
                used = set(found.champion.encoder.origins)
                found = replace(
                    found, champion=replace(found.champion, tables=around.around.using(used))
                )
                more, slower = around.in_use(found.champion, meter=work.meter)
                predict, one_row = predict + more, one_row + slower
                tables = around.about(found.champion)
        on_phase("predict", predicting.cost)
    own_cpu = loading.cost.cpu_seconds + sum(one.cpu_seconds for one in own) - replayed
    price, bill = billed(
        work,
        stored,
        reference=codecarbon.to_json(),
        own_cpu=own_cpu,
        trials=found.trials,
        n_rows=len(X),
        predict_per_1000_rows=predict,
    )
    return register(
        work,
        found,
        bill | (tables or {}),
        stored,
        row_milliseconds=one_row,
        price=price,
        tables=tables,
    )


def _featured(work: Work, stored: StoredDataset, X: pd.DataFrame) -> tuple[pd.DataFrame, Featured]:
    """Rows with the features of the tables around them: the first rows, of which a ranking has
    enough, and which are a sample of all since they are stored in the order of a hash.
    """
    import numpy as np
    import pandas as pd

    from automl.errors import BudgetExhausted
    from automl.meters.base import measure
    from automl.relations.stored import Stored
    from automl.search.anomaly import REFERENCE_ROWS
    from automl.search.ranking_features import usual_features
    from scheduler.featuring import Featured, around_with

    if stored.artifact is None:
        raise Gone("the data set was deleted")
    if (why := stop_reason(work)) is not None:
        raise BudgetExhausted(f"stopped before the features were computed: {why}")
    tables = Stored(work.artifacts.path(stored.artifact) / LAYOUT)
    positions = np.arange(min(len(X), REFERENCE_ROWS), dtype=np.int64)
    n_rows, X = len(X), X.iloc[: len(positions)]
    with measure(work.meter) as reading:
        seed = int(work.job.request.get("seed") or 0)
        usual = usual_features(tables.relations(positions, rows=X), seed=seed)
    return pd.concat([X, usual.columns], axis=1), Featured(
        around=around_with(usual.featurizer, stored, tables),
        groups=tuple(one.to_json() for one in usual.decisions),
        warnings=(),
        stop=None,
        stored=tables,
        positions=positions,
        of_rows=n_rows,
        cost=reading.cost,
    )
