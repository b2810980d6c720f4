"""What finished jobs teach: kept as aggregates, one file a project, gone with the data."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automl.meta.features import META_NAMES
from automl.meta.knowledge import EXPLORE_EVERY, Knowledge
from scheduler.artifacts import ArtifactStore
from scheduler.config import Settings
from scheduler.knowledge import LocalKnowledge, knowledge_for, knowledge_of, learn
from scheduler.records import Job, JobState
from tests.scheduler.conftest import NOW

IDS = [config.id for config in Knowledge.shipped().configs[:3]]


def job(number: int, *, dataset: str = "a" * 32, project: str = "bank") -> Job:
    return Job(
        id=f"{number:032x}",
        project_id=project,
        dataset_id=dataset,
        request={"mode": "balanced"},
        state=JobState.DONE,
        submitted_at=NOW,
    )


def line(best: int = 0, **changes: Any) -> dict[str, Any]:
    rel = {key: 1.0 if i == best else 0.5 for i, key in enumerate(IDS)}
    return {
        "n": 1000,
        "pos": 600,
        "d": 5,
        "seed": 0,
        "meta": [1.0] * len(META_NAMES),
        "rel": rel,
        "cost": dict.fromkeys(IDS, 1.0),
        "sketch": None,
        **changes,
    }


def file_of(settings: Settings, project: str = "bank") -> Path:
    return settings.data_dir / "knowledge" / f"{project}.jsonl"


def test_a_line_is_added_once_per_job_and_read_back(settings: Settings) -> None:
    local = LocalKnowledge(settings, "bank")
    assert local.read().lines == ()
    local.add(line(), job=job(1))
    local.add(line(), job=job(1))
    local.add(line(), job=job(2))
    found = local.read()
    assert [one["job"] for one in found.lines] == [job(1).id, job(2).id]
    assert found.n_jobs == 2
    knowledge, growth = knowledge_of(settings, "bank")
    assert sum(task.source == "local" for task in knowledge.tasks) == 2
    assert growth.n_skipped == 0
    assert knowledge.digest != Knowledge.shipped().digest


def test_projects_do_not_see_each_other(settings: Settings) -> None:
    LocalKnowledge(settings, "bank").add(line(), job=job(1))
    assert knowledge_of(settings, "shop")[0].digest == Knowledge.shipped().digest


def test_broken_lines_are_left_out_with_one_line_of_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    local = LocalKnowledge(settings, "bank")
    local.add(line(), job=job(1))
    good = file_of(settings).read_text()
    broken = ['{"torn', "[1]", "\x00\xff", '{"job": 1}', "[" * 20_000, "x" * 100_000]
    file_of(settings).write_text("\n".join(broken) + "\n" + good + good[: len(good) // 2])
    with caplog.at_level(logging.WARNING):
        assert [one["job"] for one in local.read().lines] == [job(1).id]
    assert [record.getMessage() for record in caplog.records] == [
        "knowledge: 7 lines of the local file are broken, left out"
    ]
    local.add(line(), job=job(2))  # after a torn line without its end
    assert [one["job"] for one in local.read().lines] == [job(1).id, job(2).id]


@pytest.mark.parametrize(
    "changes",
    [
        {"rel": {IDS[0]: 1.0}},
        {"rel": {IDS[0]: 1.0, IDS[1]: float("nan")}},
        {"rel": {IDS[0]: 1.0, IDS[1]: -0.1}},
        {"rel": [1, 2]},
        {"pos": 0},
        {"n": 10**400},
        {"n": True},
        {"meta": [1.0]},
        {"meta": [float("inf")] * len(META_NAMES)},
        {"sketch": "nothing"},
        {"cost": {IDS[0]: "much"}},
    ],
)
def test_a_line_that_says_nothing_usable_does_not_count(
    settings: Settings, changes: dict[str, Any]
) -> None:
    LocalKnowledge(settings, "bank").add(line(**changes), job=job(1))
    knowledge, growth = knowledge_of(settings, "bank")
    assert growth.n_skipped == 1
    assert knowledge.digest == Knowledge.shipped().digest


def test_deleting_a_data_set_deletes_what_it_taught(settings: Settings) -> None:
    local = LocalKnowledge(settings, "bank")
    local.forget("b" * 32)  # nothing there yet
    local.add(line(), job=job(1))
    local.add(line(), job=job(2, dataset="b" * 32))
    local.forget("a" * 32)
    assert [one["job"] for one in local.read().lines] == [job(2).id]
    assert "a" * 32 not in file_of(settings).read_text()
    # The count of jobs goes on, or the same one would explore again.
    local.add(line(), job=job(3))
    assert local.read().n_jobs == 3


def test_the_file_does_not_grow_without_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.knowledge.MOST_LINES", 10)
    local = LocalKnowledge(settings, "bank")
    for number in range(1, 24):
        local.add(line(), job=job(number))
    found = local.read()
    assert len(found.lines) <= 10
    assert found.lines[-1]["job"] == job(23).id
    assert found.n_jobs == 23


def test_a_job_keeps_the_knowledge_it_began_with(
    settings: Settings, artifacts: ArtifactStore
) -> None:
    first = knowledge_for(job(1), settings=settings, artifacts=artifacts)
    LocalKnowledge(settings, "bank").add(line(best=2), job=job(9))
    again = knowledge_for(job(1), settings=settings, artifacts=artifacts)
    assert again.digest == first.digest
    assert knowledge_for(job(2), settings=settings, artifacts=artifacts).digest != first.digest


def test_every_twentieth_job_explores_the_same_whoever_asks(
    settings: Settings, artifacts: ArtifactStore
) -> None:
    local = LocalKnowledge(settings, "bank")
    explored = []
    for number in range(1, EXPLORE_EVERY + 1):
        explored.append(knowledge_for(job(number), settings=settings, artifacts=artifacts).explore)
        local.add(line(), job=job(number))
    assert [one is not None for one in explored] == [False] * (EXPLORE_EVERY - 1) + [True]
    twice = [
        Knowledge.shipped().exploring(n_jobs=EXPLORE_EVERY - 1, mode="balanced").explore
        for _ in range(2)
    ]
    assert twice[0] == twice[1] == explored[-1]
    usual = Knowledge.shipped().portfolio("balanced")
    names = {c.id for c in usual.first} | {c.id for own in usual.expand.values() for c in own}
    assert explored[-1] is not None
    assert explored[-1].id not in names


@pytest.mark.parametrize("setting", ["shipped", "off"])
def test_the_service_can_be_told_not_to_learn(
    settings: Settings, artifacts: ArtifactStore, setting: Any
) -> None:
    told = settings.model_copy(update={"knowledge": setting})
    LocalKnowledge(settings, "bank").add(line(), job=job(1))
    before = file_of(settings).read_text()
    assert learn(line(), job=job(2), settings=told) is None
    assert file_of(settings).read_text() == before
    used = knowledge_for(job(3), settings=told, artifacts=artifacts)
    expected = Knowledge.shipped() if setting == "shipped" else Knowledge.empty()
    assert used.digest == expected.digest


def test_a_full_disk_fails_no_job(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*given: Any, **values: Any) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(LocalKnowledge, "add", full)
    with caplog.at_level(logging.WARNING):
        assert learn(line(), job=job(1), settings=settings) is None
    assert "its knowledge was not kept: OSError" in caplog.text


def test_one_table_searched_often_weighs_as_one(settings: Settings) -> None:
    sketch = "0123456789abcdef:" + "AAAAAAE="
    local = LocalKnowledge(settings, "bank")
    for number in range(1, 5):
        local.add(line(sketch=sketch), job=job(number))
    knowledge, _ = knowledge_of(settings, "bank")
    own = [task for task in knowledge.tasks if task.source == "local"]
    assert len({task.group for task in own}) == 1
    assert sum(task.weight for task in own) == pytest.approx(1.0)


def test_nothing_of_a_line_but_what_is_meant_to_be(settings: Settings) -> None:
    LocalKnowledge(settings, "bank").add(line(), job=replace(job(1), model_name="secret-name"))
    kept = json.loads(file_of(settings).read_text())
    expected = {"number", "job", "dataset", "n", "pos", "d", "seed", "meta", "rel", "cost"}
    assert set(kept) == expected | {"sketch"}
    assert "secret" not in file_of(settings).read_text()
