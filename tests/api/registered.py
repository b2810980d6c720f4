"""A folder of monthly balances that may be read in place, and customers that refer to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl.relations.stored import Stored
from tests.api.parts import Site, build

N, EVENTS = 60, 900


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "srv" / "balances"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for part in range(3):
        days = np.datetime64("2024-01-01") + rng.integers(0, 360, EVENTS)
        table = pa.table(
            {
                "customer_id": [f"C{one:04d}" for one in rng.integers(0, N, EVENTS)],
                "month_end": [str(one) for one in days],
                "balance": rng.normal(size=EVENTS),
            }
        )
        pq.write_table(table, folder / f"part-{part}.parquet")
    return tmp_path / "srv"


@pytest.fixture
def site(tmp_path: Path, root: Path) -> Iterator[Site]:
    (tmp_path / "data").mkdir()
    made = build(tmp_path / "data", reads_files=True, feed_roots=(root,))
    yield made
    made.store.close()


@pytest.fixture
def customers(site: Site) -> str:
    lines = "".join(f"C{n:04d},{20 + n},2025-01-01,{int(n % 9 == 0)}\n" for n in range(N))
    return ready(site, site.upload(f"customer_id,age,cut_off,bad\n{lines}".encode()))["id"]


def ready(site: Site, dataset: str) -> Any:
    end = time.monotonic() + 240
    while (found := site.get(f"/v1/datasets/{dataset}").json)["state"] == "INGESTING":
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def spec(customers: str, source: dict[str, str]) -> dict[str, Any]:
    return {
        "tables": {
            "customers": {"role": "entities", "source": {"dataset": customers}},
            "balances": {
                "role": "series",
                "key": "customer_id",
                "to": "customers",
                "time": "month_end",
                "source": source,
            },
        },
        "key": "customer_id",
        "target": "bad",
        "cut_off": {"column": "cut_off"},
    }


def register(site: Site, customers: str, uri: str) -> Any:
    return site.post("/v1/datasets", json={"name": "b", "spec": spec(customers, {"uri": uri})})


def layout(site: Site, dataset: str) -> Stored:
    stored = site.store.get_dataset(site.project, dataset)
    assert stored.artifact is not None
    return Stored(site.artifacts.path(stored.artifact) / "relations")
