"""Entities and events of any number, the same on every run, written without holding them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

FILE_EVENTS = 5_000_000
GROUP_ROWS = 1_000_000
YEARS, DAY = 2, 86_400
BEGIN = 1_640_995_200  # 2022-01-01
KINDS = (
    "card", "transfer", "cash", "salary", "rent", "fee", "penalty", "interest", "cheque",
    "insurance", "refund", "loan",
)  # fmt: skip
WEIGHTS = np.array([30, 15, 12, 6, 5, 8, 2, 4, 5, 5, 4, 4]) / 100
SPEC = {
    "key": "customer",
    "target": "bad",
    "positive": 1,
    "cut_off": {"column": "decided"},
    "tables": {
        "customers": {"role": "entities"},
        "events": {"role": "events", "key": "customer", "to": "customers", "time": "at"},
    },
}


def customer(number: np.ndarray) -> np.ndarray:
    """Numbers as a bank gives them: large, with gaps."""
    return 10_000_000 + 3 * number


def is_bad(number: np.ndarray) -> np.ndarray:
    """One in a hundred, spread evenly and without order."""
    mixed = (number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return mixed % np.uint64(100) == 0


def decided(number: np.ndarray) -> np.ndarray:
    """Seconds since 1970: some day of the last ninety."""
    mixed = (number.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(32)
    end = BEGIN + YEARS * 365 * DAY
    return end - (mixed % np.uint64(90)).astype(np.int64) * DAY


def write_entities(folder: Path, *, n_entities: int) -> None:
    """The entity table: a key, a cut-off, a target and three columns of noise."""
    numbers, rng = np.arange(n_entities), np.random.default_rng(0)
    regions = pa.array([f"region {i}" for i in range(20)])
    table = pa.table(
        {
            "customer": customer(numbers),
            "decided": _dates(decided(numbers)),
            "age": rng.integers(18, 90, n_entities).astype(np.int64),
            "income": np.round(rng.lognormal(10, 0.5, n_entities), 0),
            "region": regions.take(pa.array(rng.integers(0, 20, n_entities))),
            "bad": is_bad(numbers).astype(np.int64),
        }
    )
    pq.write_table(table, folder / "customers.parquet", compression="zstd")


def write_events(folder: Path, *, n_entities: int, n_events: int, kind: str = "parquet") -> None:
    """Files of events in order of time, as a ledger has them; each customer's lie everywhere.

    Those who turn bad are paid less and fined more in the last 120 days. Files that are there stay.
    """
    home = folder / "events"
    home.mkdir(parents=True, exist_ok=True)
    n_files = max(-(-n_events // FILE_EVENTS), 1)
    for number in range(n_files):
        path = home / f"{number:04}.{kind}"
        if path.exists():
            continue
        rows = min(FILE_EVENTS, n_events - number * FILE_EVENTS)
        table = _events(number, n_files=n_files, rows=rows, n_entities=n_entities)
        part = home.parent / f"{path.name}.part"
        if kind == "csv":
            pa_csv.write_csv(table, part)
        else:
            pq.write_table(table, part, compression="zstd", row_group_size=GROUP_ROWS)
        part.replace(path)


def _events(number: int, *, n_files: int, rows: int, n_entities: int) -> pa.Table:
    rng = np.random.default_rng([1, number])
    who = rng.integers(0, n_entities, rows)
    length = YEARS * 365 * DAY / n_files
    at = BEGIN + np.sort(rng.integers(int(number * length), int((number + 1) * length), rows))
    amount = np.round(rng.gamma(2.0, 5.0, rows), 1)
    kind = np.searchsorted(np.cumsum(WEIGHTS), rng.random(rows)).clip(max=len(KINDS) - 1)
    fragile = is_bad(who) & (at > decided(who) - 120 * DAY)
    amount[fragile] = np.round(amount[fragile] * 0.8, 1)
    fined = fragile & (rng.random(rows) < 0.08)
    kind[fined] = KINDS.index("penalty")
    words = pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int32)), pa.array(KINDS))
    return pa.table(
        {
            "customer": customer(who),
            "at": _dates(at),
            "amount": amount,
            "kind": words.cast(pa.string()),
        }
    )


def _dates(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC"))
