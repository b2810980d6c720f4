"""A search keeps one table: the encoded rows."""

from __future__ import annotations

import weakref
from typing import Any

from automl.cost import Budget
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.journal import MemoryJournal
from automl.search.problem import prepare
from automl.search.run import search
from tests.automl.search.problems import rare


def test_the_table_is_gone_before_the_first_trial() -> None:
    handed = [rare(300, n_positive=40)]
    frame = weakref.ref(handed[0].X)
    alive: list[bool] = []

    class Told(MemoryJournal):
        def begin(self, *arguments: Any, **named: Any) -> None:
            alive.append(frame() is not None)
            super().begin(*arguments, **named)

    search(handed.pop(), meter=CpuTimeMeter(), journal=Told(), budget=Budget(trials=1), mode="eco")
    assert alive == [False]


def test_a_problem_tells_of_the_table_without_it() -> None:
    dataset = rare(300, n_positive=40)
    problem = prepare(dataset, seed=0)
    assert problem.dataset.X.shape == (300, 0)
    assert problem.fingerprint == dataset.fingerprint()
    assert [one["type"] for one in problem.schema] == ["number"] * 4 + ["category"]
