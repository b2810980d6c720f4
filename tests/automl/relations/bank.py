"""A small bank of many tables, made by chance, and what a loop over it says was known when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

SPEC: dict[str, Any] = {
    "entities": "people",
    "key": "person",
    "target": "bad",
    "cut_off": {"column": "day", "time_format": "number", "gap": 1},
    "tables": {
        "people": {"role": "entities", "exclude": ["note"]},
        "towns": {"role": "static", "key": "town", "to": "people.town"},
        "visits": {
            "role": "events",
            "key": "who",
            "to": "people.person",
            "time": "t",
            "time_format": "number",
            "orphans": "drop",
        },
        "cards": {"role": "static", "key": "person", "to": "people", "orphans": "drop"},
        "payments": {
            "role": "events",
            "key": "card",
            "to": "cards.card",
            "time": "t",
            "time_format": "number",
            "orphans": "drop",
        },
        "items": {"role": "static", "key": "payment", "to": "payments", "orphans": "drop"},
        "shops": {"role": "static", "key": "shop", "to": "payments.shop"},
        "streets": {"role": "static", "key": "street", "to": "shops.street"},
        "weather": {"role": "series", "time": "t", "time_format": "number"},
    },
}


def bank(seed: int) -> dict[str, pd.DataFrame]:
    """Tables with repeated entities, shared cards, orphans, ties and missing keys."""
    chance = np.random.default_rng(seed)
    n_people, n_cards, n_payments = 6, 8, 40
    rows = [
        (f"p{person}", day)
        for person in range(n_people)
        for day in chance.choice(10, size=chance.integers(1, 4), replace=False)
    ]
    people = pd.DataFrame(rows, columns=["person", "day"])
    return {
        "people": people.assign(
            town=chance.integers(0, 4, len(people)),
            note="x",
            bad=chance.integers(0, 2, len(people)),
        ),
        "towns": pd.DataFrame({"town": [0, 1, 2, 9], "size": [5.5, 6.5, 7.5, 8.5]}),
        "visits": pd.DataFrame(
            {
                "who": [None, *(f"p{one}" for one in chance.integers(0, n_people + 2, 29))],
                "t": chance.integers(0, 10, 30),
                "v": chance.integers(0, 5, 30),
            }
        ),
        "cards": pd.DataFrame(
            {
                "card": chance.integers(100, 100 + n_cards, n_cards + 3),
                "person": [f"p{one}" for one in chance.integers(0, n_people + 1, n_cards + 3)],
                "kind": chance.choice(["gold", "blue"], n_cards + 3),
            }
        ),
        "payments": pd.DataFrame(
            {
                "payment": np.arange(n_payments),
                "card": chance.integers(100, 101 + n_cards, n_payments),
                "t": chance.integers(0, 10, n_payments),
                "shop": chance.integers(0, 4, n_payments),
                "amount": chance.integers(0, 9, n_payments) / 2,
            }
        ),
        "items": pd.DataFrame(
            {"payment": chance.integers(0, n_payments + 3, 50), "price": np.arange(50)}
        ),
        "shops": pd.DataFrame({"shop": [0, 1, 2], "street": ["a", "b", None]}),
        "streets": pd.DataFrame({"street": ["b", "a"], "width": [3, 4]}),
        "weather": pd.DataFrame({"t": np.arange(12), "rain": chance.integers(0, 3, 12)}),
    }


def arrow(tables: dict[str, pd.DataFrame], *, seed: int | None = None) -> dict[str, pa.Table]:
    """The tables as Arrow, each in an order by chance."""
    made = {}
    for name, frame in tables.items():
        if seed is not None:
            frame = frame.sample(frac=1, random_state=seed)
        made[name] = pa.Table.from_pandas(frame, preserve_index=False)
    return made


def known(tables: dict[str, pd.DataFrame], person: str, day: float) -> dict[str, list[tuple]]:
    """What one row may be told: values of each table's rows, in the order of time."""
    before = day - SPEC["cut_off"]["gap"]
    visits, cards, payments = tables["visits"], tables["cards"], tables["payments"]
    own = cards[cards["person"] == person]
    shops = tables["shops"].merge(tables["streets"], on="street", how="left")
    paid = payments[payments["card"].isin(own["card"]) & (payments["t"] < before)]
    paid = paid.merge(shops, on="shop", how="left")
    bought = tables["items"].merge(paid[["payment", "t"]], on="payment")
    seen = visits[(visits["who"] == person) & (visits["t"] < before)]
    weather = tables["weather"]
    return {
        "visits": sorted(zip(seen["t"], seen["v"], strict=True)),
        "cards": sorted(zip(own["card"], own["kind"], strict=True)),
        "payments": sorted(
            zip(paid["t"], paid["payment"], paid["amount"], paid["width"].fillna(-1), strict=True)
        ),
        "items": sorted(zip(bought["t"], bought["price"], strict=True)),
        "weather": [
            (t, rain) for t, rain in zip(weather["t"], weather["rain"], strict=True) if t < before
        ],
    }
