"""A student of a model that is used much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.data.dataset import Dataset
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.champion import Champion
from automl.search.distill import STUDENT
from automl.search.journal import MemoryJournal
from automl.search.objective import Objective
from automl.search.run import SearchResult, search
from automl.search.start import Start
from automl.trial import Trial
from tests.automl.search.problems import rare, seen_by

DATA = rare(2400, n_positive=240, seed=8)


def run(predictions_per_day: float | None, *, data: Dataset = DATA, **options: Any) -> SearchResult:
    objective = Objective(predictions_per_day=predictions_per_day)
    given: dict[str, Any] = {"meter": CpuTimeMeter(), "seed": 2, "mode": "eco"} | options
    return search(data, objective=objective, **given)


def students(result: SearchResult) -> list[Trial]:
    return [t for t in result.trials if t.candidate.model == STUDENT]


@pytest.fixture(scope="module")
def used() -> SearchResult:
    return run(1e8, pick="most_frugal")


def test_without_use_there_is_no_student() -> None:
    for use in (None, 0.0, 10.0):
        assert not students(run(use))


def test_much_use_makes_one_and_it_is_the_most_frugal(used: SearchResult) -> None:
    (student,) = students(used)
    life = used.lifetimes[student.number]
    others = [one for number, one in used.lifetimes.items() if number != student.number]
    teacher = used.trial(student.details["teacher"])
    assert life.use < used.lifetimes[teacher.number].use
    assert life.total < min(one.total for one in others)
    assert used.picks["most_frugal"] == student.number


def test_much_use_recommends_a_student_that_is_within_the_error(used: SearchResult) -> None:
    near = run(1e8, data=rare(1200, n_positive=120, seed=9))
    for result, recommended in ((near, True), (used, False)):
        (student,) = students(result)
        low, high = student.details["loss_interval"]
        error = (high - low) / 3.29  # of 90 %, were it normal
        assert (student.details["loss"] < error) == recommended
        assert (result.picks["recommended"] == student.number) == recommended


def test_its_loss_is_that_of_its_score_with_an_interval(used: SearchResult) -> None:
    (student,) = students(used)
    teacher = used.trial(student.details["teacher"])
    assert teacher.score is not None
    assert student.score is not None
    assert student.details["loss"] == pytest.approx(teacher.score - student.score)
    low, high = student.details["loss_interval"]
    assert low <= high
    assert low - 0.05 < student.details["loss"] < high + 0.05
    # Faithful: it learned the teacher's order, not noise.
    assert student.score > 0.8 * teacher.score


def test_the_student_never_saw_the_rows_that_judge_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from automl.models.boosting import regressed
    from automl.search import distill

    shown: list[np.ndarray] = []
    original = regressed

    def noting(X: np.ndarray, *args: Any, **options: Any) -> Any:
        shown.append(X)
        return original(X, *args, **options)

    monkeypatch.setattr(distill, "regressed", noting)
    result = run(1e8, pick="most_frugal")
    (student,) = students(result)
    rows = result.champion.out_of_fold["rows"]
    matrix = result.champion.encoder.transform(DATA.X)
    n_parts = len(student.details["parts"])
    halves = np.array_split(rows, n_parts)  # two parts of near-equal size here
    for seen, valid in zip(shown[:n_parts], halves, strict=True):
        inside = {row.tobytes() for row in seen}
        core = valid[5:-5]
        assert not any(matrix[row].tobytes() in inside for row in core)


def test_a_student_champion_saves_and_loads(used: SearchResult, tmp_path: Path) -> None:
    (student,) = students(used)
    result = used
    assert result.champion.provenance["trial"] == student.number
    (member,) = result.champion.members
    assert (member.candidate.model, len(member.models)) == (STUDENT, 1)
    result.champion.save(tmp_path / "student")
    loaded = Champion.load(tmp_path / "student")
    assert seen_by(loaded, DATA.X) == seen_by(result.champion, DATA.X)
    assert not list((tmp_path / "student").glob("*.pkl"))


def test_a_resumed_search_ends_with_the_same_student(used: SearchResult) -> None:
    journal = MemoryJournal()
    once = run(1e8, pick="most_frugal", journal=journal)
    again = run(1e8, pick="most_frugal", journal=journal)
    assert seen_by(once.champion, DATA.X) == seen_by(again.champion, DATA.X)
    assert seen_by(used.champion, DATA.X) == seen_by(again.champion, DATA.X)


def test_a_search_may_start_from_a_student(used: SearchResult) -> None:
    result = run(None, start=Start(champion=used.champion))
    assert result.start is not None
    assert result.start["kind"] == "first"
