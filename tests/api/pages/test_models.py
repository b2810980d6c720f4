"""What a card tells of subgroups and importance is on its page, as text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.pages.models import importances
from api.pages.predictions import cell, fields_of
from scheduler.records import Model
from tests.api.pages.test_pages import ask
from tests.api.parts import Site

ODD = "<script>alert(1)</script>"
TOLD = {
    "subgroups": {
        "note": "Of validation rows.",
        "columns": [
            {
                "column": ODD,
                "n_too_few": 2,
                "parts": [
                    {
                        "level": "north",
                        "n_rows": 1200,
                        "n_positive": 40,
                        "recall": 0.25,
                        "recall_low": 0.16,
                        "recall_high": 0.37,
                        "precision": None,
                        "predicted": 0.03,
                        "observed": 0.033,
                    }
                ],
            }
        ],
    },
    "importance": {
        "method": "Mean change.",
        "columns": [{"column": "age", "importance": 3.0}, {"column": ODD, "importance": 1.0}],
    },
}


def test_subgroups_and_importance_of_a_card(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    model = site.model("customers-y")
    read = site.store.get_model

    def with_more(project: str, name: str, **which: Any) -> Model:
        found = read(project, name, **which)
        return replace(found, card={**found.card, **TOLD})

    monkeypatch.setattr(site.store, "get_model", with_more)
    page = ask(site, f"/ui/models/{model.name}")
    assert page.status_code == 200
    for said in ("By subgroup", "1,200", "0.250", "0.160–0.370", "too few", "to tell of: 2"):
        assert said in page.text
    assert "75.0 %" in page.text  # of age, three parts of four
    assert ODD not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


def test_importance_is_in_shares_the_most_first() -> None:
    assert [(one["column"], one["share"]) for one in importances(TOLD)] == [
        ("age", 0.75),
        (ODD, 0.25),
    ]
    assert importances({}) == []


@pytest.mark.parametrize(
    ("text", "kind"), [("a lot", "number"), ("1e999", "number"), ("2", "boolean")]
)
def test_what_no_cell_can_be_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"number|true"):
        cell(text, kind)


def test_a_field_offers_what_the_data_had() -> None:
    card = {"columns": ["region"], "types": {"region": "string"}}
    profile = {"columns": [{"name": "region", "levels": [{"value": "north"}, {"value": "east"}]}]}
    field = fields_of(card, profile)[0]
    assert (field["value"], field["levels"]) == ("north", ["north", "east"])
