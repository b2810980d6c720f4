"""Real data sets from their raw files, with nothing but a spec, against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.relations.assembling import assemble
from automl.relations.audit import n_unseen
from automl.relations.spec import Spec

pytestmark = pytest.mark.data

CREDIT = {
    "key": "ID",
    "target": "target",
    "cut_off": {"table": "credit_record", "after_first": 7},
    "tables": {
        "labels": {"role": "entities"},
        "application_record": {"role": "static", "key": "ID", "to": "labels"},
        "credit_record": {
            "role": "series",
            "key": "ID",
            "to": "labels",
            "time": "MONTHS_BALANCE",
            "time_format": "month_number",
            "orphans": "drop",
        },
    },
}
LENDER = {
    "key": "customerid",
    "target": "good_bad_flag",
    "positive": "Bad",
    "cut_off": {"column": "approveddate"},
    "tables": {
        "trainperf": {"role": "entities", "exclude": ["systemloanid"]},
        "traindemographics": {"role": "static", "key": "customerid", "to": "trainperf"},
        "trainprevloans": {
            "role": "events",
            "key": "customerid",
            "to": "trainperf",
            "time": "closeddate",
        },
    },
}
VIRUS = {
    "target": "WnvPresent",
    "cut_off": {"column": "Date"},
    "tables": {
        "train": {"role": "entities", "exclude": ["NumMosquitos"]},
        "weather": {"role": "series", "time": "Date", "where": {"Station": "1"}},
        "spray": {"role": "events", "time": "Date"},
    },
}


def n_seen(made, name: str) -> np.ndarray:
    spans = made.relations.spans(name)
    return spans.end - spans.start


def test_months_of_credit_are_known_up_to_the_age_of_six(shared_data):
    folder = shared_data / "credit_card_approval"
    made = assemble(
        Spec.from_json(CREDIT), {name: folder / f"{name}.parquet" for name in CREDIT["tables"]}
    )
    assert len(made.target) == 17_408
    assert made.target.to_pylist().count(1) == 237
    record = pd.read_parquet(folder / "credit_record.parquet")
    record["age"] = record["MONTHS_BALANCE"] - record.groupby("ID")["MONTHS_BALANCE"].transform(
        "min"
    )
    early = record[record["age"] <= 6]
    ids = made.table["ID"].to_pandas()
    assert (n_seen(made, "credit_record") == ids.map(early.groupby("ID").size())).all()
    # nobody was 60 days late by then: that is who was chosen
    table, spans = made.relations.tables["credit_record"], made.relations.spans("credit_record")
    status = table.columns["STATUS"].to_pandas()
    seen = np.concatenate([np.arange(*at) for at in zip(spans.start, spans.end, strict=True)])
    assert not status.iloc[seen].isin(list("2345")).any()
    assert status.isin(list("2345")).any()
    income = pd.read_parquet(folder / "application_record.parquet").drop_duplicates("ID")
    income = ids.map(income.set_index("ID")["AMT_INCOME_TOTAL"])
    assert (made.relations.rows["application_record.AMT_INCOME_TOTAL"] == income).all()


def test_earlier_loans_of_a_lender_count_when_they_are_closed(shared_data):
    folder = shared_data / "superlender"
    files = {name: folder / f"{name}.csv.gz" for name in LENDER["tables"]}
    made = assemble(Spec.from_json(LENDER), files)
    assert made.target.to_pylist().count("Bad") == 952
    plain = {name: pd.read_csv(file) for name, file in files.items()}
    both = plain["trainprevloans"].merge(
        plain["trainperf"][["customerid", "approveddate"]], on="customerid", suffixes=("_was", "")
    )
    wanted = both[both["closeddate"] < both["approveddate"]].groupby("customerid").size()
    ids = made.table["customerid"].to_pandas()
    assert (n_seen(made, "trainprevloans") == ids.map(wanted).fillna(0)).all()
    about = plain["traindemographics"].drop_duplicates()
    banks = ids.map(about.set_index("customerid")["bank_name_clients"])
    found = made.relations.rows["traindemographics.bank_name_clients"].astype(object)
    assert (found.fillna("") == banks.fillna("")).all()
    assert [one["code"] for one in made.report["warnings"]] == ["identical_rows"]


def test_weather_and_spraying_are_everyones(shared_data):
    folder = shared_data / "west_nile_virus"
    files = {name: folder / f"{name}.csv.gz" for name in VIRUS["tables"]}
    made = assemble(Spec.from_json(VIRUS), files)
    assert (made.report["n_rows"], made.target.to_pylist().count(1)) == (10_506, 551)
    assert "NumMosquitos" not in made.relations.rows
    days = pd.Series(made.relations.cut_off)
    for name, station in (("weather", 1), ("spray", None)):
        rows = pd.read_csv(files[name])
        rows = rows if station is None else rows[rows["Station"] == station]
        dates = pd.to_datetime(rows["Date"], format="mixed")
        times = np.sort((dates - pd.Timestamp(0)) / pd.Timedelta("1s"))
        assert (n_seen(made, name) == np.searchsorted(times, days, side="left")).all()
    assert n_unseen(made.relations, "weather") == 220
    assert made.relations.tables["weather"].n_rows == 1472
