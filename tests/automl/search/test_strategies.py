"""The method's decisions, with trials made up: what it proposes after which scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from automl.cost import Cost
from automl.meta.portfolio import NAMED, portfolio
from automl.models.catalog import family
from automl.search.effort import EFFORTS
from automl.search.probes import Probe
from automl.search.standing import Shape
from automl.search.strategies import SearchEnd, successive_halving
from automl.trial import Candidate, Proposal, Trial


def shape(
    *,
    screening: int = 6600,
    final: int = 100_000,
    refined: int = 0,
    fit: float = 1.0,
    n_parts: int = 1,
) -> Shape:
    made = iter(range(refined))

    def propose(name: str, trials: Sequence[Trial]) -> Candidate | None:
        i = next(made, None)
        return None if i is None else Candidate(model="lightgbm", params={"num_leaves": 5 + i})

    return Shape(
        screening_rows=screening,
        final_rows=final,
        family=family,
        expected=lambda candidate, n_rows: n_parts * fit * n_rows / final,
        fit_seconds=fit,
        propose=propose,
    )


def play(
    shape: Shape,
    scores: Mapping[str, float],
    *,
    mode: str = "balanced",
    refuse: str = "",
    probes: Sequence[Probe] = (),
    grown: Mapping[int, float] | None = None,
    by_rows: Mapping[tuple[str, int], float] | None = None,
) -> tuple[list[Proposal], SearchEnd]:
    """Drive the strategy; scores by model and, for boosting, by leaves and smoothing."""
    models = portfolio(mode)
    strategy = successive_halving(
        models.first, models.expand, shape=shape, effort=EFFORTS[mode], probes=probes
    )
    proposed: list[Proposal] = []
    done: list[Trial] | None = None
    while True:
        try:
            batch = next(strategy) if done is None else strategy.send(done)
        except StopIteration as end:
            return proposed, end.value
        done = []
        for proposal in batch:
            if refuse == proposal.rung:
                continue
            seconds = shape.expected(proposal.candidate, proposal.n_rows)
            size = proposal.candidate.params.get("max_bin", 0)
            name = name_of(proposal.candidate)
            score = (grown or {}).get(size, scores.get(name))
            # Of more than the final rows, in hundred thousands.
            score = (by_rows or {}).get((name, proposal.n_rows // 100_000), score)
            done.append(
                Trial(
                    number=len(proposed),
                    proposal=proposal,
                    cost=Cost(cpu_seconds=seconds, joules=seconds, meter="cpu_time"),
                    expected=Cost(cpu_seconds=seconds, joules=seconds, meter="expected"),
                    score=score,
                    interval=None if score is None else (score - 0.01, score + 0.01),
                    error="failed" if score is None else None,
                )
            )
            proposed.append(proposal)


def name_of(candidate: Candidate) -> str:
    params: Mapping[str, Any] = candidate.params
    if candidate.model != "lightgbm":
        return candidate.model
    if "path_smooth" in params:
        return "Lps"
    if "negatives_per_positive" in params:
        return "Lnb10"
    named = {15: "L15", 255: "large"}
    return named.get(params["num_leaves"], "refined")


def names(proposals: Sequence[Proposal], rung: str) -> list[str]:
    return [name_of(p.candidate) for p in proposals if p.rung == rung]


ALL = {
    "L15": 0.40,
    "logistic": 0.38,
    "extra_trees": 0.39,
    "Lnb10": 0.41,
    "Lps": 0.40,
    "random_forest": 0.39,
    "refined": 0.35,
    "large": 0.35,
}


def test_a_probe_that_wins_leaves_the_other_families_as_they_are() -> None:
    probe = Probe(candidate=NAMED["R15"], why="levels tell")
    proposed, _ = play(shape(), {**ALL, "rated_lightgbm": 0.8}, probes=[probe])
    # What is far below the probe is not expanded, and is no finalist.
    assert names(proposed, "screening") == ["L15", "logistic", "extra_trees", "rated_lightgbm"]
    assert names(proposed, "final") == ["rated_lightgbm"]
    proposed, _ = play(shape(), {**ALL, "rated_lightgbm": 0.1}, probes=[probe])
    assert names(proposed, "screening")[4:] == ["Lnb10", "Lps", "random_forest"]


@pytest.mark.parametrize("gains", [[], [0.5], [0.5, 0.6]])
def test_the_best_grows_as_long_as_it_gains(gains: list[float]) -> None:
    # Each larger one is named by its size; one more than gains is tried, and gains nothing.
    def larger(trial: Trial) -> Candidate | None:
        size = int(trial.candidate.params.get("max_bin", 0))
        if trial.candidate.model != "lightgbm":
            return None
        return Candidate(model="lightgbm", params={"num_leaves": 99, "max_bin": size + 1})

    proposed, end = play(
        replace(shape(), larger=larger), ALL, grown=dict(enumerate([*gains, 0.0], start=1))
    )
    sizes = [p.candidate.params["max_bin"] for p in proposed if "max_bin" in p.candidate.params]
    assert sizes == list(range(1, len(gains) + 2))
    grown = [i for i, p in enumerate(proposed) if "max_bin" in p.candidate.params]
    assert set(grown[:-1]) <= set(end.finalists)
    assert grown[-1] not in end.finalists
    assert all(proposed[i].n_rows == 100_000 and proposed[i].rung == "final" for i in grown)


LARGE = Candidate(model="lightgbm", params={"num_leaves": 255})


@pytest.mark.parametrize(
    ("mode", "all_seconds", "by_rows", "tried"),
    [
        # Nothing gains by more rows: no more than one step is spent.
        ("balanced", 1000.0, {}, [("large", 5), ("Lnb10", 5)]),
        # The large one goes on while it gains, to the last row.
        (
            "balanced",
            1000.0,
            {("large", 5): 0.5, ("large", 25): 0.6, ("large", 60): 0.7},
            [("large", 5), ("large", 25), ("large", 60)],
        ),
        (
            "balanced",
            1000.0,
            {("large", 5): 0.5, ("large", 25): 0.5},
            [("large", 5), ("large", 25)],
        ),
        # Where only the best itself gains, it does.
        ("balanced", 1000.0, {("Lnb10", 5): 0.5}, [("large", 5), ("Lnb10", 5), ("Lnb10", 25)]),
        # Within a share of brute force on all rows, a smaller one in eco.
        (
            "balanced",
            6.0,
            {("large", 5): 0.5, ("large", 25): 0.6},
            [("large", 5), ("large", 25)],
        ),
        ("eco", 6.0, {("large", 5): 0.5, ("large", 25): 0.6}, [("large", 5)]),
    ],
)
def test_more_rows_are_taken_while_they_gain(
    mode: str, all_seconds: float, by_rows: Mapping[tuple[str, int], float], tried: Any
) -> None:
    made = replace(shape(fit=0.1), all_rows=6_000_000, all_seconds=all_seconds, large=LARGE)
    proposed, end = play(made, ALL, mode=mode, by_rows=by_rows)
    wide = [i for i, p in enumerate(proposed) if p.n_rows > 100_000]
    named = [(name_of(p.candidate), p.n_rows // 100_000) for p in (proposed[i] for i in wide)]
    assert named == tried
    gained = [i for i in wide if named[wide.index(i)] in by_rows]
    # The best three are the finalists.
    assert set(gained[-3:]) <= set(end.finalists)


def test_living_families_are_widened_and_the_best_three_judged_on_all_rows() -> None:
    proposed, end = play(shape(), ALL)
    first = ["L15", "logistic", "extra_trees", "Lnb10", "Lps", "random_forest"]
    assert names(proposed, "screening") == first
    # The best by score, two of a family at most.
    assert names(proposed, "final") == ["Lnb10", "L15", "extra_trees"]
    assert {p.n_rows for p in proposed if p.rung == "final"} == {100_000}
    assert end.finalists == (6, 7, 8)


def test_a_dead_family_is_not_widened() -> None:
    proposed, _ = play(shape(), {**ALL, "extra_trees": 0.30})
    assert "random_forest" not in names(proposed, "screening")
    assert "extra_trees" not in names(proposed, "final") or "logistic" in names(proposed, "final")


def test_the_mainstay_gets_another_chance_down_to_a_quarter_below() -> None:
    worse = {**ALL, "L15": 0.30, "Lnb10": 0.30, "Lps": 0.3, "logistic": 0.39}
    assert "Lnb10" in names(play(shape(), worse)[0], "screening")
    dead = {**worse, "L15": 0.20}
    assert "Lnb10" not in names(play(shape(), dead)[0], "screening")


def test_eco_is_the_first_models_only() -> None:
    proposed, _ = play(shape(), ALL, mode="eco")
    assert names(proposed, "screening") == ["L15", "logistic", "extra_trees"]


def test_where_the_sample_is_all_rows_there_is_one_rung() -> None:
    proposed, end = play(shape(screening=3000, final=3000), ALL)
    assert {p.rung for p in proposed} == {"final"}
    assert len(proposed) == 6
    assert end.finalists == (3, 0, 2)


def test_refinement_stops_when_its_gain_is_not_worth_its_cost() -> None:
    # On all of few rows, in two parts, one costs 1/300 of brute force for 0.02 %: not worth it.
    slow, end = play(shape(screening=3000, final=3000, refined=9, n_parts=2), ALL)
    assert "refined" not in names(slow, "final")
    assert "0.02 % at 0.33 % of brute-force cost, is 0.06 per percent, below 0.1" in end.reason
    # On a small sample of many rows it is cheap, so it goes on until it gains nothing.
    cheap, end = play(shape(refined=9), ALL)
    assert len(names(cheap, "refinement")) == EFFORTS["balanced"].plateau
    assert "the last 3 refinements gained less than half a standard error" in end.reason


def test_a_gain_resets_the_plateau_and_the_best_refinement_is_judged() -> None:
    proposed, end = play(shape(refined=9), {**ALL, "refined": 0.50})
    assert "refined" in names(proposed, "final")
    assert len(names(proposed, "refinement")) == EFFORTS["balanced"].plateau + 1
    assert "0.5" in end.reason


def test_the_frugal_limit_is_in_expected_seconds() -> None:
    for fit in (0.02, 0.5, 5.0):
        effort = EFFORTS["balanced"]
        proposed, _ = play(shape(fit=fit, refined=9), ALL)
        seconds = sum(fit * p.n_rows / 100_000 for p in proposed)
        assert seconds <= effort.limit_seconds(fit)
        assert effort.limit_seconds(fit) == max(1.2, 30 * fit)


@pytest.mark.parametrize("rung", ["refinement", "final"])
def test_what_the_budget_refuses_is_gone_without(rung: str) -> None:
    proposed, end = play(shape(refined=9), ALL, refuse=rung)
    assert not names(proposed, rung)
    if rung == "final":
        assert [name_of(proposed[n].candidate) for n in end.finalists] == [
            "Lnb10",
            "L15",
            "extra_trees",
        ]
    else:
        assert end.reason == "the budget refused the next refinement"


def test_failed_models_never_become_finalists() -> None:
    proposed, end = play(shape(), {"logistic": 0.2})
    assert names(proposed, "final") == ["logistic"]
    assert [name_of(proposed[n].candidate) for n in end.finalists] == ["logistic"]
    _, end = play(shape(), {})
    assert end.finalists == ()
    assert end.reason == "no candidate could be scored"


def test_eco_says_that_it_tried_all_it_has() -> None:
    _, end = play(shape(), ALL, mode="eco")
    assert end.reason == "all 3 configurations of this mode were tried"


def test_best_refines_the_living_families_in_turns_but_no_forest() -> None:
    asked: list[str] = []

    def propose(name: str, trials: Sequence[Trial]) -> Candidate | None:
        asked.append(name)
        return Candidate(model="lightgbm", params={"num_leaves": 100 + len(asked)})

    play(replace(shape(), propose=propose), ALL, mode="best")
    assert asked[:4] == ["boosting", "linear", "boosting", "linear"]
    assert len(asked) == EFFORTS["best"].plateau + 1
    asked.clear()
    play(replace(shape(), propose=propose), ALL)
    assert set(asked) == {"boosting"}


def test_a_family_with_nothing_left_to_propose_leaves_its_turns_to_the_others() -> None:
    asked: list[str] = []

    def propose(name: str, trials: Sequence[Trial]) -> Candidate | None:
        asked.append(name)
        few = name == "linear" or len(asked) > 6
        return None if few else Candidate(model="lightgbm", params={"num_leaves": len(asked)})

    _, end = play(replace(shape(), propose=propose), ALL, mode="best")
    assert asked == ["boosting", "linear", *["boosting"] * 5]
    assert end.reason.endswith("no further refinement of family boosting and family linear")


@pytest.mark.parametrize("rows", [3000, 100_000])
def test_a_refinement_crowds_no_finalist_out_however_high_its_score(rows: int) -> None:
    lucky = {**ALL, "refined": 0.9}
    made = shape(screening=3000, final=rows, refined=4)
    proposed, end = play(made, lucky, mode="best")
    finalists = [name_of(proposed[n].candidate) for n in end.finalists]
    assert finalists == ["Lnb10", "L15", "extra_trees"]
    others = [proposed[n] for n in end.others]
    assert {name_of(p.candidate) for p in others} == {"refined"}
    # Each is judged on as many rows as the finalists are.
    assert {p.n_rows for p in others} == {proposed[n].n_rows for n in end.finalists} == {rows}
    assert len(others) == (4 if rows == 3000 else 2)
    # In the default mode it wins.
    proposed, end = play(shape(screening=3000, final=100_000, refined=4), lucky)
    assert "refined" in [name_of(proposed[n].candidate) for n in end.finalists]
    assert not end.others


def test_best_too_is_grown_where_capacity_pays() -> None:
    def larger(trial: Trial) -> Candidate | None:
        size = int(trial.candidate.params.get("max_bin", 0))
        if trial.candidate.model != "lightgbm":
            return None
        return Candidate(model="lightgbm", params={"num_leaves": 99, "max_bin": size + 1})

    for rows in (3000, 100_000):
        made = replace(shape(screening=3000, final=rows), larger=larger)
        proposed, end = play(made, ALL, mode="best", grown={1: 0.6, 2: 0.0})
        sizes = [proposed[n].candidate.params.get("max_bin") for n in end.finalists]
        assert sizes == [1], "what is far below it is no finalist"
