"""Jobs whose windows coincide are hastened in time, and only then."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.backlog import in_the_way, urgent
from scheduler.planner import MARGIN
from scheduler.records import Deadline
from tests.contracts.conftest import NOW

TICK = 15.0


def job(number: int, *, seconds: float, due_in: float, start_in: float = 0.0) -> Deadline:
    return Deadline(
        id=f"{number:02}",
        state="PLANNED",
        start_at=NOW + timedelta(seconds=start_in),
        finish_by=NOW + timedelta(seconds=due_in),
        expected_seconds=seconds,
        claimed_at=None,
    )


def asked(jobs: list[Deadline], *, n_processes: int = 1) -> list[str]:
    return urgent(jobs, now=NOW, n_processes=n_processes, notice_seconds=TICK)


def test_a_job_alone_waits_until_its_work_just_fits() -> None:
    assert asked([job(1, seconds=100, due_in=100 * MARGIN + TICK + 1)]) == []
    assert asked([job(1, seconds=100, due_in=100 * MARGIN + TICK - 1)]) == ["01"]


def test_what_comes_before_a_tight_deadline_starts_too() -> None:
    far = job(3, seconds=100, due_in=20_000)
    assert asked([job(2, seconds=100, due_in=130), job(1, seconds=100, due_in=10_000), far]) == [
        "02"
    ]
    assert asked([job(2, seconds=100, due_in=250), job(1, seconds=100, due_in=300), far]) == []
    assert asked([job(1, seconds=100, due_in=245), job(2, seconds=100, due_in=250), far]) == [
        "01",
        "02",
    ]


def test_work_that_is_under_way_counts_with_what_is_left() -> None:
    running = Deadline(
        id="00",
        state="RUNNING",
        start_at=NOW,
        finish_by=NOW + timedelta(seconds=100),
        expected_seconds=100,
        claimed_at=NOW - timedelta(seconds=70),
    )
    waiting = job(1, seconds=100, due_in=100 * MARGIN + TICK + 51)
    assert asked([running, waiting]) == []
    assert asked([running, job(1, seconds=100, due_in=100 * MARGIN + TICK + 49)]) == ["01"]


def test_the_one_that_makes_way_has_no_deadline_or_the_latest() -> None:
    urgent_one = job(1, seconds=100, due_in=130)
    later, latest = job(2, seconds=9, due_in=500), job(3, seconds=9, due_in=900)
    jobs = [urgent_one, later, latest]
    assert in_the_way(jobs, ["01"], running=["02", "03"]) == "03"
    assert in_the_way(jobs, ["01"], running=["02", "99"]) == "99"
    assert in_the_way(jobs, ["01"], running=[]) is None
    assert in_the_way(jobs, [], running=["02"]) is None
    sooner = job(0, seconds=100, due_in=120)
    assert in_the_way([sooner, urgent_one], ["01"], running=["00"]) is None
    assert in_the_way([sooner, urgent_one], ["00", "01"], running=["00"]) is None


@given(
    tasks=st.lists(
        st.tuples(st.floats(1, 300), st.floats(0, 4000), st.floats(0, 3000)),
        min_size=1,
        max_size=12,
    ),
    overrun=st.floats(0.5, MARGIN),
)
def test_one_process_that_heeds_it_keeps_every_deadline_that_can_be_kept(
    tasks: list[tuple[float, float, float]], overrun: float
) -> None:
    """A simulated queue: jobs wait for their windows unless they are urgent."""
    jobs, at = [], 0.0
    for number, (seconds, slack, start) in enumerate(tasks):
        # Feasible by construction: one after the other, with the margin, they would all be in time.
        at += MARGIN * seconds + TICK
        jobs.append(job(number, seconds=seconds, due_in=at + TICK + slack, start_in=start))
    jobs.sort(key=lambda one: one.finish_by)
    clock, longest = 0.0, max(seconds for seconds, _, _ in tasks)
    while jobs:
        now = NOW + timedelta(seconds=clock)
        hastened = set(urgent(jobs, now=now, n_processes=1, notice_seconds=TICK + longest * MARGIN))
        due = [one for one in jobs if one.start_at <= now or one.id in hastened]
        if not due:
            clock += TICK
            continue
        clock += overrun * (due[0].expected_seconds or 0.0)
        # Whoever starts last may have been held up by one job that was not urgent when it began.
        assert NOW + timedelta(seconds=clock) <= due[0].finish_by
        jobs.remove(due[0])
