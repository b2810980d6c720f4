"""A small made-up bank of three tables, uploaded and put together."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from automl.data.bank import Bank, generate
from tests.api.parts import Site

N_CUSTOMERS = 2_000
TABLES = ("customers", "balances", "contacts")


@cache
def bank() -> Bank:
    """The bank of all these tests."""
    return generate(N_CUSTOMERS, seed=5)


def ready(site: Site, dataset_id: str) -> dict[str, Any]:
    """The data set once it is not INGESTING."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        found: dict[str, Any] = site.get(f"/v1/datasets/{dataset_id}").json
        if found["state"] != "INGESTING":
            return found
        time.sleep(0.05)
    raise AssertionError("still INGESTING")


def uploaded(site: Site, body: bytes, **options: str) -> dict[str, Any]:
    """A file as a data set that is read in."""
    answer = site.post(
        "/v1/datasets",
        data=body,
        query_string=options,
        content_type="application/octet-stream",
    )
    assert answer.status_code in (200, 201), answer.text
    return ready(site, answer.json["id"])


def frame_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def bank_tables(site: Site, folder: Path) -> dict[str, str]:
    """The ids of the data sets of the bank's three tables."""
    paths = bank().write(folder)
    options: dict[str, dict[str, str]] = {"contacts": {"log_format": "iso_message"}}
    found = {}
    for name in TABLES:
        one = uploaded(site, paths[name].read_bytes(), name=name, **options.get(name, {}))
        assert one["state"] == "READY", one
        found[name] = one["id"]
    return found


def bank_spec(ids: dict[str, str]) -> dict[str, Any]:
    """The three tables as a spec."""
    return {
        "tables": {
            "customers": {"role": "entities", "source": {"dataset": ids["customers"]}},
            "balances": {
                "role": "series",
                "key": "customer_id",
                "to": "customers",
                "time": "month_end",
                "source": {"dataset": ids["balances"]},
            },
            "contacts": {
                "role": "log",
                "key": "key",
                "to": "customers.customer_id",
                "time": "time",
                "message": "message",
                "source": {"dataset": ids["contacts"]},
            },
        },
        "key": "customer_id",
        "target": "became_fragile",
        "cut_off": {"column": "cut_off"},
    }


def assembled(site: Site, spec: dict[str, Any], name: str = "bank") -> dict[str, Any]:
    """The data set of a spec, READY or INVALID."""
    answer = site.post("/v1/datasets", json={"name": name, "spec": spec})
    assert answer.status_code in (200, 201), answer.text
    return ready(site, answer.json["id"])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso"))
    return found


def log_lines(frame: pd.DataFrame) -> str:
    """Contacts as the lines of the log."""
    return "\n".join(
        f"{row.time:%Y-%m-%dT%H:%M:%SZ} {row.customer_id} {row.channel} {row.message}"
        for row in frame.itertuples()
    )


def around(ids: list[str], *, raw_log: bool = False) -> dict[str, Any]:
    """The body of a prediction for some customers, in this order, with what is around them."""
    made = bank()
    customers = made.customers.to_pandas().set_index("customer_id").loc[ids].reset_index()
    balances, contacts = made.balances.to_pandas(), made.contacts.to_pandas()
    mine = contacts[contacts.customer_id.isin(ids)]
    called = mine.rename(columns={"customer_id": "key"})
    return {
        "rows": records(customers.drop(columns=["became_fragile"])),
        "tables": {
            "balances": records(balances[balances.customer_id.isin(ids)]),
            "contacts": {"log": log_lines(mine)} if raw_log else records(called),
        },
    }
