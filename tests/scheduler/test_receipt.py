from __future__ import annotations

import pytest

from automl.cost import Cost
from automl.trial import Candidate, Proposal, Trial
from scheduler.carbon.typical import yearly_mean
from scheduler.receipt import receipt, spent
from scheduler.records import Phase

METER = {"meter": "cpu_time", "watts_per_core": 4.0, "watts_per_gb": 0.375, "source": "settings"}


def cost(cpu_seconds: float) -> Cost:
    return Cost(cpu_seconds=cpu_seconds, joules=4.1 * cpu_seconds, meter="cpu_time")


def trial(number: int, n_rows: int, *, model: str = "linear", error: str | None = None) -> Trial:
    proposal = Proposal(candidate=Candidate(model=model), rung="screening", n_rows=n_rows)
    return Trial(
        number=number, proposal=proposal, cost=cost(1), expected=cost(1), score=0.5, error=error
    )


def made(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "meter": METER,
        "intensity": yearly_mean("FR"),
        "reference": {"tool": "codecarbon", "cpu_joules": 40.0, "ram_joules": 3.0, "reason": None},
        "own_cpu_joules": 41.0,
        "trials": [trial(0, 100), trial(1, 1000), trial(2, 50, error="x")],
        "n_rows": 1000,
        "predict_per_1000_rows": cost(0.02),
    }
    phases = {"ingest": cost(1), "features": cost(2), "search": cost(30), "refit": cost(4)}
    return receipt(phases, **(values | changes))  # type: ignore[arg-type]


def test_the_total_is_the_sum_of_the_phases_in_every_unit() -> None:
    bill = made()
    phases, total = bill["phases"], bill["total"]
    assert isinstance(phases, list)
    assert isinstance(total, dict)
    assert [phase["name"] for phase in phases] == ["ingest", "features", "search", "refit"]
    for unit in ("cpu_seconds", "joules", "kwh", "gco2e"):
        assert total[unit] == pytest.approx(sum(phase[unit] for phase in phases))
    assert total["kwh"] == pytest.approx(4.1 * 37 / 3.6e6)
    assert total["gco2e"] == pytest.approx(total["kwh"] * yearly_mean("FR").grams_per_kwh)


def test_the_intensity_carries_source_type_and_year() -> None:
    intensity = made()["intensity"]
    assert isinstance(intensity, dict)
    assert intensity["zone"] == "FRA"
    assert intensity["factor_type"] == "lifecycle"
    assert {"source", "year", "grams_per_kwh"} <= intensity.keys()


def test_only_the_processor_is_compared_with_codecarbon() -> None:
    reference = made()["reference"]
    assert isinstance(reference, dict)
    assert reference["ratio"] == pytest.approx(41 / 40)
    assert reference["ram_joules"] == 3.0


def test_without_a_reference_there_is_a_reason_and_no_ratio() -> None:
    bill = made(reference={"cpu_joules": None, "ram_joules": None, "reason": "it did not start"})
    assert isinstance(bill["reference"], dict)
    assert bill["reference"]["ratio"] is None
    assert "No reference: it did not start." in bill["method"]  # type: ignore[operator]


def test_levers_are_apart_and_nothing_is_invented() -> None:
    levers = made()["levers"]
    assert levers == {
        "less": {
            "n_trials": 2,
            "n_failed": 1,
            "rows_trained_on": 1100,
            "rows_if_every_trial_had_all": 2000,
            "share_of_rows": 0.55,
            "start": None,
        },
        "later": {"policy": "now", "saved_gco2e": 0.0},
        "lighter": {"predict_joules_per_1000_rows": pytest.approx(0.082)},
    }


def test_work_of_earlier_processes_is_counted_once() -> None:
    phases = [
        Phase(job_id="a", epoch=1, name="features", cost=cost(2)),
        Phase(job_id="a", epoch=1, name="search", cost=cost(10)),
        Phase(job_id="a", epoch=1, name="refit", cost=cost(3)),
        Phase(job_id="a", epoch=1, name="predict", cost=cost(0.5)),
        Phase(job_id="a", epoch=2, name="features", cost=cost(2)),
        Phase(job_id="a", epoch=2, name="search", cost=cost(11)),  # the trials of epoch 1 in it
        Phase(job_id="a", epoch=2, name="refit", cost=cost(4)),
        Phase(job_id="a", epoch=2, name="predict", cost=cost(0.5)),
    ]
    found = spent(phases, epoch=2)
    assert {name: one.cpu_seconds for name, one in found.items()} == {
        "features": 4,
        "search": 11,
        "refit": 7,
        "predict": 1,
    }
