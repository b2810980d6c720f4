"""Tables put together, against plain loops over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.relations.assembling import assemble
from automl.relations.spec import Spec

BERKA = {
    "entities": "loan",
    "key": "loan_id",
    "target": "status",
    "positive": ["B", "D"],
    "cut_off": {"column": "date", "time_format": "yymmdd"},
    "tables": {
        "loan": {"role": "entities", "exclude": ["account_id"]},
        "account": {"role": "static", "key": "account_id", "to": "loan"},
        "trans": {
            "role": "events",
            "key": "account_id",
            "to": "loan",
            "time": "date",
            "time_format": "yymmdd",
            "exclude": ["trans_id"],
        },
        "disp": {"role": "static", "key": "account_id", "to": "account"},
        "client": {"role": "static", "key": "client_id", "to": "disp"},
        "district": {"role": "static", "key": "A1", "to": "client.district_id"},
        "card": {
            "role": "events",
            "key": "disp_id",
            "to": "disp",
            "time": "issued",
            "time_format": "yymmdd",
        },
    },
}


def berka_files(folder: Path) -> dict[str, Path]:
    names = {name: name for name in BERKA["tables"]} | {"trans": "trans_preloan"}
    return {name: folder / "berka" / f"{file}.parquet" for name, file in names.items()}


@pytest.mark.data
def test_berka_is_what_a_loop_over_its_tables_finds(shared_data):
    files = berka_files(shared_data)
    made = assemble(Spec.from_json(BERKA), files)
    plain = {name: pd.read_parquet(file) for name, file in files.items()}
    loan = plain["loan"].iloc[made.order].reset_index(drop=True)
    status = made.target.to_pylist()
    assert len(status) == 682
    assert sum(one in ("B", "D") for one in status) == 76
    assert loan["status"].tolist() == status
    assert (made.relations.rows["amount"] == loan["amount"]).all()
    disp = plain["disp"].merge(plain["client"], on="client_id")
    disp = disp.merge(plain["district"], left_on="district_id", right_on="A1")
    issued = plain["card"].assign(day=plain["card"]["issued"].str[:6].astype(int))
    for at in range(0, len(loan), 7):
        row = loan.iloc[at]
        owner = disp[disp["account_id"] == row["account_id"]]
        trans = plain["trans"]
        trans = trans[(trans["account_id"] == row["account_id"]) & (trans["date"] < row["date"])]
        cards = issued[issued["disp_id"].isin(owner["disp_id"]) & (issued["day"] < row["date"])]
        spans = {name: made.relations.spans(name) for name in ("trans", "disp", "card")}
        seen = {
            name: made.relations.tables[name].columns.slice(
                one.start[at], one.end[at] - one.start[at]
            )
            for name, one in spans.items()
        }
        assert seen["trans"].num_rows == len(trans)
        assert np.isclose(sum(seen["trans"]["amount"].to_pylist()), trans["amount"].sum())
        assert sorted(seen["disp"]["district.A11"].to_pylist()) == sorted(owner["A11"])
        assert sorted(seen["card"]["type"].to_pylist()) == sorted(cards["type"])
