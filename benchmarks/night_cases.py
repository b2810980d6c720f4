"""Real tables in the order of time: what each night of a service would find that is new."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.relational import EXAMPLES
from benchmarks.sets import folder as shared_data

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Tables with the moment at which each row is known.

    Parameters
    ----------
    spec : as under `examples/`; sources are filled in once the tables are uploaded
    entities, key, target : of the spec
    frames : by table
    at : by table, when each row is known, in the clock's units; none: from the beginning
    labels_at : when the label of each entity row is known; -inf: with the row itself
    clock : the first search, and each night after it; one more moment ends the last period
    step : what lies between two nights, in words
    delay : how late labels are, in words; made up where it says so
    days : between two nights
    """

    name: str
    spec: dict[str, Any]
    entities: str
    key: str | None
    target: str
    positive: tuple[Any, ...]
    frames: dict[str, pd.DataFrame]
    at: dict[str, Floats]
    labels_at: Floats
    clock: tuple[float, ...]
    step: str
    delay: str
    days: int

    def known(self, table: str, until: float, *, since: float = -np.inf) -> Rows:
        """Rows of a table that came after `since` and no later than `until`."""
        at = self.at.get(table)
        if at is None:
            n_rows = len(self.frames[table]) if since == -np.inf else 0
            return np.arange(n_rows)
        return np.flatnonzero((at > since) & (at <= until))

    def rows(self, table: str, until: float, *, since: float = -np.inf) -> pd.DataFrame:
        """Those rows as they come: entities without the labels that are not known by then."""
        found = self.known(table, until, since=since)
        frame = self.frames[table].iloc[found]
        if table != self.entities:
            return frame
        unknown = self.labels_at[found] > until
        return frame.assign(**{self.target: frame[self.target].astype(object).mask(unknown, None)})

    def late(self, until: float, *, since: float) -> pd.DataFrame:
        """Key and label of rows that came by `since` and whose label became known after it."""
        if self.key is None:
            return pd.DataFrame()
        there = self.known(self.entities, since)
        came = there[(self.labels_at[there] > since) & (self.labels_at[there] <= until)]
        return self.frames[self.entities].iloc[came][[self.key, self.target]]

    def is_positive(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """The true labels of entity rows, whenever they come to be known."""
        return np.asarray(self.frames[self.entities][self.target].iloc[rows].isin(self.positive))


def superlender() -> Case:
    """Loans of July 2017 every two days, with the customers' earlier loans as they are closed."""
    folder = shared_data() / "superlender"
    loans = pd.read_csv(folder / "trainperf.csv.gz")
    earlier = pd.read_csv(folder / "trainprevloans.csv.gz").rename(columns={"Unnamed: 0": "row_id"})
    people = pd.read_csv(folder / "traindemographics.csv.gz")
    day = _days(loans["approveddate"], origin="2017-07-01")
    return Case(
        name="superlender",
        spec=_spec("superlender"),
        entities="loan",
        key="customerid",
        target="good_bad_flag",
        positive=("Bad",),
        frames={"loan": loans, "earlier": earlier, "person": people},
        at={"loan": day, "earlier": _days(earlier["closeddate"], origin="2017-07-01")},
        labels_at=day + 2,
        clock=tuple(float(one) for one in range(14, 31, 2)),
        step="two days",
        delay="2 days (made up: the real terms are 15 to 90)",
        days=2,
    )


def credit_card_approval() -> Case:
    """Clients whose account is seven months old, each two months; overdue or not a year later."""
    folder = shared_data() / "credit_card_approval"
    labels = pd.read_parquet(folder / "labels.parquet")
    credit = pd.read_parquet(folder / "credit_record.parquet")
    first = credit.groupby("ID")["MONTHS_BALANCE"].min()
    opened = labels["ID"].map(first).to_numpy(dtype=np.float64)
    return Case(
        name="credit_card_approval",
        spec=_spec("credit_card_approval"),
        entities="labels",
        key="ID",
        target="target",
        positive=(1,),
        frames={
            "labels": labels,
            "application": pd.read_parquet(folder / "application_record.parquet"),
            "credit": credit,
        },
        at={
            "labels": opened + 6,
            "credit": credit["MONTHS_BALANCE"].to_numpy(dtype=np.float64),
        },
        labels_at=opened + 18,
        clock=tuple(float(one) for one in range(-24, -11, 2)),
        step="two months",
        delay="12 months",
        days=61,
    )


def berka() -> Case:
    """Loans by half-years; the tables around as far as they are known."""
    folder = shared_data() / "berka"
    spec = _spec("berka")
    frames = {
        name: pd.read_parquet(folder / one["source"]["file"])
        for name, one in _examples_spec("berka")["tables"].items()
    }
    loan = _yymmdd(frames["loan"]["date"])
    issued = _yymmdd(frames["card"]["issued"].astype(str).str[:6].astype(int))
    return Case(
        name="berka",
        spec=spec,
        entities="loan",
        key="account_id",
        target="status",
        positive=("B", "D"),
        frames=frames,
        at={"loan": loan, "trans": _yymmdd(frames["trans"]["date"]), "card": issued},
        labels_at=loan + 365,
        clock=tuple(
            float(one)
            for one in _days(
                pd.date_range("1996-01-01", "1999-01-01", freq="6MS").to_series(),
                origin="1993-01-01",
            )
        ),
        step="half-year",
        delay="a year (made up: the real terms are one to five years)",
        days=182,
    )


CASES: dict[str, Callable[[], Case]] = {
    "superlender": superlender,
    "credit_card_approval": credit_card_approval,
    "berka": berka,
}


def _examples_spec(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / name / "spec.json").read_text("utf-8"))
    return found


def _spec(name: str) -> dict[str, Any]:
    """The example's spec without its sources; rows may come before their entities do."""
    spec = _examples_spec(name)
    for about in spec["tables"].values():
        del about["source"]
        if "to" in about:
            about["orphans"] = "drop"
    return spec


def _days(times: Sequence[Any] | pd.Series[Any], *, origin: str) -> Floats:
    since = pd.to_datetime(pd.Series(times)) - pd.Timestamp(origin)
    return np.asarray(since / pd.Timedelta(days=1), dtype=np.float64)


def _yymmdd(dates: pd.Series[Any]) -> Floats:
    return _days(
        pd.to_datetime(dates.astype(str).str.zfill(6), format="%y%m%d"), origin="1993-01-01"
    )
