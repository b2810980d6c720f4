"""A job without a target: its rows ranked by how odd they are."""

from __future__ import annotations

from automl.cost import Cost
from scheduler.billing import constants_of, reference_of
from scheduler.pausing import stop_reason
from scheduler.records import Job
from scheduler.registration import register
from scheduler.settlement import billed
from scheduler.work import Work, data_of, journal_of, objective_of, rows_of


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
    return register(work, found, bill, stored, row_milliseconds=one_row, price=price)
