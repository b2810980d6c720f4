"""What a system is given and what it hands back; imported in every environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from benchmarks.sets import Table

Floats = npt.NDArray[np.float64]
Predict = Callable[[pd.DataFrame], Floats]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Training rows as published, and what the system may spend.

    `seconds` is the time limit of a peer, in its own sense; `cpu_seconds` is a budget of computing.
    """

    name: str
    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    time: npt.NDArray[Any] | None = None
    group: npt.NDArray[Any] | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()  # scratch, thrown away
    trials: Path | None = None  # where a system may keep trials from one run to the next


def task_on(table: Table, rows: npt.NDArray[np.intp], **how: Any) -> Task:
    """A task on these rows of a table; `how` are the task's other fields."""
    return Task(
        name=table.name,
        X=table.X.iloc[rows].reset_index(drop=True),
        y=table.y[rows],
        time=None if table.time is None else table.time[rows],
        group=None if table.group is None else table.group[rows],
        **how,
    )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Probabilities of the positive class by the name of the system they are of.

    A system may answer for a by-product too. `details` are JSON values for the result's row; in
    them `alert_threshold`, a probability, is judged on the test part where it is given.
    """

    predict: Mapping[str, Predict]
    details: Mapping[str, Any] = field(default_factory=dict)
