"""What is kept: merged without overlap, whole on disk or not at all, and asked for once."""

from __future__ import annotations

import json
import logging
import os
import random
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from scheduler.carbon.cache import Cache
from scheduler.carbon.kept import (
    FINE,
    FORECASTS,
    HISTORY,
    SETTLED,
    Kept,
    from_json,
    missing,
    to_json,
    with_forecast,
    with_history,
)
from tests.scheduler.carbon.grids import DAY, HOUR, NOW, hourly, wave

FRESH = timedelta(minutes=10)
ON_THE_HOUR = NOW.replace(minute=0)


def asked(kept: Kept, start, end, *, now=NOW) -> Kept:
    """`kept` after a source answered what was missing of [start, end)."""
    for first, last in missing(kept, start, end, now=now, fresh=FRESH):
        upto = min(last, now)
        kept = with_history(kept, hourly(wave, first, upto, issued_at=now), first, last, now=now)
    return kept


def test_what_is_known_is_not_asked_for() -> None:
    kept = asked(Kept(), NOW - 5 * DAY, NOW)
    assert missing(kept, NOW - 5 * DAY, NOW, now=NOW + FRESH / 2, fresh=FRESH) == []
    ((start, end),) = missing(kept, NOW - 5 * DAY, NOW + HOUR, now=NOW + HOUR, fresh=FRESH)
    assert start == ON_THE_HOUR - SETTLED  # what is older will not be revised
    assert end == ON_THE_HOUR + 2 * HOUR
    spans = missing(kept, NOW - 7 * DAY, NOW + HOUR, now=NOW + HOUR, fresh=FRESH)
    assert spans[0] == (start, end)  # the newest first
    assert spans[1] == (ON_THE_HOUR - 7 * DAY, ON_THE_HOUR - 5 * DAY)


def test_a_clock_set_back_asks_again_and_breaks_nothing() -> None:
    kept = asked(Kept(), NOW - 2 * DAY, NOW)
    before = NOW - 3 * HOUR
    ((start, end),) = missing(kept, NOW - 2 * DAY, before, now=before, fresh=FRESH)
    assert start < before <= end
    again = asked(kept, NOW - 2 * DAY, before, now=before)
    assert again.history.readings


def test_what_patience_left_out_of_a_long_gap_is_asked_for_later() -> None:
    kept = asked(Kept(), NOW - 5 * DAY, NOW)
    later = NOW + 20 * DAY
    ((_, end),) = missing(kept, NOW - 5 * DAY, later, now=later, fresh=FRESH)
    # Of the twenty days only the newest week came in time.
    week = hourly(wave, end - 7 * DAY, later, issued_at=later)
    kept = with_history(kept, week, end - 7 * DAY, end, now=later)
    kept = asked(kept, NOW - 5 * DAY, later, now=later)
    assert kept.history.covered(NOW - 5 * DAY, later) == pytest.approx(1)


def test_any_order_of_questions_gives_the_truth() -> None:
    """Against truth: however it was asked, what is kept is the wave, without overlap or gap."""
    chance = random.Random(0)
    for _ in range(10):
        kept, now = Kept(), NOW
        for _ in range(12):
            now += timedelta(minutes=chance.randrange(0, 900))
            start = now - chance.randrange(1, 20 * 24) * HOUR
            kept = asked(kept, start, now, now=now)
            # Readings that overlap or go back in time do not make a series at all.
            known = kept.history.between(start, now)
            if kept.asked_at == now:
                assert known.covered(start, now) == pytest.approx(1)
            for one in known.readings:
                assert one.grams_per_kwh == pytest.approx(wave(one.start))


def test_old_readings_go_and_older_ones_are_hours() -> None:
    kept = Kept()
    now = NOW
    for _ in range(3):
        quarters = hourly(wave, now - 40 * DAY, now)
        kept = with_history(kept, quarters, quarters.start, quarters.end, now=now)
        now += 30 * DAY
    assert now - 30 * DAY - HISTORY - HOUR <= kept.history.start
    kept = Kept()
    series = hourly(wave, ON_THE_HOUR - 12 * DAY, ON_THE_HOUR)
    halves = tuple(
        half
        for one in series.readings
        for half in (
            replace(one, end=one.start + HOUR / 2, grams_per_kwh=one.grams_per_kwh - 5),
            replace(one, start=one.start + HOUR / 2, grams_per_kwh=one.grams_per_kwh + 5),
        )
    )
    fine = replace(series, readings=halves)
    kept = with_history(kept, fine, fine.start, fine.end, now=NOW)
    turn = ON_THE_HOUR - FINE
    for one in kept.history.readings:
        assert one.end - one.start == (HOUR if one.start < turn else HOUR / 2)
    assert kept.history.mean(fine.start, fine.end) == pytest.approx(fine.mean(fine.start, fine.end))


def test_forecasts_are_kept_some_hours_apart_and_for_a_week() -> None:
    kept = Kept()
    for step in range(12 * 24 * 4):
        at = NOW + step * timedelta(minutes=15)
        kept = with_forecast(kept, hourly(wave, at, at + DAY, issued_at=at), now=at)
    issued = [one.issued_at for one in kept.forecasts]
    assert issued[-1] == at
    assert all(after - before >= 3 * HOUR for before, after in pairwise(issued[:-1]))
    assert at - FORECASTS < issued[0] < at - FORECASTS + 4 * HOUR
    # A clock set back: what is issued later than now goes.
    kept = with_forecast(kept, hourly(wave, NOW, NOW + DAY, issued_at=NOW), now=NOW)
    assert [one.issued_at for one in kept.forecasts] == [NOW]


def filled_up() -> Kept:
    kept = asked(Kept(), NOW - 3 * DAY, NOW)
    return with_forecast(kept, hourly(wave, NOW, NOW + DAY), now=NOW)


def test_json_and_back() -> None:
    kept = filled_up()
    assert from_json(json.loads(json.dumps(to_json(kept)))) == kept
    assert from_json(to_json(Kept())) == Kept()


def test_another_process_sees_it(tmp_path: Path) -> None:
    kept, one, other = filled_up(), Cache(tmp_path / "a"), Cache(tmp_path / "a")
    assert other.load("RTE", "FR") == Kept()
    one.save("RTE", "FR", kept)
    assert other.load("RTE", "FR") == kept
    assert other.load("RTE", "DE") == Kept()
    assert other.load("NESO", "FR") == Kept()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["rte.FR.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'{"version": 99}', b"\xff\xfe", b"[" * 100_000,
        json.dumps({**to_json(Kept()), "asked_at": 1e300}).encode(),
        json.dumps({**to_json(Kept()), "forecasts": [{"zone": "FR"}]}).encode(),
        json.dumps(to_json(filled_up())).replace("100.0", "5000.0").encode(),
    ],
)  # fmt: skip
def test_a_file_that_is_damaged_counts_as_empty(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Cache(tmp_path).save("RTE", "FR", filled_up())
    (tmp_path / "rte.FR.json").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert Cache(tmp_path).load("RTE", "FR") == Kept()
    assert "rte.FR.json" in caplog.text
    cache = Cache(tmp_path)
    cache.save("RTE", "FR", filled_up())
    assert Cache(tmp_path).load("RTE", "FR") == filled_up()


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_disk_that_fails_leaves_the_old_file_and_the_new_in_memory(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    cache.save("RTE", "FR", Kept(asked_at=NOW))

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, call, fails)
        cache.save("RTE", "FR", filled_up())
    assert "memory" in caplog.text
    assert cache.load("RTE", "FR") == filled_up()
    assert Cache(tmp_path).load("RTE", "FR") == Kept(asked_at=NOW)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "intensity")
    cache.save("RTE", "FR", filled_up())
    assert cache.load("RTE", "FR") == filled_up()


def test_readers_and_writers_at_once_see_whole_files(tmp_path: Path) -> None:
    kept = [Kept(asked_at=NOW + index * HOUR) for index in range(20)]
    writer = Cache(tmp_path)
    writer.save("RTE", "FR", kept[0])
    seen: list[Kept] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(Cache(tmp_path).load("RTE", "FR"))

    thread = threading.Thread(target=read)
    thread.start()
    for one in kept:
        writer.save("RTE", "FR", one)
    done.set()
    thread.join()
    assert seen
    assert all(one in kept for one in seen)
