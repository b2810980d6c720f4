"""The shipped knowledge: small, whole, and honest about tables it has seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from automl.meta.features import META_NAMES
from automl.meta.gains import pair
from automl.meta.growth import to_tasks
from automl.meta.knowledge import MOST_TASKS, SHIPPED_FILE, Knowledge, thinned
from automl.meta.portfolio import FEW, MODES, NAMED, portfolio
from automl.meta.task import Config, Task
from automl.models.catalog import family
from automl.models.expected import CostModel
from automl.trial import Candidate

SHIPPED = Knowledge.shipped()
RAW = json.loads(SHIPPED_FILE.read_text(encoding="utf-8"))
GROUPS = sorted({task.group for task in SHIPPED.tasks})


def task(group: str, *, weight: float = 1.0, source: str = "shipped", **scores: float) -> Task:
    """A task with scores by name of configuration."""
    options = {(NAMED[n].id, NAMED[n].id): (s, s) for n, s in scores.items()}
    return Task(
        id=group,
        group=group,
        source=source,
        weight=weight,
        n_rows=1000,
        n_positive=50,
        n_columns=5,
        meta=(1.0,) * len(META_NAMES),
        options=options,
    )


def knowledge(*tasks: Task) -> Knowledge:
    configs = [
        Config(name=name, family=family(NAMED[name]), candidate=NAMED[name])
        for name in ("L15", "LRq", "ETs", "Lps", "Lnb10", "RF")
    ]
    return Knowledge(configs=tuple(configs), tasks=tasks)


def names(candidates: tuple[Candidate, ...]) -> list[str]:
    by_id = {candidate.id: name for name, candidate in NAMED.items()}
    return [by_id[candidate.id] for candidate in candidates]


def test_the_file_is_small_and_its_ids_are_those_of_the_parameters() -> None:
    assert SHIPPED_FILE.stat().st_size < 200_000
    ids = [config.id for config in SHIPPED.configs]
    assert len(set(ids)) == len(ids)
    listed = {c.id: n for n, c in NAMED.items()}
    modes = [*MODES.values(), *FEW.values()]
    wanted = {c.id for m in modes for c in (*m.first, *sum(m.expand.values(), ()))}
    assert wanted <= set(ids), [listed[key] for key in wanted - set(ids)]
    assert all(config.family == family(config.candidate) for config in SHIPPED.configs)
    broken = {**RAW["configs"][0], "params": {"C": 1e9}}
    with pytest.raises(ValueError, match="is not what its id was made of"):
        Config.from_json(broken)
    with pytest.raises(ValueError, match="format"):
        Knowledge.from_json({**RAW, "format": 99})


def test_what_is_derived_in_the_file_follows_from_its_tasks() -> None:
    assert SHIPPED.derived() == {"order": RAW["order"], "alive": RAW["alive"]}
    again = Knowledge.from_json(json.loads(json.dumps(SHIPPED.to_json())))
    assert again.digest == SHIPPED.digest
    assert again.portfolio("balanced") == SHIPPED.portfolio("balanced")


def test_the_cost_model_is_the_one_that_is_shipped() -> None:
    if SHIPPED.costs is not None:
        assert SHIPPED.costs == CostModel.shipped().to_json()


def test_every_set_is_there_under_its_source() -> None:
    """Thinned, split by year or by time, it is still the same source that must be left out."""
    by_id = {task.id.partition("/")[0]: task.group for task in SHIPPED.tasks}
    assert by_id["hmeq"] == by_id["hmeq_5pct"] == "hmeq"
    assert by_id["polish_1year"] == by_id["polish_5year"]
    assert by_id["credit_next_month"] == by_id["credit_next_month_forward"]
    assert sum(task.weight for task in SHIPPED.tasks) == pytest.approx(len(by_id))


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_told_of_a_table_is_the_same_when_it_never_was_there(group: str) -> None:
    """Leave one group out: rebuilt from a file without its tasks, everything is identical."""
    pruned = {**RAW, "tasks": [one for one in RAW["tasks"] if one["group"] != group]}
    rebuilt, left = Knowledge.from_json(pruned), SHIPPED.without(group)
    assert all(one.group != group for one in left.tasks)
    assert len(left.tasks) < len(SHIPPED.tasks)
    assert left.portfolio("balanced") == rebuilt.portfolio("balanced")
    assert left.alive == rebuilt.alive
    assert left.digest == rebuilt.digest != SHIPPED.digest
    models = left.portfolio("balanced")
    scores = {candidate.id: 0.4 for candidate in models.first}
    for candidate in sum(models.expand.values(), ()):
        assert left.gain(candidate, scores=scores) == rebuilt.gain(candidate, scores=scores)


def test_a_table_is_left_out_by_its_likeness_alone() -> None:
    sketched = next(one for one in SHIPPED.tasks if one.sketch is not None)
    left = SHIPPED.unlike(sketched.sketch)
    assert sketched.group not in {one.group for one in left.tasks}
    assert left.tasks


@pytest.mark.parametrize("n_rows", [1000, None])
@pytest.mark.parametrize("mode", MODES)
def test_a_portfolio_has_the_candidates_of_its_mode_each_once(
    mode: str, n_rows: int | None
) -> None:
    told, usual = SHIPPED.portfolio(mode, n_rows=n_rows), portfolio(mode, n_rows=n_rows)
    both = [
        sorted(c.id for c in (*one.first, *sum(one.expand.values(), ()))) for one in (told, usual)
    ]
    assert both[0] == both[1]
    assert len(told.first) == len(usual.first)
    assert [family(c) for c in told.first] != []
    assert len({family(c) for c in told.first}) == len(told.first)
    assert all(family(c) == name for name, own in told.expand.items() for c in own)


def test_tasks_set_the_order() -> None:
    scores = [
        {"L15": 0.8, "LRq": 0.9, "ETs": 0.7 + i / 1000, "Lps": 1.0, "RF": 0.5} for i in range(9)
    ]
    told = knowledge(*(task(f"t{i}", **one) for i, one in enumerate(scores)))
    models = told.portfolio("balanced")
    # No task tells of Lnb10: it stays, after what they do tell of.
    assert names(models.first) == ["Lps", "LRq", "ETs"]
    assert names(models.expand["boosting"]) == ["L15", "Lnb10"]
    assert knowledge().portfolio("balanced") == portfolio("balanced")
    assert Knowledge.empty().portfolio("eco") == portfolio("eco")


def test_a_gain_is_told_after_the_scores_of_the_race_only() -> None:
    told = SHIPPED.gain(NAMED["RF"], scores={NAMED["L15"].id: 0.4, NAMED["ETs"].id: 0.41})
    assert told is not None
    assert -20 < told.gain_percent < 20
    assert told.alive == 1.0
    behind = SHIPPED.gain(NAMED["RF"], scores={NAMED["L15"].id: 0.4, NAMED["ETs"].id: 0.1})
    assert behind is not None
    assert behind.alive == 0.0
    assert SHIPPED.gain(NAMED["RF"], scores={}) is None
    unknown = Candidate(model="lightgbm", params={"num_leaves": 99})
    assert SHIPPED.gain(unknown, scores={NAMED["L15"].id: 0.4}) is None
    assert Knowledge.empty().gain(NAMED["RF"], scores={NAMED["L15"].id: 0.4}) is None


def test_own_tasks_move_the_order_when_there_are_enough() -> None:
    shipped = [task(f"s{i}", L15=0.95, LRq=0.7, ETs=0.8, Lps=0.9) for i in range(10)]
    own = [task(f"o{i}", source="local", L15=0.5, LRq=0.7, ETs=0.8, Lps=1.0) for i in range(40)]
    told = knowledge(*shipped)
    assert names(told.portfolio("balanced").first)[0] == "L15"
    assert names(told.merged(own[:1]).portfolio("balanced").first)[0] == "L15"
    assert names(told.merged(own).portfolio("balanced").first)[0] == "Lps"


def test_a_mean_of_two_that_was_not_measured_is_filled_in() -> None:
    one, other = NAMED["L15"].id, NAMED["ETs"].id
    measured = replace(
        task("s", L15=0.8, ETs=1.0),
        options={(one, one): (0.8, 0.8), (other, other): (1.0, 1.0), pair(one, other): (1.1, 1.1)},
    )
    told = knowledge(measured).merged([task("o", source="local", L15=0.5, ETs=0.4)])
    filled = told.evidence[1]
    assert filled.options[pair(one, other)] == pytest.approx((0.5 * 1.1, 0.5 * 1.1))


def test_the_nearest_older_one_goes_when_there_is_no_room() -> None:
    def at(place: float, name: str) -> Task:
        return replace(task(name, L15=1.0), meta=(place,) * len(META_NAMES))

    tasks = [at(0.0, "far"), at(5.0, "near"), at(9.0, "other"), at(5.1, "new")]
    assert [one.group for one in thinned(tasks, 3)] == ["far", "other", "new"]
    assert thinned(tasks, 0) == []
    lines = [
        {
            "n": 1000 + i,
            "pos": 100,
            "d": 5,
            "meta": [float(i)] * len(META_NAMES),
            "rel": {NAMED["L15"].id: 1.0, NAMED["ETs"].id: 0.9},
            "cost": {},
        }
        for i in range(400)
    ]
    assert len(SHIPPED.merged(to_tasks(lines)[0]).tasks) == MOST_TASKS
