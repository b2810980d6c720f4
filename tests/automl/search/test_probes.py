"""Which tables are given a trial of their own kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from automl.data.dataset import Dataset
from automl.meta.portfolio import NAMED
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.probes import probes
from automl.search.problem import prepare
from automl.search.run import search
from tests.automl.search.problems import rare


def goods(n_rows: int = 3000) -> Dataset:
    """Rare rows are told by the price of their goods, whether it is high or low."""
    rng = np.random.default_rng(0)
    prices = rng.uniform(1, 1000, 300)
    good = rng.integers(0, 300, n_rows)
    y = (rng.random(n_rows) < np.where(good % 20 == 0, 0.8, 0.01)).astype(np.int8)
    X = pd.DataFrame({"price": prices[good], "mass": rng.normal(size=n_rows)})
    return Dataset(X=X, y=y)


def test_a_table_of_identities_gets_rates_and_others_do_not() -> None:
    (probe,) = probes(prepare(goods(), seed=0))
    assert probe.candidate == NAMED["R15"]
    assert "levels of a column explain" in probe.why
    assert not probes(prepare(rare(), seed=0))


def test_rates_are_not_tried_where_columns_have_a_direction() -> None:
    problem = prepare(goods(), seed=0)
    monotone = replace(problem.info, monotone=(1, 0))

    class Directed:
        info = monotone

    assert not probes(Directed())  # type: ignore[arg-type]


def test_the_search_finds_what_only_rates_tell() -> None:
    result = search(goods(), meter=CpuTimeMeter(), mode="eco", seed=0)
    scores = {t.candidate.model: t.score or 0.0 for t in result.trials}
    assert scores["rated_lightgbm"] > scores["lightgbm"] + 0.02
    again = search(goods(), meter=CpuTimeMeter(), mode="eco", seed=0)
    X = goods().X.head(200)
    assert (again.champion.predict_proba(X) == result.champion.predict_proba(X)).all()
