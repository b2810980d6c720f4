"""Jobs on several tables that start from a model: what they take over, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scheduler.execution import execute
from tests.api.parts import Site, build
from tests.api.relations import assembled, bank, bank_spec, bank_tables, frame_csv, uploaded

pytestmark = pytest.mark.slow  # trains models

N_FIRST = 1_300


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("starts")
    (folder / "site").mkdir()
    made = build(folder / "site", reads_files=True)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def ids(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The data sets of the bank's tables; `first` has fewer customers, `earlier` fewer balances."""
    found = bank_tables(site, tmp_path_factory.mktemp("files"))
    customers = bank().customers.to_pandas().head(N_FIRST)
    found["first"] = uploaded(site, frame_csv(customers), name="first")["id"]
    balances = bank().balances.to_pandas()
    some = balances[balances.index % 10 > 0]  # the others come late, and change what is computed
    found["earlier"] = uploaded(site, frame_csv(some), name="earlier")["id"]
    return found


def spec_of(ids: dict[str, str], customers: str = "customers") -> dict[str, Any]:
    spec = bank_spec({**ids, "customers": ids[customers]})
    for name in ("balances", "contacts"):
        spec["tables"][name]["orphans"] = "drop"
    return spec


def submitted(site: Site, dataset: str, **request: Any) -> Any:
    return site.post("/v1/jobs", json={"dataset": dataset, "mode": "eco", **request})


def searched(site: Site, dataset: str, **request: Any) -> dict[str, Any]:
    answer = submitted(site, dataset, **request)
    assert answer.status_code == 202, answer.text
    job = site.claim()
    execute(job.id, job.epoch, store=site.store, artifacts=site.artifacts, settings=site.settings)
    found: dict[str, Any] = site.get(f"/v1/jobs/{job.id}").json
    assert found["state"] == "DONE", found["problem"]
    return found


@pytest.fixture(scope="module")
def first(site: Site, ids: dict[str, str]) -> dict[str, Any]:
    """A model `bank` of the first customers."""
    spec = spec_of({**ids, "balances": ids["earlier"]}, "first")
    dataset = assembled(site, spec, name="first")
    assert dataset["state"] == "READY", dataset["problem"]
    return searched(site, dataset["id"], model="bank")


def kept(job: dict[str, Any]) -> set[str]:
    groups = job["result"]["tables"]["feature_groups"]
    return {one["name"] for one in groups if one["kept"]}


def test_features_and_configurations_of_a_model_are_taken_over(
    site: Site, ids: dict[str, str], first: dict[str, Any]
) -> None:
    dataset = assembled(site, spec_of(ids), name="all")
    job = searched(site, dataset["id"], model="bank", warm_start_from="bank/1")
    assert kept(job) == kept(first)
    groups = job["result"]["tables"]["feature_groups"]
    assert {one["cost"]["cpu_seconds"] for one in groups} == {0}, "no group was tried again"
    begun = site.get("/v1/models/bank/card").json["provenance"]["started_from"]
    n_new = dataset["n_rows"] - N_FIRST
    assert begun["model"]["version"] == 1
    assert begun["kind"] in ("recalled", "repeated"), begun
    assert begun["n_rows_new"] in range(n_new - 30, n_new + 1), "a digest errs by 1 in 100"


def without_a_table(spec: dict[str, Any]) -> str:
    del spec["tables"]["balances"]
    return "tables.balances"


def with_another_time(spec: dict[str, Any]) -> str:
    spec["tables"]["balances"]["first"] = 3
    return "tables.balances.first"


def with_a_gap(spec: dict[str, Any]) -> str:
    spec["cut_off"]["gap"] = 30.0
    return "cut_off.gap"


@pytest.mark.parametrize("change", [without_a_table, with_another_time, with_a_gap])
def test_tables_put_together_in_another_way_are_refused_with_the_field(
    site: Site, ids: dict[str, str], first: dict[str, Any], change: Callable[[dict[str, Any]], str]
) -> None:
    assert any(name.startswith("balances.") for name in kept(first))
    spec = spec_of(ids)
    field = change(spec)
    other = assembled(site, spec, name="other")
    assert other["state"] == "READY", other["problem"]
    answer = submitted(site, other["id"], warm_start_from="bank/1")
    assert (answer.status_code, answer.json["code"]) == (422, "other_spec"), answer.text
    assert field in answer.json["detail"]


def test_a_column_that_is_not_there_is_named_with_its_table(
    site: Site, ids: dict[str, str], first: dict[str, Any]
) -> None:
    balances = bank().balances.to_pandas()
    column = next(one for one in balances.columns if one not in ("customer_id", "month_end"))
    fewer = balances.drop(columns=column)
    fewer["other"] = 1.0
    one = uploaded(site, frame_csv(fewer), name="fewer")
    other = assembled(site, spec_of({**ids, "balances": one["id"]}), name="fewer")
    assert other["state"] == "READY", other["problem"]
    answer = submitted(site, other["id"], warm_start_from="bank/1")
    assert (answer.status_code, answer.json["code"]) == (422, "missing_columns"), answer.text
    assert (answer.json["table"], answer.json["column"]) == ("balances", column)


def test_one_table_and_several_do_not_start_from_each_other(
    site: Site, ids: dict[str, str], first: dict[str, Any]
) -> None:
    request = {"target": "became_fragile", "warm_start_from": "bank/1"}
    answer = submitted(site, ids["customers"], **request)
    assert (answer.status_code, answer.json["code"]) == (422, "other_spec"), answer.text
    assert "one" in answer.json["detail"]


def test_another_target_is_refused(site: Site, ids: dict[str, str], first: dict[str, Any]) -> None:
    customers = bank().customers.to_pandas().rename(columns={"became_fragile": "left"})
    one = uploaded(site, frame_csv(customers), name="left")
    spec = spec_of({**ids, "customers": one["id"]})
    other = assembled(site, {**spec, "target": "left"}, name="left")
    answer = submitted(site, other["id"], warm_start_from="bank/1")
    assert (answer.status_code, answer.json["code"]) == (422, "other_target"), answer.text


def test_of_deleted_rows_no_row_is_taken_for_new(
    site: Site, ids: dict[str, str], first: dict[str, Any]
) -> None:
    """An event that came late makes a row look new: without the old keys nothing else tells it."""
    dataset = assembled(site, spec_of(ids), name="all")
    model = site.store.get_model(site.project, "bank", version=1)
    assert site.call("DELETE", f"/v1/datasets/{model.dataset_id}?force=true").status_code == 204
    job = searched(site, dataset["id"], model="later", warm_start_from="bank/1")
    assert kept(job) == kept(first)
    begun = site.get("/v1/models/later/card").json["provenance"]["started_from"]
    assert begun["kind"] == "first"
    assert "started_from" in {one["code"] for one in job["result"]["warnings"]}
