from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from automl.cost import Cost
from automl.trial import Candidate, Proposal, Trial
from scheduler.carbon.series import IntensitySeries
from scheduler.emissions import Rates, Stretch, rates_of
from scheduler.pricing import Price, price_of, spans_of
from scheduler.receipt import priced, receipt
from scheduler.records import Job, JobState
from tests.scheduler.test_emissions import HOUR, NOON, Known, daily, series

METER = {"meter": "cpu_time", "watts_per_core": 4.0, "watts_per_gb": 0.375, "source": "settings"}
REFERENCE = {"tool": "codecarbon", "cpu_joules": 40.0, "ram_joules": 3.0, "reason": None}
DAY = timedelta(days=1)


def cost(cpu_seconds: float) -> Cost:
    return Cost(cpu_seconds=cpu_seconds, joules=4.1 * cpu_seconds, meter="cpu_time")


def stretch(phase: str, start: float, end: float, cpu_seconds: float = 10) -> Stretch:
    """From so many hours after noon to so many."""
    return Stretch(
        phase=phase, start=NOON + start * HOUR, end=NOON + end * HOUR, cost=cost(cpu_seconds)
    )


WORK = [
    stretch("ingest", -2, -1, 1),
    stretch("features", 5, 5.5, 2),
    stretch("search", 5.5, 7, 30),
    stretch("refit", 9, 10, 4),
]


def a_job(**changes: Any) -> Job:
    job = Job(
        id="1" * 32,
        project_id="2" * 32,
        dataset_id="3" * 32,
        request={"when": {"policy": "low_carbon"}},
        state=JobState.RUNNING,
        submitted_at=NOON,
        epoch=1,
    )
    return replace(job, **changes)


def grid(values: dict[int, float], otherwise: float = 100.0) -> IntensitySeries:
    """Measured hours from two days before noon to two after; some named by hours after noon."""
    return series([values.get(i - 48, otherwise) for i in range(96)], start=NOON - 2 * DAY)


def price(
    known: IntensitySeries | None = None,
    *,
    work: list[Stretch] = WORK,
    live: bool = False,
    late: timedelta = HOUR,
    **changes: Any,
) -> Price:
    job = a_job(**changes)
    now = max([one.end for one in work], default=NOON) + late
    rates = rates_of(Known(known), daily(), zone="FR", spans=spans_of(work, job), now=now)
    return price_of(job, work, rates, zone="FR", now=now, live=live, ingest=read(known, now=now))


def read(known: IntensitySeries | None, *, now: datetime) -> Rates:
    """What is known of the hour in which the data set was read."""
    spans = [(WORK[0].start, WORK[0].end)]
    return rates_of(Known(known), daily(), zone="FR", spans=spans, now=now)


def trial(number: int, n_rows: int, *, model: str = "linear", error: str | None = None) -> Trial:
    proposal = Proposal(candidate=Candidate(model=model), rung="screening", n_rows=n_rows)
    return Trial(
        number=number, proposal=proposal, cost=cost(1), expected=cost(1), score=0.5, error=error
    )


def made(paid: Price | None = None, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "meter": METER,
        "reference": REFERENCE,
        "own_cpu_joules": 41.0,
        "trials": [trial(0, 100), trial(1, 1000), trial(2, 50, error="x")],
        "n_rows": 1000,
        "predict_per_1000_rows": cost(0.02),
    }
    found = receipt(paid or price(grid({})), **(values | changes))
    assert json.loads(json.dumps(found)) == found
    return found


def test_the_total_is_the_sum_of_the_phases_in_every_unit() -> None:
    bill = made(price(grid({5: 30, 6: 700, 9: 20})))
    phases, total = bill["phases"], bill["total"]
    assert [phase["name"] for phase in phases] == ["ingest", "features", "search", "refit"]
    for unit in ("cpu_seconds", "joules", "kwh", "gco2e"):
        assert total[unit] == pytest.approx(sum(phase[unit] for phase in phases))
    assert total["kwh"] == pytest.approx(4.1 * 37 / 3.6e6)
    assert total["intensity"]["grams_per_kwh"] == pytest.approx(total["gco2e"] / total["kwh"])
    own = [one for one in phases if one["name"] != "ingest"]
    of_the_job = sum(one["gco2e"] for one in own) / sum(one["kwh"] for one in own)
    assert bill["intensity"]["grams_per_kwh"] == pytest.approx(of_the_job)
    assert bill["predict_per_1000_rows"]["gco2e"] == pytest.approx(
        4.1 * 0.02 / 3.6e6 * of_the_job
    )  # what is yet to come, at the level of the job's own hours and zone


def test_what_the_limits_covered_is_said_where_there_were_any() -> None:
    def lines(limits: Any) -> list[str]:
        said = made(limits=limits)["method"]
        return [one for one in said if one.startswith("The limits cover")]

    for none in (None, {}, {"cpu_seconds": None, "trials": 3}):
        assert lines(none) == []
    (line,) = lines({"cpu_seconds": 60, "trials": None})
    assert "search and refit took 34 CPU-s" in line  # of 37 in all
    assert "Outside them" in line
    assert "(CPU-s: ingest 1)" in line


def test_each_phase_has_the_intensity_of_its_own_hours() -> None:
    bill = made(price(grid({-2: 50, 5: 30, 6: 60, 9: 20})))
    grams = {one["name"]: one["intensity"]["grams_per_kwh"] for one in bill["phases"]}
    # The search has half an hour at 30 and a whole one at 60.
    assert grams == pytest.approx({"ingest": 50, "features": 30, "search": 50, "refit": 20})
    for one in bill["phases"]:
        assert one["gco2e"] == pytest.approx(one["kwh"] * grams[one["name"]])
        assert one["intensity"] | {"grams_per_kwh": 0} == {
            "zone": "FR",
            "grams_per_kwh": 0,
            "source": "measured",
            "sources": {"measured": 1.0},
            "factor_type": "lifecycle",
            "signal": "average",
            "issued_at": (NOON - 2 * DAY).isoformat(),
            "share_estimated": 0.0,
        }


def later_of(known: IntensitySeries, **changes: Any) -> dict[str, Any]:
    later = made(price(known, **changes))["levers"]["later"]
    assert isinstance(later, dict)
    return later


def test_waiting_is_compared_with_the_same_joules_at_the_submission_uninterrupted() -> None:
    # Three hours of work: from noon on they would have met hours 0, 1 and 2.
    known = grid({0: 200, 1: 300, 2: 400, 5: 30, 6: 60, 9: 20})
    later = later_of(known, plan={"policy": "low_carbon", "saving_gco2e": 0.5})
    kwh = {name: 4.1 * seconds / 3.6e6 for name, seconds in (("f", 2), ("s", 30), ("r", 4))}
    # Features 0:00-0:30, search 0:30-2:00, refit 2:00-3:00.
    earlier = kwh["f"] * 200 + kwh["s"] * (200 / 3 + 300 * 2 / 3) + kwh["r"] * 400
    actual = kwh["f"] * 30 + kwh["s"] * 50 + kwh["r"] * 20
    assert later["gco2e_at_submission"] == pytest.approx(earlier)
    assert later["gco2e"] == pytest.approx(actual)  # without the reading of the data set
    assert later["saved_gco2e"] == pytest.approx(earlier - actual)
    assert later["planned_saving_gco2e"] == 0.5
    assert not later["dirtier"]
    assert (later["waited_seconds"], later["paused_seconds"]) == (5 * 3600, 2 * 3600)


def test_a_wait_that_turned_out_dirtier_says_so() -> None:
    bill = made(price(grid({5: 900, 6: 900, 9: 900}), plan={"policy": "low_carbon"}))
    later = bill["levers"]["later"]
    assert later["dirtier"]
    assert later["saved_gco2e"] == pytest.approx(-4.1 * 36 / 3.6e6 * 800)
    (line,) = [one for one in bill["method"] if one.startswith("Dirtier: it emitted 32.8 mg more")]
    assert "25200 s of waiting" in line


def test_an_hour_by_the_feed_and_one_by_the_profile_are_not_compared() -> None:
    """The feed's level is four times the profile's: it looks dirtier, or cleaner, by that alone."""
    known = grid({}, otherwise=400)
    work = [stretch("search", 1.5, 2.5), stretch("refit", 2.5, 2.6)]
    upto = known.between(NOON - 2 * DAY, NOON + 2 * HOUR)
    plan = {"policy": "low_carbon", "saving_gco2e": 0.5}
    for live in (True, False):  # until it is known, and where it will never be
        paid = price(upto, work=work, live=live, late=timedelta(0), plan=plan)
        later = paid.later
        assert later["provisional"] is live
        assert later["saved_gco2e"] is later["dirtier"] is later["gco2e_at_submission"] is None
        assert later["sources"] == ["measured", "typical"]
        assert {one.saved_by_later for one in paid.lines} == {None}
        bill = made(paid)
        assert any("not told what waiting saved" in line for line in bill["method"])
        assert not any("Dirtier" in line or "less than the same" in line for line in bill["method"])
    settled = price(known, work=work, live=True, plan=plan).later
    assert (settled["saved_gco2e"], settled["dirtier"], settled["provisional"]) == (0, False, False)
    # By the profile alone both are known alike.
    guessed = price(None, work=work, live=True, plan=plan).later
    assert guessed["provisional"]
    assert guessed["saved_gco2e"] < 0  # it rises by the hour


def test_the_hours_of_the_submission_are_looked_up_again_too() -> None:
    known = grid({})
    holed = replace(known, readings=tuple(one for one in known.readings if one.start != NOON))
    paid = price(holed, live=True)
    assert paid.actual.estimated_joules == 0
    assert paid.later["saved_gco2e"] is None
    assert paid.settle_at is not None


def test_the_same_hour_saves_nothing_and_is_not_dirtier() -> None:
    work = [stretch("search", 0.1, 0.4), stretch("refit", 0.4, 0.41)]
    later = later_of(grid({0: 123.456}), work=work)
    assert (later["saved_gco2e"], later["dirtier"]) == (0.0, False)


def test_without_any_reading_the_profile_prices_all_and_says_so() -> None:
    for known in (None, grid({}).between(NOON - 2 * DAY, NOON - 2 * DAY + HOUR)):
        bill = made(price(known))
        assert bill["intensity"]["source"] == "typical"
        assert bill["intensity"]["share_estimated"] == 1
        assert any("100% of the energy has an estimated intensity" in x for x in bill["method"])


def test_holes_are_told_line_by_line() -> None:
    known = grid({})
    holed = replace(
        known,
        readings=tuple(one for one in known.readings if one.start != NOON + 6 * HOUR),
    )
    shares = {
        one["name"]: one["intensity"]["share_estimated"] for one in made(price(holed))["phases"]
    }
    assert shares == pytest.approx({"ingest": 0, "features": 0, "search": 2 / 3, "refit": 0})


@pytest.mark.parametrize("known", [None, grid({}).between(NOON - 2 * DAY, NOON)])
def test_the_error_of_estimates_stands_beside_the_saving(known: IntensitySeries | None) -> None:
    profile = daily()
    assert profile.known is not None
    profile.known = replace(profile.known, error_grams=20.0)
    job = a_job()
    rates = rates_of(Known(known), profile, zone="FR", spans=spans_of(WORK, job), now=NOON + DAY)
    ingest = read(known, now=NOON + DAY)
    paid = price_of(
        job, WORK, rates, zone="FR", now=NOON + DAY, live=False, ingest=ingest, home="DE"
    )
    bill = made(paid)
    assert bill["levers"]["later"]["error_gco2e"] == pytest.approx(4.1 * 36 / 3.6e6 * 20)
    assert bill["intensity"]["error_grams"] == 20.0
    zones = [one["intensity"]["zone"] for one in bill["phases"]]
    assert zones == ["DE", "FR", "FR", "FR"]
    assert any("read in zone DE, where the service runs" in line for line in bill["method"])


def test_lines_of_the_ledger_are_the_work_by_phase_and_day() -> None:
    work = [stretch("ingest", -2, -1, 1), stretch("search", 10, 36, 26), stretch("refit", 36, 37)]
    paid = price(grid({}), work=work)
    assert [(one.phase, one.day, round(one.cpu_seconds, 9)) for one in paid.lines] == [
        ("refit", "2026-06-03", 10),
        ("search", "2026-06-01", 2),
        ("search", "2026-06-02", 24),
    ]
    assert sum(one.gco2e for one in paid.lines) == pytest.approx(paid.actual.gco2e)
    saved = sum(one.saved_by_later or 0 for one in paid.lines)
    assert saved == pytest.approx(paid.later["saved_gco2e"])
    assert {one.job_id for one in paid.lines} == {"1" * 32}


def test_a_job_that_never_ran_is_billed_nothing() -> None:
    paid = price(grid({}), work=[])
    assert paid.lines == ()
    bill = made(paid, trials=[], predict_per_1000_rows=None)
    assert bill["total"]["gco2e"] == 0
    assert bill["levers"]["later"]["saved_gco2e"] == 0


def test_estimates_of_a_live_source_are_looked_up_again_some_times() -> None:
    known = grid({}).between(NOON - 2 * DAY, NOON + 6 * HOUR)
    end = NOON + 10 * HOUR
    for late, again in (
        (timedelta(0), end + HOUR / 60),
        (HOUR / 60, end + HOUR / 12),
        (2 * HOUR, end + 2.5 * HOUR),
        (4 * HOUR, end + 6 * HOUR),
        (6 * HOUR, end + 30 * HOUR),
        (30 * HOUR, None),
    ):
        paid = price(known, live=True, late=late)
        assert paid.settle_at == again
        assert paid.later["provisional"] is (again is not None)
    assert price(known, live=False).settle_at is None
    assert price(grid({}), live=True).settle_at is None


def test_new_prices_replace_the_old_ones_and_nothing_else() -> None:
    known = grid({5: 500})
    first = made(price(known.between(NOON - 2 * DAY, NOON), live=True), attempts=3)
    again = priced(json.loads(json.dumps(first)), price(known))
    assert again == made(price(known), attempts=3)
    assert first["method"] != again["method"]
    assert "Provisional: intensities not yet published are looked up again." in first["method"]


def test_only_the_processor_is_compared_with_codecarbon() -> None:
    reference = made()["reference"]
    assert reference["ratio"] == pytest.approx(41 / 40)
    assert reference["ram_joules"] == 3.0


def test_without_a_reference_there_is_a_reason_and_no_ratio() -> None:
    bill = made(reference={"cpu_joules": None, "ram_joules": None, "reason": "it did not start"})
    assert bill["reference"]["ratio"] is None
    assert "No reference: it did not start." in bill["method"]


def test_what_less_saved_is_counts_and_what_is_expected_is_marked_so() -> None:
    levers = made()["levers"]
    assert levers["less"] == {
        "n_trials": 2,
        "n_failed": 1,
        "rows_trained_on": 1100,
        "rows_if_every_trial_had_all": 2000,
        "share_of_rows": 0.55,
        "start": None,
        "brute_joules": None,
        "brute_force": None,
    }
    assert levers["lighter"] == {"predict_joules_per_1000_rows": pytest.approx(0.082)}
    brute = made(brute_joules=3.6e6)["levers"]["less"]["brute_force"]
    assert brute["expected_gco2e"] == pytest.approx(100)
    assert brute["expected_saved_gco2e"] == pytest.approx(100 * (1 - 4.1 * 37 / 3.6e6))
    assert brute["is_expectation"]


def test_small_numbers_can_be_read_and_compared_with_a_drive() -> None:
    bill = made(price(grid({})))
    assert bill["total"]["gco2e_text"] == "4.21 mg"
    car = bill["equivalents"]["car_km"]
    assert car["value"] == pytest.approx(bill["total"]["gco2e"] / 217.6)
    assert car["text"] == "1.94 cm"
    assert "ADEME" in car["source"]
    commutes = bill["equivalents"]["commutes"]
    assert commutes["value"] == pytest.approx(car["value"] / 14.7)
    assert "ENTD" in commutes["source"]
