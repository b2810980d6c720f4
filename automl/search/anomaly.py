"""Rows ranked by how odd they are, where there are no labels at all.

Nothing is searched: without labels nothing tells a better ranking from a worse, so one is fitted,
that of the evidence (docs/method.md, Without labels). No probability is claimed, and no score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
from automl.search.champion import Member, checked, cost_per_1000_rows, missing_columns
from automl.search.journal import Journal, MemoryJournal
from automl.search.lifetime import Lifetime
from automl.search.problem import schema_of
from automl.search.reasons import typical_row
from automl.search.stop import Stop
from automl.trial import Candidate, Proposal, Trial

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

KIND = "anomaly ranking"
CANDIDATE = Candidate(model="anomaly_ranking", params={"n_trees": N_TREES})
MIN_ROWS = 20
# Training rows that others are compared with: the share of alerts is right within 7 % at 1 %.
# Fewer of them where there are many columns.
REFERENCE_ROWS, REFERENCE_CELLS, LEAST_REFERENCE = 20_000, 5_000_000, 1000
# CPU-seconds of the trees, and of each row and column that is scored: measured 2026-11-23 on one
# of two shared x86-64 cores.
FIT_SECONDS, ROW_SECONDS, CELL_SECONDS = 0.15, 2.5e-5, 4e-7

NOTHING_MEASURED = (
    "There were no labels, so nothing says whether odd rows are the ones that matter: neither "
    "precision nor recall, nor any probability, was measured. Look at the first alerts, label "
    "them, and train on the labels."
)


@dataclass(frozen=True, kw_only=True)
class AnomalyRanker:
    """An encoder, two scores of how odd a row is, and the rows of training to compare with.

    The scores are an isolation forest's and the distance from the middle once each column is
    normal; each is replaced by the share of training rows that look less odd, and the two are
    averaged. `references` are the sorted scores of training rows, of the forest, the distance and
    the mean; no row of the data is kept.

    Not promised: that odd rows are the event somebody looks for.
    """

    encoder: TableEncoder
    isolation: Isolation
    gaussian: Gaussian
    references: tuple[Floats, Floats, Floats]
    alert_rate: float
    schema: tuple[Mapping[str, str], ...]
    typical: Matrix
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that it was given, in their order."""
        return [column["name"] for column in self.schema]

    @property
    def members(self) -> tuple[Member, ...]:
        """None: it is no ensemble of trials."""
        return ()

    @property
    def threshold(self) -> float:
        """Of the anomaly, from which on a row is alerted."""
        return 1.0 - self.alert_rate

    def matrix(self, X: pd.DataFrame) -> Matrix:
        """Encoded cells, shape (n_rows, n_encoded).

        Raises
        ------
        DataError
            ``missing_columns``; extra columns are ignored.
        """
        absent = missing_columns(X, self.encoder, self.columns)
        if absent:
            raise DataError(
                f"{len(absent)} of {len(self.schema)} columns are missing, first {absent[0]!r}",
                code="missing_columns",
                column=absent[0],
                details={"columns": absent},
            )
        return self.encoder.transform(X) if len(X) else np.empty((0, 0), dtype=np.float32)

    def anomaly(self, X: pd.DataFrame) -> Floats:
        """Share of the training rows that look less odd, 0 to 1, shape (n_rows,).

        Raises
        ------
        DataError
            As `matrix`.
        """
        return self.share(self.matrix(X))

    def share(self, matrix: Matrix) -> Floats:
        """As `anomaly`, of encoded rows."""
        if not len(matrix):
            return np.empty(0)
        return below(self.references[2], self._mean(matrix))

    def alert(self, X: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Rows to look at: those odder than all but `alert_rate` of the training rows."""
        return np.asarray(self.anomaly(X) >= self.threshold)

    def logit(self, matrix: Matrix) -> Floats:
        """Log-odds of the anomaly: the scale that reasons add up on; finite at both ends."""
        n_rows = len(self.references[2])
        share = (self.share(matrix) * n_rows + 0.5) / (n_rows + 1)
        return np.asarray(np.log(share) - np.log1p(-share))

    def check(self, X: pd.DataFrame) -> dict[str, Any]:
        """How these rows differ from the training data: as `Champion.check`."""
        return checked(X, self.encoder, self.columns)

    def card(self) -> dict[str, Any]:
        """What a reader should know before using it, as JSON values."""
        return {
            "kind": KIND,
            "measured": NOTHING_MEASURED,
            "method": (
                "the mean of two percentiles among the training rows: of an isolation forest "
                f"({N_TREES} trees) and of the Mahalanobis distance on normal scores"
            ),
            "threshold": self.threshold,
            "alert_rate": self.alert_rate,
            "columns": [dict(column) for column in self.schema],
            "dropped_columns": [dict(column) for column in self.encoder.dropped],
            "provenance": dict(self.provenance),
        }

    def save(self, folder: Path | str) -> str:
        """Write it into a new or empty folder without pickle; returns the manifest's SHA-256."""
        from automl.search.anomaly_files import write

        return write(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, *, sha256: str | None = None) -> AnomalyRanker:
        """Read what `save` wrote, every checksum first; see `Champion.load`.

        Raises
        ------
        DataError
            ``corrupt_model``.
        """
        from automl.search.anomaly_files import read

        return read(Path(folder), sha256=sha256)

    def _mean(self, matrix: Matrix) -> Floats:
        first = below(self.references[0], self.isolation.oddness(matrix))
        second = below(self.references[1], self.gaussian.oddness(matrix))
        return np.asarray((first + second) / 2)


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


def expected_seconds(*, n_rows: int, n_columns: int) -> float:
    """CPU-seconds that ranking is expected to take after encoding: a pure function."""
    scored = _n_reference(n_rows, n_columns)
    return FIT_SECONDS + scored * (ROW_SECONDS + CELL_SECONDS * n_columns)


def predict_cost(champion: AnomalyRanker, X: pd.DataFrame, *, meter: Meter) -> Cost:
    """What it takes per 1,000 rows: measured on up to so many, after a first go."""
    return cost_per_1000_rows(champion.anomaly, X, meter=meter)


def below(reference: Floats, values: Floats) -> Floats:
    """Share of the sorted reference below each value; ties count half."""
    low = np.searchsorted(reference, values, side="left")
    high = np.searchsorted(reference, values, side="right")
    return np.asarray((low + high) / (2 * len(reference)))


def _n_reference(n_rows: int, n_columns: int) -> int:
    return min(n_rows, REFERENCE_ROWS, max(LEAST_REFERENCE, REFERENCE_CELLS // n_columns))


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
    chosen = np.sort(rng.permutation(n_rows)[: _n_reference(n_rows, matrix.shape[1])])
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
        begun = journal.interrupted()
        if begun is not None:
            died = Trial(
                number=begun.number,
                proposal=begun.proposal,
                cost=begun.expected,
                expected=begun.expected,
                error="its process died",
            )
            journal.end(died, None)
        self._stored = list(journal.finished())
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
