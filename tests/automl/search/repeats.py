"""Searches of one small table each, and all that has to repeat of what they find."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl.data.dataset import Dataset
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.objective import Objective
from automl.search.run import SearchResult, search
from automl.search.start import Start
from tests.automl.search.problems import rare


def identities(n_rows: int = 1500) -> Dataset:
    """A table whose label hangs on which level a column has, and not on its amount."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 150, n_rows)
    risky = rng.permutation(150) < 30
    y = (rng.random(n_rows) < np.where(risky[level], 0.5, 0.02)).astype(np.int8)
    X = pd.DataFrame({"level": level.astype(float), "a": rng.normal(size=n_rows)})
    return Dataset(X=X, y=y)


def found(case: str, *, seed: int = 3) -> SearchResult:
    """The result of a search by name of what is particular to it."""
    small = rare(900, n_positive=80)
    asked: dict[str, Any] = {"meter": CpuTimeMeter(), "seed": seed, "mode": "eco"}
    if case == "plain":
        return search(small, **{**asked, "mode": "balanced"})
    if case == "rates of levels":
        return search(identities(), **{**asked, "mode": "balanced"})
    if case == "objective and monotone":
        wanted = Objective(metric="expected_cost", missed_cost=20, alert_cost=1)
        rows = Dataset(X=small.X, y=small.y, monotone={"a": 1})
        return search(rows, **asked, objective=wanted)
    assert case == "warm start"
    first = np.arange(900) < 500
    older = Dataset(X=small.X[first].reset_index(drop=True), y=small.y[first])
    return search(small, **asked, start=Start(champion=search(older, **asked).champion))


def digest(case: str, *, seed: int = 3) -> str:
    """SHA-256 of the champion's files and logits, the front, the picks and all trials' scores.

    A scikit-learn file names its parts by addresses in memory, and so does the manifest with its
    checksum; what such a model says of each row stands for it.
    """
    result = found(case, seed=seed)
    whole = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        result.champion.save(Path(folder) / "champion")
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name != "manifest.json" and path.suffix != ".skops":
                whole.update(path.name.encode() + path.read_bytes())
        rows = identities().X if case == "rates of levels" else rare(900, n_positive=80).X
        whole.update(result.champion.decision(rows).tobytes())
    trials = [(t.proposal.to_json(), t.score, t.expected.cpu_seconds) for t in result.trials]
    told = [trials, list(result.front), dict(result.picks), result.stop_reason]
    whole.update(json.dumps(told, sort_keys=True).encode())
    return whole.hexdigest()
