"""A seeded, made-up bank: customers, of whom a few become fragile, with balances and calls.

Nobody is described by it. Each customer has a hidden strain, made of four independent parts that
show in different places: circumstances in the customers' table, money in the monthly balances,
words in the contact-centre log, and chance nowhere. So each table adds what the others cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
PREVALENCE = 0.015
N_MONTHS = 18
CUT_OFF = np.datetime64("2024-06-30")
TABLE_WEIGHT, SERIES_WEIGHT, LOG_WEIGHT, CHANCE_WEIGHT = 1.37, 0.6, 0.68, 1.3

REGIONS = ("North", "North-West", "East", "Centre", "West", "South-West", "South", "Capital")
EMPLOYMENT = ("permanent", "fixed-term", "self-employed", "retired", "student", "none")
AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
HOUSING = ("owner", "mortgage", "tenant", "family")
CHANNELS = ("phone", "chat", "branch", "mail")

# What agents note; {n} is a number that makes lines differ, as in real logs.
ORDINARY = (
    "customer asked for the opening hours of branch {n}",
    "new card ordered, reference {n}",
    "transfer limit raised to {n} EUR on request",
    "address changed, ticket {n}",
    "password reset for online banking, session {n}",
    "question about fee on statement {n} answered",
    "appointment with adviser booked, slot {n}",
    "card payment of {n} EUR disputed by customer",
    "certificate of account sent, document {n}",
)
DISTRESS = (
    "customer requests payment plan for loan {n}",
    "customer asks to postpone instalment of {n} EUR",
    "direct debit of {n} EUR returned, customer informed",
    "customer reports loss of employment, case {n}",
    "customer asks for overdraft extension to {n} EUR",
)


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Three tables of one bank.

    customers has one row per customer with the target `became_fragile` (0/1) within the six
    months after `cut_off`; balances one per customer and month; contacts one per message.
    Nothing in balances and contacts is later than the cut-off.
    """

    customers: pa.Table
    balances: pa.Table
    contacts: pa.Table

    def write(self, folder: Path) -> dict[str, Path]:
        """Write customers.csv, balances.parquet and contacts.log into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = {
            "customers": folder / "customers.csv",
            "balances": folder / "balances.parquet",
            "contacts": folder / "contacts.log",
        }
        pa_csv.write_csv(
            self.customers, paths["customers"], pa_csv.WriteOptions(quoting_style="needed")
        )
        pq.write_table(self.balances, paths["balances"], compression="zstd")
        columns = (self.contacts.column(name).to_pylist() for name in self.contacts.column_names)
        with paths["contacts"].open("w", encoding="utf-8") as file:
            for time, customer, channel, message in zip(*columns, strict=True):
                file.write(f"{time:%Y-%m-%dT%H:%M:%SZ} {customer} {channel} {message}\n")
        return paths


def generate(n_customers: int = 20_000, *, seed: int = 0) -> Bank:
    """A bank of so many customers; the same seed gives the same bank.

    About 1.5 % of the customers become fragile.

    >>> generate(1_000, seed=1).customers.num_rows
    1000
    """
    rng = np.random.default_rng(seed)
    table, circumstances = _customers(n_customers, rng)
    money = _heavy(n_customers, rng)
    words = _heavy(n_customers, rng)
    strain = (
        TABLE_WEIGHT * circumstances
        + SERIES_WEIGHT * money
        + LOG_WEIGHT * words
        + CHANCE_WEIGHT * rng.logistic(size=n_customers)
    )
    fragile = strain > np.quantile(strain, 1 - PREVALENCE)
    balances = _balances(table, money, rng)
    contacts = _contacts(table["customer_id"], words, rng)
    columns = {name: _with_gaps(name, values, rng) for name, values in table.items()}
    columns["cut_off"] = pa.array(np.full(n_customers, CUT_OFF)).cast(pa.date32())
    columns["became_fragile"] = pa.array(fragile.astype(np.int64))
    return Bank(customers=pa.table(columns), balances=balances, contacts=contacts)


def _heavy(n: int, rng: np.random.Generator) -> Floats:
    """A hidden part of the strain: mostly small, for a few large, mean 0."""
    return rng.gamma(0.5, 1.6, size=n) - 0.8


def _customers(
    n: int, rng: np.random.Generator
) -> tuple[dict[str, npt.NDArray[np.generic]], Floats]:
    """Columns of the customers' table, and the strain that they show."""
    age = np.clip(rng.normal(46, 16, n), 18, 92)
    band = np.digitize(age, [25, 35, 45, 55, 65])
    employment = np.where(
        age > 64, 3, rng.choice([0, 1, 2, 4, 5], size=n, p=[0.66, 0.13, 0.11, 0.05, 0.05])
    )
    region = rng.choice(len(REGIONS), size=n, p=[0.1, 0.12, 0.14, 0.12, 0.13, 0.12, 0.12, 0.15])
    housing = rng.choice(len(HOUSING), size=n, p=[0.3, 0.25, 0.35, 0.1])
    factor = np.array([1.0, 0.75, 1.1, 0.7, 0.35, 0.4])[employment]
    income = np.round(np.exp(rng.normal(7.7, 0.4, n)) * factor, 2)
    debt = np.where(housing == 1, rng.gamma(2.0, 0.16, n), rng.gamma(0.9, 0.14, n))
    utilisation = np.clip(rng.beta(0.7, 2.0, n) + 0.25 * (debt > 0.5), 0, 1.4)
    tenure = np.round(rng.gamma(2.0, 45, n)).astype(np.int64)
    late = rng.poisson(0.12 + 0.9 * np.maximum(utilisation - 0.6, 0) + 0.25 * (employment == 5))
    dependants = rng.poisson(np.where((age > 27) & (age < 55), 1.0, 0.15))
    strain = (
        1.1 * np.minimum(late, 4)
        + 2.0 * np.maximum(utilisation - 0.5, 0)
        + 1.6 * np.maximum(debt - 0.35, 0)
        + 0.8 * (employment == 5)
        + 0.45 * (employment == 1)
        + 0.5 * (tenure < 12)
        + 0.15 * dependants * (income < 1500)
        - 0.35 * (np.log(income) - 7.6)
    )
    index = rng.permutation(n)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "customer_id": np.array([f"C{one:07d}" for one in index]),
        "age_band": np.array(AGE_BANDS)[band],
        "region": np.array(REGIONS)[region],
        "employment": np.array(EMPLOYMENT)[employment],
        "housing": np.array(HOUSING)[housing],
        "customer_since_months": tenure,
        "product_count": 1 + rng.poisson(1.4, n),
        "dependants": dependants,
        "monthly_income": income,
        "debt_to_income": np.round(debt, 3),
        "credit_utilisation": np.round(utilisation, 3),
        "late_payments_12m": late,
        "online_banking": rng.random(n) < 0.7,
    }
    return columns, strain - strain.mean()


def _with_gaps(name: str, values: npt.NDArray[np.generic], rng: np.random.Generator) -> pa.Array:
    """Values as Arrow, some missing as in real life, independent of the target."""
    share = {"monthly_income": 0.08, "employment": 0.03, "credit_utilisation": 0.02}.get(name, 0.0)
    mask = rng.random(len(values)) < share if share else None
    return pa.array(values, mask=mask)


def _balances(
    table: dict[str, npt.NDArray[np.generic]], money: Floats, rng: np.random.Generator
) -> pa.Table:
    """Month-end balances: strain in money shows as a falling trend and months in overdraft."""
    n = len(money)
    income = np.asarray(table["monthly_income"], dtype=np.float64)
    months = np.arange(N_MONTHS)
    level = income * rng.gamma(2.0, 0.8, n)
    onset = rng.integers(6, 12, n)  # when it began, months before the cut-off
    falling = np.maximum(0, months[None, :] - (N_MONTHS - onset[:, None]))
    fall = np.maximum(money, 0) * income * 0.16
    noise = rng.normal(0, 0.3, (n, N_MONTHS)) * income[:, None]
    season = 0.15 * np.sin(2 * np.pi * (months + 3) / 12)[None, :] * income[:, None]
    balance = level[:, None] + noise + season - fall[:, None] * falling
    inflow = income[:, None] * np.exp(rng.normal(0, 0.12, (n, N_MONTHS)))
    ends = (np.datetime64("2023-02", "M") + months).astype("datetime64[D]") - np.timedelta64(1, "D")
    return pa.table(
        {
            "customer_id": pa.array(np.repeat(table["customer_id"], N_MONTHS)),
            "month_end": pa.array(np.tile(ends, n)).cast(pa.timestamp("us", "UTC")),
            "balance": pa.array(np.round(balance, 2).ravel()),
            "inflow": pa.array(np.round(inflow, 2).ravel()),
        }
    )


def _contacts(
    customer_id: npt.NDArray[np.generic], words: Floats, rng: np.random.Generator
) -> pa.Table:
    """Contact-centre messages of a year: strain in words shows as what they are about."""
    n = len(words)
    ordinary = rng.poisson(rng.gamma(1.2, 1.7, n))
    distress = rng.poisson(0.05 + 1.1 * np.maximum(words, 0))
    who = np.concatenate([np.repeat(np.arange(n), ordinary), np.repeat(np.arange(n), distress)])
    is_distress = np.arange(len(who)) >= ordinary.sum()
    # distress is recent, the rest is spread over the year
    age = rng.random(len(who)) * 365.0
    age = np.where(is_distress, age * 0.6, age)
    time = CUT_OFF.astype("datetime64[s]") - (age * 86_400).astype("timedelta64[s]")
    template = np.where(
        is_distress,
        rng.integers(0, len(DISTRESS), len(who)),
        rng.integers(0, len(ORDINARY), len(who)),
    )
    number = rng.integers(100, 99_999, len(who))
    order = np.lexsort((who, time))

    def message(at: int) -> str:
        templates = DISTRESS if is_distress[at] else ORDINARY
        return templates[template[at]].format(n=number[at])

    return pa.table(
        {
            "time": pa.array(time[order]).cast(pa.timestamp("us", "UTC")),
            "customer_id": pa.array(customer_id[who[order]]),
            "channel": pa.array(np.array(CHANNELS)[rng.integers(0, len(CHANNELS), len(who))]),
            "message": pa.array([message(at) for at in order.tolist()]),
        }
    )
