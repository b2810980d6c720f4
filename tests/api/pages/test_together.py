"""The form of a spec: each of its parts has a field, and each fault stands beside its own."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from automl.errors import DataError
from scheduler.errors import problem
from scheduler.records import DatasetState, StoredDataset
from scheduler.sources import check_target, checked_spec, sources_of
from tests.api.pages.markup import field, form_of, told_beside
from tests.api.pages.test_datasets import (
    PROFILE,
    SCRIPT,
    column,
    of_role,
    open_page,
    profiled,
    visit,
)
from tests.api.parts import COST, Site

PAGE = "/ui/datasets/together"
LEVELS = [{"value": "1", "count": 950}, {"value": "2", "count": 50}]


def profile_of(*columns: dict[str, Any]) -> dict[str, Any]:
    columns_of = {"n_columns": len(columns), "columns": list(columns)}
    return {**PROFILE, **columns_of, "warnings": [], "target_candidates": []}


@pytest.fixture
def ids(site: Site) -> dict[str, str]:
    """Data sets of loans, whose status is a text of digits, and of their payments."""
    loan = profile_of(
        column("loan_id"),
        column("granted", "timestamp"),
        column("status", "string", levels=LEVELS),
        column("flag"),
        column(SCRIPT),
        column("a, b"),
    )
    paid = profile_of(column("loan_id"), column("at", "timestamp"), column("amount", "number"))
    found = {}
    for name, profile in (("loan", loan), ("paid", paid)):
        site.ingestor.finish = False
        dataset = site.upload(f"{name}\n1\n".encode(), query_string={"name": name})
        site.ingestor.finish = True
        at = datetime.now(UTC)
        more = {"artifact": f"datasets/{dataset}", "n_rows": 1000, "bytes_stored": 1000}
        site.store.finish_dataset(dataset, profile=profile, cost=COST, now=at, **more)
        found[name] = dataset
    return found


@pytest.fixture
def made(site: Site) -> list[dict[str, Any]]:
    """The specs that were posted and are sound; nothing is read."""
    specs: list[dict[str, Any]] = []

    def assemble(project: str, *, spec: Any, name: str, now: datetime) -> Any:
        declared = checked_spec(spec)
        check_target(declared, sources_of(site.store, project, declared))
        specs.append({"name": name, **declared})
        record = StoredDataset(
            id=f"{len(specs):032x}",
            project_id=project,
            name=name,
            fingerprint=str(len(specs)),
            state=DatasetState.INGESTING,
            created_at=now,
            upload=None,
            bytes_in=1,
            options={"spec": declared},
        )
        return site.store.add_dataset(record)

    site.ingestor.assemble = assemble  # type: ignore[attr-defined]
    return specs


def spec_of(ids: dict[str, str]) -> dict[str, Any]:
    return {
        "tables": {
            "loan": {"role": "entities", "source": {"dataset": ids["loan"]}},
            "paid": {
                "role": "events",
                "key": ["loan_id"],
                "to": ["loan.loan_id"],
                "time": "at",
                "source": {"dataset": ids["paid"]},
            },
        },
        "key": ["loan_id"],
        "target": "status",
        "cut_off": {"column": "granted"},
    }


REASONS = [
    {"field": "entities", "reason": "loan has the target"},
    {"field": "tables.paid", "reason": "its rows have a time"},
    {"field": "tables.paid.to", "reason": "100% of loan_id are found in loan.loan_id"},
    {"field": "cut_off", "reason": "granted is a time of loan"},
]


@pytest.fixture
def proposed(ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a page with a proposal."""
    found = {
        "spec": spec_of(ids),
        "reasons": REASONS,
        "open_questions": ["which values of status are positive?", "paid: is it at at?"],
        "sampled": {},
    }
    monkeypatch.setattr("api.inferring.proposal", lambda *_, **__: found)
    return f"{PAGE}?id={ids['loan']}&id={ids['paid']}"


def test_a_proposal_comes_as_fields_with_its_reasons_beside_them(site: Site, proposed: str) -> None:
    text = open_page(site, proposed).text
    form = form_of(text)
    assert form["cut_off.how"] == "column"
    assert form["cut_off.column"] == "granted"
    assert form["tables.paid.role"] == "events"
    assert form["tables.paid.to_table"] == "loan"
    assert form["tables.paid.time_format"] == "iso"
    assert "granted is a time of loan" in told_beside(text, "cut_off.how-column") or (
        "granted is a time of loan" in text
    )
    assert "its rows have a time" in told_beside(text, "tables.paid.role")
    assert "100% of loan_id" in told_beside(text, "tables.paid.to")
    assert "is it at at?" in field(text, "table-paid").text
    assert "2 (50 rows)" in told_beside(text, "positive")
    assert SCRIPT not in text
    offered = field(text, "columns-loan")
    assert [one.get("value") for one in offered.parts][-2:] == [SCRIPT, "a, b"]


def test_what_is_sent_back_untouched_is_what_was_proposed(
    site: Site, proposed: str, made: list[Any], ids: dict[str, str]
) -> None:
    form = form_of(open_page(site, proposed).text)
    answer = visit(site, "POST", PAGE, data={**form, "do": "make", "name": "loans"})
    assert answer.status_code == 303, answer.text
    assert made == [{"name": "loans", **checked_spec(spec_of(ids))}]


@pytest.mark.parametrize(
    ("target", "typed", "positive"),
    [
        ("status", "1", "1"),
        ("status", "1, 2", ["1", "2"]),
        ("flag", "1", 1),
        ("flag", '"1"', "1"),
        ("granted", "2026", "2026"),
    ],
)
def test_a_label_is_read_by_the_type_of_its_column(
    site: Site, proposed: str, target: str, typed: str, positive: Any
) -> None:
    form = form_of(open_page(site, proposed).text)
    answer = visit(
        site, "POST", PAGE, data={**form, "do": "step", "target": target, "positive": typed}
    )
    assert json.loads(answer.json["json"])["positive"] == positive
    shown = visit(
        site, "POST", PAGE, data={**form, "target": target, "positive": typed, "do": "fields"}
    )
    assert form_of(shown.text)["positive"] == typed


def test_reasons_and_what_was_typed_outlive_a_refusal(
    site: Site, proposed: str, made: list[Any]
) -> None:
    form = form_of(open_page(site, proposed).text)
    typed = {"tables.paid.time": "", "tables.paid.role": "log", "cut_off.gap": "soon"}
    for _ in range(2):
        answer = visit(site, "POST", PAGE, data={**form, **typed, "do": "make"})
        assert answer.status_code == 422
        assert "100% of loan_id" in told_beside(answer.text, "tables.paid.to")
        assert field(answer.text, "cut_off.gap").get("aria-invalid") == "true"
        assert "must be a number" in told_beside(answer.text, "cut_off.gap")
        form = form_of(answer.text)
        assert form["cut_off.gap"] == "soon"
    answer = visit(site, "POST", PAGE, data={**form, "cut_off.gap": "2", "do": "make"})
    assert "needs a time column" in told_beside(answer.text, "tables.paid.time")
    assert field(answer.text, "tables.paid.time").get("aria-invalid") == "true"
    assert field(answer.text, "table-paid").get("open") is not None
    assert not made


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"target": "nothing"}, "target", "no column"),
        ({"positive": "7"}, "positive", "none of 1 value"),
        ({"tables.paid.to_table": "", "tables.loan.role": "static"}, "made-rows", "role entities"),
        ({"tables.paid.first": "none"}, "tables.paid.first", "whole number"),
        ({"tables.paid.key": "loan_id, at"}, "tables.paid.to_table", "as many columns"),
        (
            {"cut_off.how": "after_first", "cut_off.after_first": "30"},
            "cut_off.table",
            "which table",
        ),
        ({"name": "x" * 300}, "name", "255"),
    ],
)
def test_a_fault_stands_beside_its_field(
    site: Site, proposed: str, made: list[Any], change: dict[str, str], place: str, words: str
) -> None:
    form = form_of(open_page(site, proposed).text)
    answer = visit(site, "POST", PAGE, data={**form, **change, "do": "make"})
    assert answer.status_code == 422
    said = (
        told_beside(answer.text, place)
        if place != "made-rows"
        else field(answer.text, "fault-made").text
    )
    assert words in said
    assert words in field(answer.text, "problem").text
    assert not made


def test_each_part_of_a_spec_has_a_field(
    site: Site, proposed: str, made: list[Any], ids: dict[str, str]
) -> None:
    form = form_of(open_page(site, proposed).text)
    change = {
        "positive": "2",
        "cut_off.how": "after_first",
        "cut_off.after_first": "30.5",
        "cut_off.table": "paid",
        "cut_off.gap": "2",
        "tables.loan.exclude": 'flag, "a, b"',
        "tables.paid.role": "log",
        "tables.paid.message": "amount",
        "tables.paid.time_format": "epoch_ms",
        "tables.paid.orphans": "drop",
        "tables.paid.first": "10",
        "tables.paid.where.0.column": "kind, of",
        "tables.paid.where.0.value": "1",
    }
    answer = visit(site, "POST", PAGE, data={**form, **change, "do": "make"})
    assert answer.status_code == 303, answer.text
    found = made[0]
    assert found["positive"] == "2"
    assert found["cut_off"] == {"after_first": 30.5, "table": "paid", "gap": 2}
    assert found["tables"]["loan"]["exclude"] == ["flag", "a, b"]
    assert found["tables"]["paid"] == {
        "role": "log",
        "key": ["loan_id"],
        "to": ["loan.loan_id"],
        "time": "at",
        "time_format": "epoch_ms",
        "message": "amount",
        "where": {"kind, of": "1"},
        "first": 10,
        "orphans": "drop",
        "source": {"dataset": ids["paid"]},
    }


@pytest.mark.parametrize(
    ("change", "windows"),
    [
        (
            {"windows.length": "12", "windows.step": "1", "windows.horizon": "0.5"}
            | {"made": "windows", "windows.by_time": "time", "windows.label": "amount"},
            {"length": 12, "step": 1, "horizon": 0.5, "by_time": True, "label": "amount"},
        ),
        (
            {"made": "sessions", "windows.sessions": "loan_id", "windows.label": "amount"},
            {"sessions": "loan_id", "label": "amount"},
        ),
    ],
)
def test_entities_are_made_from_a_series_or_a_log(
    site: Site, proposed: str, made: list[Any], change: dict[str, str], windows: dict[str, Any]
) -> None:
    form = form_of(open_page(site, proposed).text)
    more = {"windows.table": "paid", "tables.loan.out": "on"}
    answer = visit(site, "POST", PAGE, data={**form, **change, **more, "do": "make"})
    assert answer.status_code == 303, answer.text
    assert made[0]["windows"] == {"table": "paid", **windows}
    assert set(made[0]["tables"]) == {"paid"}
    assert made[0]["cut_off"] == {}
    assert "target" not in made[0]
    assert "key" not in made[0]
    assert "to" not in made[0]["tables"]["paid"]  # its rows belong to what is made of them


def test_one_table_alone_may_hold_the_windows(
    site: Site, ids: dict[str, str], made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"tables": {"paid": {"role": "entities", "source": {"dataset": ids["paid"]}}}}
    found = {"spec": spec, "reasons": [], "open_questions": [], "sampled": {}}
    monkeypatch.setattr("api.inferring.proposal", lambda *_, **__: found)
    form = form_of(open_page(site, f"{PAGE}?id={ids['paid']}").text)
    change = {"made": "windows", "windows.table": "paid", "windows.length": "3"}
    shown = visit(site, "POST", PAGE, data={**form, **change, "do": "fields"})
    assert form_of(shown.text)["tables.paid.role"] == "series"
    last = {**form_of(shown.text), "tables.paid.time": "at", "tables.paid.key": "loan_id"}
    assert visit(site, "POST", PAGE, data={**last, "do": "make"}).status_code == 303
    assert made[0]["windows"] == {"table": "paid", "length": 3}
    assert made[0]["tables"]["paid"]["key"] == ["loan_id"]


def test_where_nothing_can_be_proposed_the_entities_are_made_from_a_table(
    site: Site, ids: dict[str, str], made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = DataError("no table could be that of the entities", code="no_entities")
    monkeypatch.setattr("api.inferring.proposal", Mock(side_effect=told))
    answer = open_page(site, f"{PAGE}?id={ids['paid']}")
    assert answer.status_code == 200
    assert "no table could be" in answer.text
    form = form_of(answer.text)
    assert (form["made"], form["windows.table"]) == ("windows", "paid")
    assert (form["tables.paid.role"], form["tables.paid.time"]) == ("series", "at")
    assert "at has times" in told_beside(answer.text, "tables.paid.time")
    sent = {**form, "windows.length": "4", "tables.paid.key": "loan_id", "do": "make"}
    assert visit(site, "POST", PAGE, data=sent).status_code == 303
    assert made[0]["windows"] == {"table": "paid", "length": 4}


def test_a_reason_is_not_told_of_what_has_taken_its_place(site: Site, proposed: str) -> None:
    form = form_of(open_page(site, proposed).text)
    sent = {**form, "tables.paid.role": "static", "do": "fields"}
    for _ in range(2):
        text = visit(site, "POST", PAGE, data=sent).text
        assert "Proposed was events: its rows have a time" in told_beside(text, "tables.paid.role")
        sent = {**form_of(text), "do": "fields"}


def test_the_json_counts_where_it_was_edited(
    site: Site, proposed: str, made: list[Any], ids: dict[str, str]
) -> None:
    form = form_of(open_page(site, proposed).text)
    wish = spec_of(ids)
    wish["tables"]["paid"]["where"] = {"amount": "3"}
    sent = {**form, "json": json.dumps(wish), "cut_off.gap": "99", "do": "fields"}
    shown = visit(site, "POST", PAGE, data=sent)
    assert form_of(shown.text)["tables.paid.where.0.value"] == "3"
    assert form_of(shown.text)["cut_off.gap"] == ""
    # Line ends as browsers send them are no edit.
    again = {**form_of(shown.text), "cut_off.gap": "4", "do": "make"}
    again["json"] = re.sub(r"\r?\n", "\r\n", again["json"])
    assert visit(site, "POST", PAGE, data=again).status_code == 303
    assert made[0]["cut_off"] == {"column": "granted", "gap": 4}
    assert made[0]["tables"]["paid"]["where"] == {"amount": "3"}
    wrong = visit(site, "POST", PAGE, data={**form, "json": "{", "do": "make"})
    assert wrong.status_code == 422
    assert "no JSON" in told_beside(wrong.text, "json")
    assert form_of(wrong.text)["json"] == "{"


def test_a_problem_met_while_reading_stands_beside_its_field(
    site: Site, ids: dict[str, str], made: list[Any]
) -> None:
    dataset = site.post("/v1/datasets", json={"name": "loans", "spec": spec_of(ids)}).json["id"]
    told = problem("cut_off", "no row has a cut-off") | {"table": "loan", "column": "granted"}
    site.store.invalidate_dataset(dataset, problem=told, now=datetime.now(UTC))
    text = open_page(site, f"{PAGE}?from={dataset}").text
    assert "no row has a cut-off" in told_beside(text, "cut_off.column")
    assert form_of(text)["name"] == "loans"


def test_a_viewer_sees_the_page_and_no_form(
    site: Site, ids: dict[str, str], proposed: str, made: list[Any]
) -> None:
    dataset = site.post("/v1/datasets", json={"name": "loans", "spec": spec_of(ids)}).json["id"]
    viewer = of_role(site, "viewer")
    for path in (proposed, f"{PAGE}?from={dataset}"):
        answer = open_page(site, path, secret=viewer)
        assert answer.status_code == 200
        assert 'id="spec"' not in answer.text
        assert "Your role is viewer" in answer.text
    assert "paid.loan_id → loan.loan_id" in answer.text


def test_nothing_to_put_together(site: Site) -> None:
    answer = open_page(site, PAGE)
    assert answer.status_code == 422
    assert 'class="empty"' in answer.text
    plain = profiled(site)
    assert "it has no spec" in open_page(site, f"{PAGE}?from={plain}").text


def test_a_spec_of_many_wide_tables_fits_into_the_form(site: Site, ids: dict[str, str]) -> None:
    one = {"role": "static", "key": "loan_id", "to": "loan", "source": {"dataset": ids["paid"]}}
    wide = {**one, "exclude": [f"measure_{n}" * 5 for n in range(200)]}
    spec = spec_of(ids)
    spec["tables"] |= {f"t{n}": wide for n in range(60)}
    sent = {"json": json.dumps(spec), "json_was": "-", "do": "fields"}
    text = visit(site, "POST", PAGE, data=sent).text
    form = form_of(text)
    assert sum(map(len, form.values())) > 1_000_000
    again = visit(site, "POST", PAGE, data={**form, "do": "step"})
    assert json.loads(again.json["json"]) == spec
    assert "open" not in field(text, "table-t7").attributes


def test_odd_specs_are_shown_and_not_fallen_over(site: Site, ids: dict[str, str]) -> None:
    for odd in (
        {"tables": {"a": 3, "b": {"role": 7, "where": [], "key": 4, "source": "x"}}},
        {
            "tables": {"a b": {}},
            "windows": [],
            "cut_off": 3,
            "positive": {"a": 1},
            "key": [1, None],
        },
        {"tables": {}, "target": ["x"], "windows": {"table": [], "sessions": {}}},
        {"tables": {"a": {"to": 3, "source": {"dataset": "../x"}, "exclude": 3}}},
    ):
        answer = visit(
            site, "POST", PAGE, data={"json": json.dumps(odd), "json_was": "-", "do": "fields"}
        )
        assert answer.status_code == 200, odd
        form = form_of(answer.text)
        again = visit(site, "POST", PAGE, data={**form, "do": "make"})
        assert again.status_code == 422, odd
