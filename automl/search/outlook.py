"""What a search of a mode is expected to take, from the counts of its table alone.

The work that it does whatever it finds, priced by the cost model: the race on the screening rows,
the finals, the refit, the encoding and the closing. Nothing is fitted but one weight for each mode.

On 13 tables of 700 to 701,055 rows, 44 splits (`python -m benchmarks.search`, 2026-11-23), 19 of
20 searches took 0.5 to 2.7 times what is expected, balanced and eco alike, and the middle one 1.0.
Twelve in mode `best`, one split each, took 0.6 to 2.2 times. What is not foreseen is how long
boosting goes on: where larger models and more rows keep gaining, a search takes 3 to 6 times as
much (hmeq, credit_next_month), once 20 times (eco, credit_next_month_forward).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, inf
from types import MappingProxyType

from automl.cost import JOULES_PER_KWH, Speed
from automl.meta.portfolio import FEW_ROWS, NAMED, portfolio
from automl.models.expected import CostModel, FitShape
from automl.models.rounds import MORE_TREES, N_TREES, PATIENCE, default_rounds, patience_on
from automl.sampling.stratified import (
    ALL_ROWS_SHARE,
    N_POSITIVE,
    NEGATIVES_PER_POSITIVE,
    CaseControl,
)
from automl.search.effort import EFFORTS
from automl.search.expectation import Expectation
from automl.search.spare import folds_wanted
from automl.search.validation import (
    FEW_POSITIVES,
    MOST_POSITIVES,
    N_FOLDS,
    parts_wanted,
)
from automl.search.validation import NEGATIVES_PER_POSITIVE as VALIDATED
from automl.trial import Candidate

# Measured over expected CPU-seconds, the median; the 95th percentile of what is left, of eco and
# balanced alike.
WEIGHTS: Mapping[str, float] = MappingProxyType({"eco": 0.95, "balanced": 1.2, "best": 1.5})
P95 = 3.0
# Work beyond the race in the mode `best`, in trials of the race: refinements end after so many
# without a gain.
REFINED: Mapping[str, int] = MappingProxyType({"eco": 0, "balanced": 0, "best": 6})
# Of the searches above, 19 of 20 took this many times their CPU time by the clock; a probe of
# 10 ms that was interrupted says more than that.
MOST_WAITING = 3.5
# Seconds from when a job is due to its search, beside the CPU time of its start: the next look for
# due work, a process that starts. The middle and the most of six jobs on a busy machine.
BEGINS_SECONDS, BEGINS_P95 = 20.0, 60.0
# Without labels one ranking is fitted: its trees, and each row and cell that is compared
# (`automl.search.anomaly`, which a process that only wants to know does not import).
RANKING_SECONDS, ROW_SECONDS, RANKED_CELL_SECONDS = 0.15, 2.5e-5, 4e-7
RANKED_ROWS, LEAST_RANKED_ROWS, RANKED_CELLS = 20_000, 1000, 5_000_000
# What a request asks for that says nothing of alerts.
ALERT_RATE = 0.01
# CPU-seconds of a job's process around its search: imports, and reading each cell of its table
# (python -m benchmarks.end_to_end, 2026-11-23).
START_SECONDS, CELL_SECONDS = 1.5, 3.5e-7


def expected_search(
    *,
    n_rows: int,
    n_positive: int,
    n_columns: int,
    mode: str,
    costs: CostModel,
    speed: Speed,
    limits: Mapping[str, float | None] | None = None,
    grams_per_kwh: float | None = None,
) -> Expectation:
    """Return what a job is expected to take on this machine, its limits counted.

    Parameters
    ----------
    n_rows, n_positive, n_columns : of the labelled rows and the columns to learn from; without
        labels `n_positive` is 0
    mode : of the search
    costs, speed : what work takes, and what that is on this machine
    limits : as a job's, by name; null is none, and one in gco2e counts with `grams_per_kwh`
    """
    limits = limits or {}
    if n_positive:
        parts = work(
            n_rows=n_rows, n_positive=n_positive, n_columns=n_columns, mode=mode, costs=costs
        )
        n_racers, trials = len(racers(mode, n_rows=n_rows)), limits.get("trials")
        n_trials = n_racers + REFINED[mode]
        race = parts[0] / n_racers * min(n_trials, trials or n_trials)
        search = WEIGHTS[mode] * (race + sum(parts[1:]))
    else:
        search = costs.features_seconds(n_rows, n_columns)
        search += ranking_seconds(n_rows=n_rows, n_columns=n_columns)
    start = START_SECONDS + CELL_SECONDS * n_rows * n_columns
    return on_machine(
        search,
        start=start,
        features=costs.features_seconds(n_rows, n_columns),
        speed=speed,
        limits=limits,
        grams_per_kwh=grams_per_kwh,
    )


def ranking_seconds(*, n_rows: int, n_columns: int) -> float:
    """Return expected CPU-seconds of ranking rows without labels, after encoding."""
    ranked = min(n_rows, RANKED_ROWS, max(LEAST_RANKED_ROWS, RANKED_CELLS // max(n_columns, 1)))
    return RANKING_SECONDS + ranked * (ROW_SECONDS + RANKED_CELL_SECONDS * n_columns)


def on_machine(
    search: float,
    *,
    start: float,
    features: float,
    speed: Speed,
    limits: Mapping[str, float | None],
    grams_per_kwh: float | None,
) -> Expectation:
    """Return expected CPU-seconds of a search and its start as they are likely to be here."""
    speed = replace(speed, wall=min(speed.wall, MOST_WAITING))
    most = most_seconds(limits, speed=speed, grams_per_kwh=grams_per_kwh)
    likely, late = (min(one * speed.seconds, most) for one in (search, P95 * search))
    begun = start * speed.seconds
    pause = (start + features) * speed.seconds
    return Expectation(
        cpu_seconds=begun + likely,
        p95_cpu_seconds=begun + late,
        seconds=BEGINS_SECONDS + (begun + likely) * speed.wall,
        p95_seconds=BEGINS_P95 + (begun + late) * speed.wall,
        joules=(begun + likely) * speed.watts,
        pause_seconds=BEGINS_SECONDS + pause * speed.wall,
    )


def most_seconds(
    limits: Mapping[str, float | None], *, speed: Speed, grams_per_kwh: float | None
) -> float:
    """Return the CPU-seconds that limits let a search take, infinite without any."""
    per_second = {"cpu_seconds": 1.0, "wall_seconds": speed.wall, "joules": speed.watts}
    if grams_per_kwh is not None:
        per_second["gco2e"] = speed.watts / JOULES_PER_KWH * grams_per_kwh
    found = ((limits.get(name), each) for name, each in per_second.items())
    return min((limit / each for limit, each in found if limit and each > 0), default=inf)


def racers(mode: str, *, n_rows: int) -> tuple[Candidate, ...]:
    """Return the configurations that a mode may race on a table of so many rows."""
    models = portfolio(mode, n_rows=n_rows)
    return (*models.first, *(one for own in models.expand.values() for one in own))


def work(
    *, n_rows: int, n_positive: int, n_columns: int, mode: str, costs: CostModel
) -> tuple[float, ...]:
    """Return expected CPU-seconds of the race, the finals, the refit, and what is around them.

    >>> shape = {"n_positive": 100, "n_columns": 10, "mode": "balanced"}
    >>> small, large = (work(n_rows=n, costs=CostModel.shipped(), **shape) for n in (2000, 20000))
    >>> sum(small) < sum(large)
    True
    """
    n_positive = min(max(n_positive, 1), n_rows)
    n_negative = n_rows - n_positive
    in_fold = max(1, n_positive // N_FOLDS)
    n_parts = parts_wanted(n_positive, n_rows=n_rows, thorough=EFFORTS[mode].thorough)
    n_parts = min(N_FOLDS, max(n_parts, ceil(FEW_POSITIVES / in_fold)))
    judges = min(in_fold, MOST_POSITIVES)
    n_valid = judges + min(n_negative // N_FOLDS, VALIDATED * judges)
    kept = min(n_positive, N_POSITIVE)
    screened = kept + min(n_negative, NEGATIVES_PER_POSITIVE * kept)
    few = EFFORTS[mode].thorough and n_rows <= FEW_ROWS
    more_trees = MORE_TREES if few else 1
    if few or screened >= ALL_ROWS_SHARE * n_rows:
        screened, kept = n_rows, n_positive
    classes = n_positive, n_negative
    if not EFFORTS[mode].whole:
        classes = CaseControl().final_classes(*classes)
    final = sum(classes)

    def shape(rows: int, positives: int, rung: str) -> FitShape:
        fitted = max(2, rows * (N_FOLDS - 1) // N_FOLDS)
        return FitShape(
            n_rows=fitted,
            n_columns=n_columns,
            n_positive=max(1, round(fitted * positives / max(rows, 1))),
            n_stopping=min(fitted, n_valid),
            n_valid=n_valid,
            n_trees=ceil(more_trees * N_TREES[rung] / n_parts),
            patience=patience_on(fitted, PATIENCE[rung]),
        )

    scoring = costs.score_seconds(n_parts * n_valid)
    race = sum(
        n_parts * costs.seconds(one, shape(screened, kept, "screening")) + scoring
        for one in racers(mode, n_rows=n_rows)
    )
    judged = (NAMED["L15"], NAMED["ETs"])
    finals = 0.0
    if final > screened:
        finals = sum(
            n_parts * costs.seconds(one, shape(final, classes[0], "final")) + scoring
            for one in judged
        )
    whole = FitShape(
        n_rows=final,
        n_columns=n_columns,
        n_positive=classes[0],
        n_trees=more_trees * N_TREES["final"],
        rounds=default_rounds(NAMED["L15"].params),
    )
    refit = sum(costs.seconds(one, whole) for one in judged)
    if final == n_rows:
        n_spare = folds_wanted(n_parts, n_judging=n_parts * n_valid, n_rows=n_rows, rate=ALERT_RATE)
        in_fold_only = replace(whole, n_rows=final * (N_FOLDS - 1) // N_FOLDS)
        refit += n_spare * sum(costs.seconds(one, in_fold_only) for one in judged)
    around = costs.features_seconds(n_rows, n_columns) + costs.closing_seconds(
        n_parts * n_valid, n_columns
    )
    return race, finals, refit, around
