"""The form of a job: all that the API takes, kept as typed, refused beside its fields."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from api.cookie import COOKIE
from api.pages.formats import scaled
from api.pages.job_fields import UNLABELLED, requested
from api.report import number
from api.schemas_jobs import NEED_LABELS, JobRequest
from automl.errors import DataError
from tests.api.parts import PROFILE, Site, build
from tests.api.test_plans import Dip

OWN = {"Sec-Fetch-Site": "same-origin"}
TYPED = {
    "objective.metric": "recall_at_alert_rate",
    "objective.alert_rate": "0.03",
    "objective.recall": "0.8",
    "objective.missed_cost": "50",
    "objective.alert_cost": "2",
    "objective.predictions_per_day": "1000",
    "objective.horizon_days": "90",
    "objective.retrains": "3",
    "objective.pick": "most_frugal",
    "limits.gco2e": "5",
    "limits.joules": "4000",
    "limits.cpu_seconds": "40",
    "limits.wall_seconds": "50",
    "limits.trials": "8",
    "limits.least_gain_per_gram": "0.5",
    "when.policy": "low_carbon",
    "when.zone": "DE",
    "when.start_after": "2036-11-30T08:00",
    "when.latest_start": "2036-11-30T18:00",
    "when.finish_by": "2036-11-30T20:00",
    "when.interruptible": "false",
    "when.floor": "0.1",
    "mode": "eco",
    "model": "some-model",
    "seed": "3",
    "gap": "7",
    "time_column": "age",
    "group_column": "age",
    "weight_column": "age",
    "webhook": "https://hooks.example/x",
    "warm_start_from": "some-model/2",
}
LISTED = {
    "exclude": ["age"],
    "subgroups": ["age"],
    "accept_leakage": ["age"],
    "positive": ["1"],
    "monotone:age": ["increasing"],
    "accept_missing_target": ["1"],
}


def ask(site: Site, path: str, *, method: str = "POST", **kwargs: Any) -> Any:
    headers = {"Cookie": f"{COOKIE}={site.secret}", **OWN}
    client = site.app.test_client(use_cookies=False)
    return client.open(path, method=method, headers=headers, **kwargs)


def leaves(schema: dict[str, Any], definitions: dict[str, Any]) -> set[str]:
    """Names of the fields of a schema, those of its parts with a dot."""
    found = set()
    for name, one in schema["properties"].items():
        part = definitions.get(str(one.get("$ref", "")).rpartition("/")[2])
        inner = leaves(part, definitions) if part and "properties" in part else {""}
        found |= {f"{name}.{leaf}" if leaf else name for leaf in inner}
    return found


def typed() -> MultiDict[str, str]:
    form = MultiDict({**TYPED, "dataset": "d", "target": "y"})
    for name, values in LISTED.items():
        form.setlist(name, values)
    return form


def test_the_form_offers_all_that_the_api_takes() -> None:
    schema = JobRequest.model_json_schema()
    asked = requested(typed(), [{"name": "y", "type": "integer"}])
    said = set()
    for name, value in asked.items():
        nested = name in ("objective", "limits", "when")
        said |= {f"{name}.{leaf}" for leaf in value} if nested else {name}
    assert said == leaves(schema, schema["$defs"])
    JobRequest.model_validate(asked, strict=True)


def test_the_page_has_a_field_for_all_of_it(site: Site) -> None:
    page = ask(site, f"/ui/jobs/new?dataset={site.upload()}", method="GET").text
    there = set(re.findall(r'name="([^"]+)"', page))
    offered_later = {"accept_leakage", "accept_missing_target", "positive"}  # y is 0 and 1
    assert {*TYPED, *LISTED} - offered_later <= there


def test_without_a_target_nothing_about_labels_is_sent() -> None:
    form = typed()
    form["no_target"] = "1"
    asked = requested(form, [])
    assert asked["target"] is None
    assert asked["objective"] == {"alert_rate": 0.03}
    assert not set(asked) & set(NEED_LABELS)
    assert asked["limits"]["trials"] == 8
    JobRequest.model_validate(asked, strict=True)
    assert {one.name for one in UNLABELLED} < {*TYPED}


def test_rows_without_labels_are_ranked(site: Site) -> None:
    form = {**TYPED, "dataset": site.upload(), "target": "y", "no_target": "1", "do": "submit"}
    kept = ("objective.alert_rate", "dataset", "target", "no_target", "do", "mode")
    answer = ask(site, "/ui/jobs/new", data={name: form[name] for name in kept})
    assert answer.status_code == 303
    request = site.get(answer.location.replace("/ui/", "/v1/")).json["request"]
    assert request["target"] is None


def test_another_target_keeps_all_that_was_typed(site: Site) -> None:
    form = typed()
    form["dataset"] = form["of"] = site.upload()
    form["target"], form["of_target"] = "age", "y"
    form["time_column"] = form["group_column"] = form["weight_column"] = ""
    page = ask(site, "/ui/jobs/new", data={**form.to_dict(flat=False), "do": "swap"}).text
    for name in ("objective.alert_rate", "limits.joules", "when.finish_by", "webhook", "gap"):
        assert re.search(rf'name="{re.escape(name)}"[^>]* value="{re.escape(TYPED[name])}"', page)
    for value in ("most_frugal", "eco", "DE", "recall_at_alert_rate"):
        assert f'<option value="{value}" selected>' in page
    assert '<option value="age" selected>' in page.split('id="target"', 1)[1].split("</select>")[0]
    assert 'name="exclude" value="age"' not in page


def test_another_data_set_keeps_what_is_not_of_its_columns(site: Site) -> None:
    first, second = site.upload(), site.upload(b"age;y\n1;0\n2;1\n")
    form = {"dataset": second, "of": first, "target": "gone", "time_column": "gone", "gap": "7"}
    page = ask(site, "/ui/jobs/new", data={**form, "do": "swap"}).text
    assert "gone" not in page
    assert re.search(r'name="gap"[^>]* value="7"', page)


def test_a_leak_can_be_accepted_only_after_it_was_found(site: Site) -> None:
    dataset = site.upload()
    form = {"dataset": dataset, "target": "y", "do": "submit"}
    assert "accept_leakage" not in ask(site, f"/ui/jobs/new?dataset={dataset}", method="GET").text
    told = "column 'age' is the target itself or its inverse"
    site.ingestor.refusal = DataError(
        told, code="leakage_suspected", column="age", details={"columns": ["age"]}
    )
    answer = ask(site, "/ui/jobs/new", data=form)
    assert answer.status_code == 422
    assert told in html.unescape(answer.text)
    assert re.search(r'name="accept_leakage" value="age">', answer.text)
    piece = ask(site, "/ui/jobs/preview", data={**form, "do": "preview"}).text
    assert re.search(r'name="accept_leakage" value="age">', piece)
    site.ingestor.refusal = None
    piece = ask(site, "/ui/jobs/preview", data={**form, "accept_leakage": "age"}).text
    assert re.search(r'name="accept_leakage" value="age" checked>', piece)
    assert site.ingestor.admitted[-1]["accept_leakage"] == ["age"]


def test_the_best_windows_stand_in_the_plan(tmp_path: Path) -> None:
    site = build(tmp_path, intensity=Dip(), zone="FR")
    asked = {"dataset": site.upload(), "target": "y"}
    page = ask(site, "/ui/jobs/preview", data={**asked, "when.policy": "low_carbon"}).text
    plan = site.post("/v1/plans", json={**asked, "when": {"policy": "low_carbon"}}).json
    table = page.split('aria-label="Best windows"', 1)[1].split("</table>", 1)[0]
    assert len(plan["alternatives"]) == 5
    assert table.count("<tr>") == 1 + 5
    first = re.findall(r"<td[^>]*>([^<]+)</td>", table)[:5]
    saves = 400.0 - plan["alternatives"][0]["grams_per_kwh"]
    assert first[0] == number(plan["alternatives"][0]["grams_per_kwh"]) == "100"
    assert first[3] == scaled(saves * plan["expected"]["kwh"], "g")
    assert table.index("planned") < table.index("</tr>", table.index("<tbody>"))
    site.store.close()


@pytest.mark.parametrize(
    ("field", "text", "folded"),
    [
        ("objective.alert_rate", "often", None),
        ("objective.alert_rate", "7", None),
        ("limits.cpu_seconds", "nan", "in-limits"),
        ("limits.trials", "1.5", "in-limits"),
        ("model", "No Name!", None),
        ("seed", "-1", "in-more"),
        ("webhook", "https://not.allowed/", "in-more"),
        ("when.floor", "2", "in-waiting"),
        ("when.start_after", "2036-11-30T08:00", "in-waiting"),
        ("gap", "7", "in-rows"),
        ("objective.recall", "-1", "in-use"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    site: Site, field: str, text: str, folded: str | None
) -> None:
    form = {"dataset": site.upload(), "target": "y", "do": "submit", field: text}
    answer = ask(site, "/ui/jobs/new", data=form)
    assert answer.status_code == 422
    assert f'id="fault-{field}"' in answer.text
    assert f'value="{text}"' in answer.text
    if folded is not None:
        assert f'<details id="{folded}" open>' in answer.text


def test_a_job_is_asked_for_once_however_often_the_form_is_sent(site: Site) -> None:
    form = {"dataset": site.upload(), "target": "y", "key": "once", "do": "submit", "model": "m"}
    first, again = (ask(site, "/ui/jobs/new", data=form) for _ in range(2))
    assert first.status_code == again.status_code == 303
    assert first.location == again.location


def test_a_form_that_was_changed_after_it_was_sent_gets_a_key_of_its_own(site: Site) -> None:
    form = {"dataset": site.upload(), "target": "y", "key": "once", "do": "submit", "model": "m"}
    assert ask(site, "/ui/jobs/new", data=form).status_code == 303
    again = ask(site, "/ui/jobs/new", data={**form, "seed": "7"})
    assert again.status_code == 422
    key = re.findall(r'name="key" value="([^"]+)"', again.text)[0]
    assert ask(site, "/ui/jobs/new", data={**form, "seed": "7", "key": key}).status_code == 303


def test_what_was_accepted_goes_with_its_target(site: Site) -> None:
    dataset = site.upload()
    form = {"dataset": dataset, "of": dataset, "target": "y", "accept_leakage": "age"}
    kept = ask(site, "/ui/jobs/new", data={**form, "of_target": "y", "do": "swap"}).text
    assert 'name="accept_leakage" value="age" checked' in kept
    gone = ask(site, "/ui/jobs/new", data={**form, "of_target": "age", "do": "swap"}).text
    assert "accept_leakage" not in gone


def test_of_many_columns_names_are_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known: Any = PROFILE["columns"]
    columns = [*known, *({"name": f"c{i}", "type": "number"} for i in range(400))]
    monkeypatch.setitem(PROFILE, "columns", columns)
    dataset = site.upload()
    form = {
        "dataset": dataset,
        "of": dataset,
        "target": "y",
        "of_target": "y",
        "exclude.lines": "c1\r\nc2\r\n",
        "subgroups.lines": "age",
        "monotone.increasing.lines": "c3\n c4 ",
        "time_column": "c5",
    }
    page = ask(site, "/ui/jobs/new", data={**form, "do": "preview"}).text
    assert site.ingestor.admitted[-1]["exclude"] == ["c1", "c2"]
    assert site.ingestor.admitted[-1]["subgroups"] == ["age"]
    assert site.ingestor.admitted[-1]["monotone"] == {"c3": "increasing", "c4": "increasing"}
    assert re.search(r'name="exclude.lines"[^>]*>c1\nc2</textarea>', page)
    assert re.search(r'name="monotone.increasing.lines"[^>]*>c3\nc4\n</textarea>', page)
    assert re.search(r'name="time_column"[^>]* value="c5"', page)
    assert len(page) < 120_000


def test_the_oldest_of_many_data_sets_can_be_chosen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [site.upload(f"a;y\n{i};0\n2;1\n3;0\n".encode()) for i in range(5)]
    monkeypatch.setattr("api.pages.asking.PAGE", 2)
    page = ask(site, "/ui/jobs/new").text
    assert [one for one in ids if f'value="{one}"' not in page] == []
    monkeypatch.setattr("api.pages.asking.MOST_LISTED", 3)
    page = ask(site, "/ui/jobs/new").text
    assert sum(f'value="{one}"' in page for one in ids) == 3


def test_a_job_becomes_a_schedule(site: Site) -> None:
    form = {"dataset": site.upload(), "target": "y", "do": "schedule"}
    assert 'id="fault-model"' in ask(site, "/ui/jobs/new", data=form).text
    page = ask(site, "/ui/jobs/new", data={**form, "model": "daily-y"})
    assert page.status_code == 200
    text = html.unescape(page.text.split('name="job"', 1)[1].split(">", 1)[1].split("<", 1)[0])
    made = ask(site, "/ui/schedules/new", data={"job": text, "at.time": "06:00", "model": "",
                                                "time_zone": "Europe/Paris"})  # fmt: skip
    assert made.status_code == 303
    told = site.get(made.location.replace("/ui/", "/v1/")).json["request"]
    assert told["job"]["dataset"] == form["dataset"]
    assert told["model"] == "daily-y"
