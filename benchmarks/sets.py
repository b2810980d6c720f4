"""The tables that the search is judged on, and how each is split.

Every tabular set of the development data with at least 100 positives: `polish_bankruptcy` as its
two years, three common targets also thinned to 5 % positives, and the panel of a million rows
once by entity and once forward in time. Identifiers, leaks and role columns (entity, time) are no
features for anybody, with one exception: where the panel is split by entity, its month is a
column like any other.

Splits are 70/30. No roles: stratified. Group: whole entities, those with a positive dealt apart
from those without. Time: the cut is the moment before which 70 % of the rows lie; seed 0 cuts the
whole span, any other seed a window of 80 % of the span that starts somewhere in its first fifth
(a golden-ratio sequence, so that no two seeds share a window). Seeds 0 to 4 are the benchmark's;
experiments take 100 and above.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Rows = npt.NDArray[np.intp]

LEAST_POSITIVES = 100
THINNED_RATE = 0.05
TEST_SHARE = 0.3
WINDOW = 0.8
# Below this many rows five splits are drawn, from it on two.
MANY_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a set is made from one entry of the catalog."""

    entry: str
    part: tuple[str, Any] | None = None  # keep the rows where this column has this value
    thinned: bool = False
    time: str | None = None
    group: str | None = None
    drop: tuple[str, ...] = ()  # beside what the catalog says


@dataclass(frozen=True, kw_only=True)
class Table:
    """Features as their publisher wrote them, a 0/1 target, and the roles of its rows."""

    name: str
    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    time: npt.NDArray[Any] | None = None
    group: npt.NDArray[Any] | None = None

    @property
    def n_rows(self) -> int:
        return len(self.y)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of the benchmark."""
        return tuple(range(5)) if self.n_rows < MANY_ROWS else (0, 1)


_ALIKE = (
    "adb_cover",
    "adb_optdigits",
    "adb_shuttle",
    "adb_wilt",
    "ai4i_2020",
    "bank_marketing",
    "german_credit",
    "give_me_some_credit",
    "hmeq",
    "hypothyroid",
    "mammography",
    "stroke",
    "uci_default_credit",
    "wine_quality_white",
)
_MONTH = "MONTHS_BALANCE"
SETS: Mapping[str, Recipe] = {
    **{name: Recipe(entry=name) for name in _ALIKE},
    **{
        f"{name}_5pct": Recipe(entry=name, thinned=True)
        for name in ("bank_marketing", "hmeq", "uci_default_credit")
    },
    "polish_1year": Recipe(entry="polish_bankruptcy", part=("dataset_year", 1)),
    "polish_5year": Recipe(entry="polish_bankruptcy", part=("dataset_year", 5)),
    "ozone_eighthr": Recipe(entry="ozone_eighthr", time="Date"),
    # `part` is the published split by date.
    "customs_fraud": Recipe(entry="customs_fraud", time="Date", drop=("part",)),
    "credit_next_month": Recipe(entry="credit_next_month", group="ID"),
    "credit_next_month_forward": Recipe(entry="credit_next_month", time=_MONTH),
}


def folder() -> Path:
    """Where the data lie: FRUGAL_SHARED_DATA, else beside the checkout.

    Raises
    ------
    FileNotFoundError
        There is no catalog.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    found = Path(os.environ.get("FRUGAL_SHARED_DATA", beside))
    if not (found / "catalog.json").is_file():
        raise FileNotFoundError(f"no catalog.json in {found}: name its folder FRUGAL_SHARED_DATA")
    return found


def catalog() -> dict[str, dict[str, Any]]:
    """Entries of the catalog by name."""
    entries = json.loads((folder() / "catalog.json").read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in entries}


def load(name: str) -> Table:
    """A set whole, in its published row order.

    Raises
    ------
    ValueError
        No such set.
    """
    if name not in SETS:
        raise ValueError(f"{name!r} is not a set; they are {', '.join(SETS)}")
    recipe = SETS[name]
    entry = catalog()[recipe.entry]
    frame = pd.read_parquet(folder() / entry["files"][0])
    left_out = {entry["target"], *recipe.drop}
    left_out |= set(entry.get("leak_columns", ())) | set(entry.get("id_columns", ()))
    if recipe.part is not None:
        column, value = recipe.part
        left_out.add(column)
        frame = frame[frame[column] == value].reset_index(drop=True)
    y = (frame[entry["target"]] == entry["positive"]).to_numpy().astype(np.int8)
    if recipe.thinned:
        kept = thinned(y, rate=THINNED_RATE, seed=0)
        frame, y = frame.iloc[kept].reset_index(drop=True), y[kept]
    roles = {
        role: None if column is None else frame[column].to_numpy()
        for role, column in (("time", recipe.time), ("group", recipe.group))
    }
    left_out |= {column for column in (recipe.time, recipe.group) if column is not None}
    X = frame.drop(columns=sorted(left_out))
    return Table(name=name, X=X, y=y, time=roles["time"], group=roles["group"])


def thinned(y: npt.NDArray[np.int8], *, rate: float, seed: int) -> Rows:
    """All negatives and as many positives as make that rate; ascending rows.

    >>> kept = thinned(np.array([1] * 30 + [0] * 95, dtype=np.int8), rate=0.05, seed=0)
    >>> len(kept)
    100
    """
    positives, negatives = np.flatnonzero(y == 1), np.flatnonzero(y != 1)
    wanted = min(len(positives), round(rate / (1 - rate) * len(negatives)))
    chosen = np.random.default_rng(seed).choice(positives, size=wanted, replace=False)
    return np.sort(np.concatenate([negatives, chosen]))


def split(table: Table, seed: int) -> tuple[Rows, Rows]:
    """Rows to search on and rows to judge by, both ascending; see the module's words."""
    if table.time is not None:
        return _forward(table.time, seed)
    if table.group is not None:
        codes, _ = pd.factorize(table.group)
        positives = np.bincount(codes, weights=table.y)
        test = _dealt(positives > 0, seed)[codes]
    else:
        test = _dealt(table.y == 1, seed)
    return np.flatnonzero(~test), np.flatnonzero(test)


def _dealt(positive: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.bool_]:
    """Which go to the test part: 30 % of the positives and 30 % of the rest."""
    rng = np.random.default_rng(seed)
    test = np.zeros(len(positive), dtype=bool)
    for rows in (np.flatnonzero(positive), np.flatnonzero(~positive)):
        test[rng.permutation(rows)[: round(TEST_SHARE * len(rows))]] = True
    return test


def _forward(time: npt.NDArray[Any], seed: int) -> tuple[Rows, Rows]:
    if time.dtype.kind == "M":
        time = time.astype("datetime64[us]").astype(np.int64)
    moments = time.astype(np.float64)
    inside = np.ones(len(moments), dtype=bool)
    if seed:
        first, last = moments.min(), moments.max()
        start = first + (1 - WINDOW) * (seed * (5**0.5 - 1) / 2 % 1) * (last - first)
        inside = (moments >= start) & (moments <= start + WINDOW * (last - first))
    ordered = np.sort(moments[inside])
    cut = ordered[int((1 - TEST_SHARE) * len(ordered))]
    return np.flatnonzero(inside & (moments < cut)), np.flatnonzero(inside & (moments >= cut))
