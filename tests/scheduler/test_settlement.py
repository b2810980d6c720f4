"""Bills of what ended without one, prices that come later, and who is told of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from automl.cost import Cost
from automl.trial import Candidate, Proposal, Trial
from scheduler.carbon.series import IntensitySeries
from scheduler.carbon.typical import Typical, yearly_mean
from scheduler.clerk import Clerk
from scheduler.config import Settings
from scheduler.emissions import Stretch
from scheduler.errors import ForecastUnavailable
from scheduler.ledger import LedgerFilter
from scheduler.records import Job, JobState, Phase
from scheduler.settlement import Prices, settle
from scheduler.store import Store
from tests.contracts.records import COST as INGESTED
from tests.contracts.records import a_tenant, claim, submit
from tests.scheduler.test_emissions import HOUR, NOON, Known, daily, series

COST = Cost(cpu_seconds=900, joules=3.6e6, wall_seconds=3600, meter="cpu_time")
HOOK = "https://hooks.example/x"
ALL = LedgerFilter()


class Published(Known):
    """Hours of 200 g/kWh at noon and 400 from then on, each known six hours later."""

    def __init__(self) -> None:
        values = [200.0] * 49 + [400.0] * 47
        super().__init__(series(values, start=NOON - timedelta(days=2)))

    def history(
        self, zone: str, start: datetime, end: datetime, *, now: datetime
    ) -> IntensitySeries:
        return super().history(zone, start, end, now=now).between(start, now - 6 * HOUR)


@pytest.fixture
def prices() -> Prices:
    return Prices(source=Published(), typical=daily(), zone="FR", live=True)


def begun(store: Store, **changes: Any) -> Job:
    """A job that runs, submitted at noon, its features ended after an hour and one trial."""
    tenant = a_tenant(store, now=NOON - timedelta(days=1))
    request = {"target": "y", "webhook": HOOK}
    submit(store, tenant, submitted_at=NOON, request=request, **changes)
    job = claim(store, now=NOON)
    store.add_phase(
        Phase(
            job_id=job.id,
            epoch=1,
            name="features",
            cost=COST,
            started_at=NOON,
            ended_at=NOON + HOUR,
        )
    )
    proposal = Proposal(candidate=Candidate(model="linear"), rung="screening", n_rows=10)
    store.begin_trial(job.id, epoch=1, number=0, proposal=proposal, expected=COST, now=NOON + HOUR)
    trial = Trial(number=0, proposal=proposal, cost=COST, expected=COST, score=0.5)
    store.end_trial(job.id, epoch=1, trial=trial, now=NOON + 2 * HOUR)
    return job


def events(store: Store, now: datetime) -> list[str]:
    """What is told by now, and was not before."""
    calls = store.take_calls(now=now, seconds=60, limit=9)
    for call in calls:
        store.end_call(call.id, now=now)
    return [str(call.payload["event"]) for call in calls]


@pytest.mark.parametrize("end", ["failed", "cancelled", "quarantined"])
def test_whatever_ends_is_billed_for_what_it_burnt(store: Store, prices: Prices, end: str) -> None:
    job = begun(store)
    now = NOON + 20 * HOUR
    if end == "failed":
        store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=now, problem={"code": "x"})
    elif end == "cancelled":
        store.release_job(job.id, epoch=1, now=NOON + 3 * HOUR, died=False)
        store.request_cancel(job.project_id, job.id, now=now)
    else:
        for epoch in (1, 2, 3):
            store.release_job(job.id, epoch=epoch, now=now, died=True)
            if epoch < 3:
                claim(store, now=now)
    assert settle(store, prices, now=now) == 2  # and the reading of the data set
    bill = store.job(job.id).receipt
    assert bill is not None
    grams = {one["name"]: round(one["gco2e"], 9) for one in bill["phases"]}
    assert grams["features"] == 200
    assert grams["search"] == 400
    lines, _ = store.ledger_lines(job.project_id, LedgerFilter(job_id=job.id), limit=9)
    assert [(one.phase, round(one.gco2e, 9)) for one in lines] == [
        ("features", 200),
        ("search", 400),
    ]
    assert settle(store, prices, now=now) == 0


def test_reading_a_data_set_is_counted_once_however_many_jobs(store: Store, prices: Prices) -> None:
    job = begun(store)
    now = NOON + 20 * HOUR
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=now, problem={"code": "x"})
    tenant_jobs = [job]
    for _ in range(2):
        other = replace(job, id=job.id[::-1][:31] + str(len(tenant_jobs)), state=JobState.SUBMITTED)
        store.add_job(other, max_queued=9)
        store.request_cancel(job.project_id, other.id, now=now)
        tenant_jobs.append(other)
    settle(store, prices, now=now)
    ingest, _ = store.ledger_lines(job.project_id, LedgerFilter(phase="ingest"), limit=9)
    # Read around midnight: two lines of one reading.
    assert [one.job_id for one in ingest] == [job.dataset_id] * 2
    assert sum(one.joules for one in ingest) == pytest.approx(INGESTED.joules)
    for one in tenant_jobs:  # yet each job's bill shows it
        bill = store.job(one.id).receipt
        assert bill is not None
        assert bill["phases"][0]["name"] == "ingest"
    total = store.ledger_total(job.project_id, ALL)
    assert total.joules == pytest.approx(2 * 3.6e6 + INGESTED.joules)


def test_prices_not_known_yet_are_looked_up_again(store: Store, prices: Prices) -> None:
    job = begun(store)
    end = NOON + 2 * HOUR
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=end, problem={"code": "x"})
    settle(store, prices, now=end)
    first = store.job(job.id).receipt
    assert first is not None
    assert first["levers"]["later"]["provisional"]
    assert first["intensity"]["share_estimated"] > 0.9
    assert settle(store, prices, now=end + timedelta(seconds=59)) == 0
    assert settle(store, prices, now=end + timedelta(seconds=60)) == 1
    settle(store, prices, now=end + 4 * HOUR)
    settle(store, prices, now=end + 6 * HOUR)
    second = store.job(job.id).receipt
    assert second is not None
    assert not second["levers"]["later"]["provisional"]
    assert second["levers"]["later"]["gco2e"] == pytest.approx(600)
    assert second["reference"] == first["reference"]
    total = store.ledger_total(job.project_id, LedgerFilter(job_id=job.id))
    assert total.n_lines == 2
    assert total.gco2e == pytest.approx(600)
    assert settle(store, prices, now=end + timedelta(days=9)) == 0


def test_a_bill_is_settled_as_soon_as_the_feed_has_the_hours(
    store: Store,
) -> None:
    """A meter's values of five minutes are there when these end, not an hour and a half later."""

    class Meter(Known):
        def history(
            self, zone: str, start: datetime, end: datetime, *, now: datetime
        ) -> IntensitySeries:
            known = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0)
            return super().history(zone, start, end, now=now).between(start, known)

    meter = Meter(series([200.0] * 96, start=NOON - timedelta(days=2)))
    prices = Prices(source=meter, typical=daily(), zone="FR", live=True)
    job = begun(store)
    end = NOON + 2 * HOUR + timedelta(minutes=1)
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=end, problem={"code": "x"})
    now, step = end, timedelta(seconds=15)
    while now < end + timedelta(minutes=8):
        settle(store, prices, now=now)
        bill = store.job(job.id).receipt
        assert bill is not None
        if not bill["levers"]["later"]["provisional"]:
            break
        now += step
    assert now - end <= timedelta(minutes=5)
    assert bill["intensity"]["share_estimated"] < 1e-6  # of the data set, read days before


def test_bills_that_cannot_be_made_do_not_keep_others_from_being_priced_again(
    store: Store, prices: Prices
) -> None:
    job = begun(store)
    end = NOON + 2 * HOUR
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=end, problem={"code": "x"})
    settle(store, prices, now=end)
    tenant = a_tenant(store, "other", now=NOON)
    for _ in range(3):
        other = submit(store, tenant, submitted_at=NOON, plan={"zone": "nowhere"})
        store.request_cancel(tenant.project_id, other.id, now=NOON)
    found = store.unsettled_jobs(now=end + 9 * HOUR, limit=3)
    assert job.id in [one.id for one in found]


def test_the_reading_of_data_has_one_zone_in_all_bills(store: Store) -> None:
    """A job that is planned for another zone's grid does not move the reading that was here."""
    tenant = a_tenant(store, now=NOON - timedelta(days=1))
    submit(store, tenant, submitted_at=NOON, plan={"policy": "now", "zone": "FR"})
    job = claim(store, now=NOON)
    store.finish_job(job.id, epoch=1, state=JobState.CANCELLED, now=NOON + HOUR)
    settle(store, Prices(source=daily(), typical=daily(), zone="DE", live=False), now=NOON + HOUR)
    bill = store.job(job.id).receipt
    assert bill is not None
    lines, _ = store.ledger_lines(job.project_id, LedgerFilter(phase="ingest"), limit=9)
    assert {one.intensity["zone"] for one in lines} == {"DE"}
    assert {one["name"]: one["intensity"]["zone"] for one in bill["phases"]} == {"ingest": "DE"}


def test_figures_that_count_differently_are_not_added_up_in_one_bill(store: Store) -> None:
    """The world's mean counts chimneys, the profile of FR the plants' whole life."""
    tenant = a_tenant(store, now=NOON - timedelta(days=1))
    when = {"policy": "now", "zone": "FR"}
    submit(store, tenant, submitted_at=NOON, request={"target": "y", "when": when})
    job = claim(store, now=NOON)
    phase = Phase(
        job_id=job.id,
        epoch=1,
        name="features",
        cost=COST,
        started_at=NOON,
        ended_at=NOON + HOUR / 2,
    )
    store.add_phase(phase)
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=NOON + HOUR, problem={"code": "x"})
    here = Prices(source=Typical(), typical=Typical(), zone="WORLD", live=False)
    settle(store, here, now=NOON + HOUR)
    bill = store.job(job.id).receipt
    assert bill is not None
    lines = [*bill["phases"], bill["total"]]
    assert [one["name"] for one in lines] == ["ingest", "features", "total"]
    for one in lines:
        assert one["intensity"]["factor_type"] == "lifecycle"
        assert one["intensity"]["zone"] == "FR"
        assert one["intensity"]["grams_per_kwh"] < 100 < yearly_mean("WORLD").grams_per_kwh
    told = bill["phases"][0]["intensity"]["instead_of"]
    assert (told["zone"], told["factor_type"]) == ("WORLD", "direct")
    assert any("read in zone WORLD" in line and "ledger" in line for line in bill["method"])
    # The ledger has the reading once, where it was; the same bill is made a second time.
    told_lines, _ = store.ledger_lines(job.project_id, LedgerFilter(phase="ingest"), limit=9)
    assert {one.intensity["zone"] for one in told_lines} == {"WORLD"}
    for one in told_lines:
        assert one.grams_per_kwh == pytest.approx(yearly_mean("WORLD").grams_per_kwh)


def test_an_hour_that_the_source_of_a_job_does_not_know_is_priced_at_its_mean() -> None:
    """A feed of direct figures, and a data set that was read before it knows anything."""
    job = Job(
        id="1" * 32,
        project_id="2" * 32,
        dataset_id="3" * 32,
        request={"when": {"policy": "now", "zone": "FR"}},
        state=JobState.RUNNING,
        submitted_at=NOON,
    )
    read = Stretch(
        phase="ingest", start=NOON - 2160 * HOUR, end=NOON - 2160 * HOUR + HOUR, cost=COST
    )
    work = Stretch(phase="search", start=NOON, end=NOON + HOUR, cost=COST)
    direct = replace(series([30.0] * 48, start=NOON - 24 * HOUR), factor_type="direct")
    prices = Prices(source=Known(direct), typical=Typical(), zone="FR", live=True)
    price = prices.of_job(job, [read, work], now=NOON + 2 * HOUR)
    for phase in ("ingest", "search"):
        told = price.intensity(price.phases[phase], phase=phase)
        assert told["factor_type"] == "direct"
        assert told["grams_per_kwh"] == pytest.approx(30.0)
    assert price.phases["ingest"].share_estimated == 1


def test_a_wait_that_turned_out_dirtier_is_told_once_it_is_sure(
    store: Store, prices: Prices
) -> None:
    plan = {"policy": "low_carbon", "saving_gco2e": 5.0, "zone": "FR"}
    tenant = a_tenant(store, now=NOON - timedelta(days=1))
    request = {"target": "y", "webhook": HOOK, "when": {"policy": "low_carbon"}}
    submit(store, tenant, submitted_at=NOON, request=request, plan=plan)
    job = claim(store, now=NOON + HOUR)
    phase = Phase(
        job_id=job.id,
        epoch=1,
        name="features",
        cost=COST,
        started_at=NOON + HOUR,
        ended_at=NOON + 2 * HOUR,
    )
    store.add_phase(phase)
    end = NOON + 2 * HOUR
    store.finish_job(job.id, epoch=1, state=JobState.CANCELLED, now=end)
    settle(store, prices, now=end)
    assert events(store, end) == []
    settle(store, prices, now=end + 6 * HOUR)
    later = store.job(job.id).receipt["levers"]["later"]  # type: ignore[index]
    assert later["dirtier"]
    assert later["saved_gco2e"] == pytest.approx(-200)
    assert later["planned_saving_gco2e"] == 5.0
    assert events(store, end + 6 * HOUR) == ["job.dirtier_than_planned"]
    settle(store, prices, now=end + 40 * HOUR)
    assert events(store, end + 40 * HOUR) == []


def test_what_cannot_be_priced_keeps_nobody_else_waiting(store: Store) -> None:
    job = begun(store)
    now = NOON + 20 * HOUR
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=now, problem={"code": "x"})
    tenant = a_tenant(store, "other", now=NOON)
    other = submit(store, tenant, submitted_at=NOON, plan={"zone": "nowhere"})
    store.request_cancel(tenant.project_id, other.id, now=now - HOUR)
    prices = Prices(source=Known(None), typical=daily(), zone="FR", live=False)
    settle(store, prices, now=now)
    assert store.job(other.id).receipt is None
    assert store.job(job.id).receipt is not None


class Stuck(Known):
    """A source that answers only when it is let go."""

    def __init__(self) -> None:
        super().__init__(None)
        self.free = threading.Event()

    def history(self, *_: Any, **__: Any) -> IntensitySeries:
        self.free.wait(10)
        raise ForecastUnavailable("no answer")


def test_the_clerk_works_beside_the_tick_one_thread_at_a_time(
    store: Store, settings: Settings
) -> None:
    job = begun(store)
    now = NOON + 20 * HOUR
    store.finish_job(job.id, epoch=1, state=JobState.FAILED, now=now, problem={"code": "x"})
    source = Stuck()
    prices = Prices(source=source, typical=daily(), zone="FR", live=False)
    clerk = Clerk(store, settings, prices=prices)
    before = threading.active_count()
    for _ in range(5):
        clerk.poke(now)  # returns although the source does not
    assert threading.active_count() == before + 1
    assert store.job(job.id).receipt is None
    source.free.set()
    clerk.stop()
    assert store.job(job.id).receipt is not None
    # The failure was told although prices were late; the host is not allowed here: given up.
    (call,) = store.calls(job.project_id, limit=9)
    assert call["problem"]["code"] == "webhook_not_allowed"
    clerk.poke(now)
    assert threading.active_count() == before
