"""The made-up bank: repeatable, rare, and each table adds what the others cannot know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from automl.data.bank import CUT_OFF, DISTRESS, Bank, generate
from automl.data.tables import ReadingLimits, ReadingOptions, ingest


def test_the_same_seed_is_the_same_bank() -> None:
    one, two, other = generate(500, seed=3), generate(500, seed=3), generate(500, seed=4)
    assert one.customers.equals(two.customers)
    assert one.balances.equals(two.balances)
    assert one.contacts.equals(two.contacts)
    assert not one.customers.equals(other.customers)


def test_its_shape() -> None:
    bank = generate(4_000, seed=0)
    fragile = np.asarray(bank.customers["became_fragile"])
    assert 0.012 <= fragile.mean() <= 0.018
    assert len(set(bank.customers["customer_id"].to_pylist())) == 4_000
    assert bank.customers["monthly_income"].null_count > 0
    assert bank.balances.num_rows == 4_000 * 18
    for table, column in ((bank.balances, "month_end"), (bank.contacts, "time")):
        assert max(table[column].to_pylist()).date() <= CUT_OFF.astype(object)


def test_its_files_are_read_back(tmp_path: Path) -> None:
    paths = generate(2_000, seed=0).write(tmp_path)
    profile = ingest(
        paths["customers"], tmp_path / "s", options=ReadingOptions(), limits=ReadingLimits()
    )
    roles = {column["name"]: column["roles"] for column in profile["columns"]}
    assert profile["target_candidates"][0]["name"] == "became_fragile"
    assert "key" in roles["customer_id"]
    assert roles["cut_off"] == ["constant"]
    lines = paths["contacts"].read_text().splitlines()
    assert len(lines) > 2_000
    assert lines == sorted(lines, key=lambda line: line[:20])


def aggregates(bank: Bank) -> dict[str, pd.DataFrame]:
    """What someone would write by hand: one frame of features per table."""
    customers = bank.customers.to_pandas()
    keys = customers["customer_id"]
    table = customers.drop(columns=["became_fragile", "customer_id", "cut_off"])
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            table[name] = table[name].astype("category")
    balances = bank.balances.to_pandas().pivot(index="customer_id", columns="month_end")
    balances = balances.loc[keys]
    balance, inflow = balances["balance"].to_numpy(), balances["inflow"].to_numpy()
    relative = balance / inflow.mean(axis=1, keepdims=True)
    month = np.arange(6) - 2.5
    series = pd.DataFrame(
        {
            "trend": relative[:, -6:] @ month,
            "lowest": relative.min(axis=1),
            "months_overdrawn": (balance < 0).sum(axis=1),
            "last": relative[:, -1],
            "fall": relative[:, -3:].mean(axis=1) - relative[:, :6].mean(axis=1),
        }
    )
    contacts = bank.contacts.to_pandas()
    pattern = "|".join(template.split("{n}")[0].split(" of ")[0] for template in DISTRESS)
    contacts["distress"] = contacts["message"].str.contains(pattern)
    grouped = contacts.groupby("customer_id")["distress"]
    log = pd.DataFrame({"distress": grouped.sum(), "messages": grouped.size()})
    log = log.reindex(keys).fillna(0).reset_index(drop=True)
    return {"table": table, "series": series, "log": log}


def precision(features: list[pd.DataFrame], y: np.ndarray[Any, Any], train: Any) -> float:
    X = pd.concat(features, axis=1)
    model = lgb.LGBMClassifier(
        n_estimators=120, learning_rate=0.04, num_leaves=8, min_child_samples=30, n_jobs=1,
        verbose=-1,
    )  # fmt: skip
    model.fit(X[train], y[train])
    scores = np.asarray(model.predict_proba(X[~train]))[:, 1]
    return float(average_precision_score(y[~train], scores))


@pytest.mark.slow
def test_each_table_adds_a_fifth_of_average_precision() -> None:
    figures = []
    for seed in range(3):
        bank = generate(60_000, seed=seed)
        y = np.asarray(bank.customers["became_fragile"])
        train = np.random.default_rng(seed).random(len(y)) < 0.7
        parts = aggregates(bank)
        sets = (["table"], ["table", "series"], ["table", "log"], ["table", "series", "log"])
        figures.append([precision([parts[one] for one in names], y, train) for names in sets])
    table, series, log, everything = np.mean(figures, axis=0)
    assert 3.2 <= table / 0.015 <= 5.2
    assert series >= 1.2 * table
    assert log >= 1.2 * table
    assert everything >= 1.2 * max(series, log)
