"""A search without labels: one ranking of rows by how odd they are, and its trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.cost import ZERO, Cost
from automl.data.encoding import TableEncoder
from automl.errors import BudgetExhausted, DataError
from automl.meters.base import Meter, measure
from automl.meters.cpu_time import WATTS_PER_CORE, CpuTimeMeter
from automl.models.gaussian import Gaussian
from automl.models.isolation import N_TREES, Isolation
from automl.search.advice import Suggestion
from automl.search.anomaly import AnomalyRanker, below, expected_seconds, n_reference
from automl.search.journal import Journal, MemoryJournal, all_ended
from automl.search.lifetime import Lifetime
from automl.search.problem import schema_of
from automl.search.reasons import typical_row
from automl.search.stop import Stop
from automl.trial import Candidate, Proposal, Trial

Matrix = npt.NDArray[np.float32]

CANDIDATE = Candidate(model="anomaly_ranking", params={"n_trees": N_TREES})
MIN_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What came of a job without labels; it has no scores, so it has no front and no picks."""

    champion: AnomalyRanker
    trials: tuple[Trial, ...]
    stop: Stop
    costs: Mapping[str, Cost]  # by phase: features, search
    warnings: tuple[Mapping[str, Any], ...] = ()
    front: tuple[int, ...] = ()
    picks: Mapping[str, int] = field(default_factory=dict)
    lifetimes: Mapping[int, Lifetime] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def stop_reason(self) -> str:
        """Why nothing more was tried, in words."""
        return self.stop.text

    @property
    def cost(self) -> Cost:
        """Of all phases."""
        return sum(self.costs.values(), start=ZERO)


def rank_anomalies(
    X: pd.DataFrame,
    *,
    alert_rate: float = 0.01,
    seed: int = 0,
    meter: Meter | None = None,
    journal: Journal | None = None,
    stop: Callable[[], str | None] | None = None,
    on_phase: Callable[[str, Cost], None] | None = None,
) -> Ranking:
    """Learn what is usual in a table without labels, to alert what is odd.

    The same rows and seed give the same ranking.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        At least 20 rows.
    alert_rate : share of the rows that can be looked at
    seed : of the trees, and of the rows that others are compared with
    meter : what the one trial is read from; CPU time by default
    journal : where the trial is written; in memory by default
    stop : asked before the rows are encoded and before the trial; a text ends it all
    on_phase : told each phase's name (features, search) and cost as it ends

    Raises
    ------
    DataError
        ``too_few_rows``, or ``no_features``: no column has two values.
    BudgetExhausted
        `stop` gave a text.
    ValueError
        The alert rate is not between 0 and 1.

    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(500, 3)), columns=["a", "b", "c"])
    >>> X.loc[7] = 9.0
    >>> ranking = rank_anomalies(X, alert_rate=0.02)
    >>> int(np.argmax(ranking.champion.anomaly(X))), int(ranking.champion.alert(X).sum())
    (7, 10)
    """
    if not 0 < alert_rate < 1:
        raise ValueError(f"the alert rate is {alert_rate}; it must be between 0 and 1")
    if len(X) < MIN_ROWS:
        raise DataError(
            f"{len(X):,} rows; at least {MIN_ROWS} are needed to say which of them is odd",
            code="too_few_rows",
            details={"n_rows": len(X), "least": MIN_ROWS},
        )
    meter = CpuTimeMeter() if meter is None else meter
    tell = on_phase or (lambda name, cost: None)
    _ask(stop)
    with measure(meter) as features:
        encoder = TableEncoder().fit(X)
        matrix = encoder.transform(X)
        typical = typical_row(matrix, encoder.info)
    tell("features", features.cost)

    trials = _Trials(MemoryJournal() if journal is None else journal)
    expected = expected_seconds(n_rows=len(X), n_columns=matrix.shape[1])
    _ask(stop)
    with measure(meter) as searching:
        trials.begin(n_rows=len(X), expected=expected)
        with measure(meter) as fitting:
            champion = _fitted(
                encoder,
                matrix,
                trial=trials.number,
                seed=seed,
                alert_rate=alert_rate,
                schema=schema_of(X),
                typical=typical,
            )
        with measure(meter) as predicting:
            champion.share(matrix[:1000])
        trials.end(fitting.cost, predict_joules=1000 * predicting.cost.joules / min(1000, len(X)))
    # What a process that died spent on its own trial is known by its expected cost only.
    spent = trials.earlier + searching.cost
    tell("search", spent)
    return Ranking(
        champion=champion,
        trials=trials.all,
        stop=Stop(
            reason="no_labels",
            text="there is no target: one ranking was fitted, and nothing could tell a better one",
        ),
        costs={"features": features.cost, "search": spent},
    )


def _ask(stop: Callable[[], str | None] | None) -> None:
    if stop is not None and (why := stop()) is not None:
        raise BudgetExhausted(f"stopped before the rows were ranked: {why}")


def _fitted(
    encoder: TableEncoder,
    matrix: Matrix,
    *,
    trial: int,
    seed: int,
    alert_rate: float,
    schema: tuple[Mapping[str, str], ...],
    typical: Matrix,
) -> AnomalyRanker:
    n_rows = len(matrix)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(n_rows)[: n_reference(n_rows, matrix.shape[1])])
    rows = matrix[chosen]
    isolation = Isolation(info=encoder.info, seed=seed).fit_rows(rows)
    gaussian = Gaussian(info=encoder.info, seed=seed).fit_rows(rows)
    first, second = isolation.oddness(rows), gaussian.oddness(rows)
    own = np.sort(first), np.sort(second)
    mean = (below(own[0], first) + below(own[1], second)) / 2
    return AnomalyRanker(
        encoder=encoder,
        isolation=isolation,
        gaussian=gaussian,
        references=(*own, np.sort(mean)),
        alert_rate=alert_rate,
        schema=schema,
        typical=typical,
        provenance={
            "trial": trial,
            "seed": seed,
            "n_rows": n_rows,
            "n_reference_rows": len(chosen),
            "labels": "none",
            "objective": {"alert_rate": alert_rate},
        },
    )


class _Trials:
    """The one trial, and those of processes that died before it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._stored = all_ended(journal)
        self.earlier = sum((trial.cost for trial in self._stored), start=ZERO)
        self._begun: tuple[Proposal, Cost] | None = None

    @property
    def all(self) -> tuple[Trial, ...]:
        return tuple(self._stored)

    @property
    def number(self) -> int:
        """Of the trial that is next, or under way."""
        return len(self._stored)

    def begin(self, *, n_rows: int, expected: float) -> None:
        proposal = Proposal(candidate=CANDIDATE, rung="final", n_rows=n_rows)
        joules = expected * WATTS_PER_CORE
        cost = Cost(cpu_seconds=expected, joules=joules, meter="expected")
        self._begun = proposal, cost
        self._journal.begin(self.number, proposal, cost)

    def end(self, cost: Cost, *, predict_joules: float) -> None:
        assert self._begun is not None
        trial = Trial(
            number=self.number,
            proposal=self._begun[0],
            cost=cost,
            expected=self._begun[1],
            predict_joules=predict_joules,
        )
        self._journal.end(trial, None)
        self._stored.append(trial)
