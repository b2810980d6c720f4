"""Files played back: what was known when, whatever they look like, and what is wrong with them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.carbon.replay import Replay
from scheduler.carbon.replay_rows import rows_of
from scheduler.errors import ForecastUnavailable

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hours(*grams: float, start: datetime = NOON) -> list[tuple[str, float]]:
    return [((start + index * HOUR).isoformat(), one) for index, one in enumerate(grams)]


def write_csv(path: Path, rows: Sequence[Sequence[object]], header: str = "") -> Path:
    lines = [header] if header else []
    lines += [",".join(str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def values(replay: Replay, zone: str = "FR", *, now: datetime = NOON + 9 * HOUR) -> list[float]:
    series = replay.history(zone, NOON, NOON + 9 * HOUR, now=now)
    return [one.grams_per_kwh for one in series.readings]


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,gco2eq_per_kwh\n2026-03-01T12:00Z,10\n2026-03-01T13:00Z,20.5\n",
        "\ufefftimestamp;value\r\n2026-03-01T13:00+01:00;10\r\n2026-03-01T14:00+01:00;20.5\r\n",
        "2026-03-01 12:00:00+00:00,10\n\n2026-03-01 13:00:00+00:00,20.5\n",
        "value\tstart\n20.5\t2026-03-01T13:00Z\n10\t2026-03-01T12:00Z\n",
        'time,"note, long",taux_co2\n2026-03-01T12:00Z,"a\nb",10\n2026-03-01T13:00Z,,20.5\n',
    ],
)
def test_csv_as_people_write_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "FR.csv"
    path.write_text(text, newline="")
    assert values(Replay(path)) == [10, 20.5]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"datetime": at, "carbonIntensity": one, "zone": "FRA"} for at, one in hours(10, 20.5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert values(Replay(path)) == [10, 20.5]


def test_parquet_is_read_by_another_process(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "timestamp": pandas.to_datetime([at for at, _ in hours(10, 20.5)]),
            "zone": ["FR", "FR"],
            "gco2eq_per_kwh": [10, 20.5],
        }
    )
    frame.to_parquet(tmp_path / "x.parquet")
    assert values(Replay(tmp_path)) == [10, 20.5]
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(ForecastUnavailable, match=r"x\.parquet"):
        values(Replay(tmp_path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timestamp,value\n2026-03-01T12:00,10\n", "row 1: .*offset"),
        ("timestamp,value\n2026-03-01T12:00Z,10\n2026-03-01T13:00Z,2001\n", "row 2: .*2000"),
        ("timestamp,value\n2026-03-01T12:00Z,-1\n", "row 1: .*2000"),
        ("timestamp,value\n2026-03-01T12:00Z,nan\n", "row 1: .*finite"),
        ("timestamp,value\n2026-03-01T12:00Z,CANARY\n", "row 1: .*not a number"),
        ("timestamp,value\n2026-03-01T12:00Z,\n", "row 1"),
        ("timestamp,value\n2026-03-01T12:00Z,1,2\n", "line 2"),
        ("timestamp,value,zone\n2026-03-01T12:00Z,1,CANARY\n", "row 1 .*zone"),
        ("a,b,c\n1,2,3\n", "neither"),
        ("timestamp,other\n2026-03-01T12:00Z,10\n", "row 1"),
        ('timestamp,value\n"2026\n', "cannot be read"),
        ("\x00\x01\x02\n", "x.csv"),
    ],
)
def test_a_bad_row_is_named_and_not_shown(
    text: str, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ForecastUnavailable, match=says) as error:
        rows_of(path)
    assert "x.csv" in str(error.value)
    with pytest.raises(ForecastUnavailable, match=says):
        Replay(tmp_path, zone="FR").latest("FR", now=NOON)
    assert "CANARY" not in caplog.text + str(error.value)


def test_a_bad_file_does_not_spoil_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(tmp_path / "FR.csv", hours(10, 20))
    (tmp_path / "FRA.csv").write_text("timestamp,value\nyesterday,1\n")
    (tmp_path / "notes.txt").write_text("not for us")
    (tmp_path / ".FR.csv").write_text("a temporary file")
    replay = Replay(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert values(replay) == [10, 20]
        assert values(replay) == [10, 20]
    assert caplog.text.count("FRA.csv") == 1  # said once, not at every question


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "FR.csv", hours(10, 20))
    replay = Replay(path)
    with path.open("a") as file:
        file.write(f"{hours(0, 0, 57)[2][0]},5")
    assert values(replay) == [10, 20]
    with path.open("a") as file:
        file.write("7\n")
    assert values(replay) == [10, 20, 57]


def test_the_newest_file_corrects_the_others(tmp_path: Path) -> None:
    old = write_csv(tmp_path / "b.csv", hours(10, 20, 30))
    os.utime(old, (1, 1))
    replay = Replay(tmp_path, zone="FR")
    assert values(replay) == [10, 20, 30]
    write_csv(tmp_path / "a.csv", hours(21, start=NOON + HOUR))
    assert values(replay) == [10, 21, 30]
    (tmp_path / "a.csv").unlink()
    assert values(replay) == [10, 20, 30]


def test_a_value_is_known_when_its_hour_has_ended(tmp_path: Path) -> None:
    replay = Replay(write_csv(tmp_path / "FR.csv", hours(10, 20, 30)))
    half = NOON + 2.5 * HOUR
    assert values(replay, now=half) == [10, 20]
    assert replay.latest("FR", now=half).readings[0].grams_per_kwh == 20
    with pytest.raises(ForecastUnavailable):
        replay.history("FR", NOON, NOON + HOUR, now=NOON + HOUR / 2)
    with pytest.raises(ForecastUnavailable) as error:
        replay.latest("FR", now=NOON + 10 * HOUR)
    assert error.value.code == "stale"


def test_a_value_with_a_time_of_its_own_is_known_then(tmp_path: Path) -> None:
    """The same hour was polled three times, first wrong; later than two hours it came right."""
    at = NOON.isoformat()
    rows = [
        (at, 99, (NOON + 1.1 * HOUR).isoformat()),
        (at, 98, (NOON + 1.2 * HOUR).isoformat()),
        (at, 10, (NOON + 3 * HOUR).isoformat()),
    ]
    replay = Replay(write_csv(tmp_path / "FR.csv", rows, "timestamp,value,polled_at"))
    with pytest.raises(ForecastUnavailable):
        values(replay, now=NOON + HOUR)
    assert values(replay, now=NOON + 1.15 * HOUR) == [99]
    assert values(replay, now=NOON + 2 * HOUR) == [98]
    assert values(replay, now=NOON + 4 * HOUR) == [10]


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    rows = [*hours(10, 20, 30), *hours(40, 50, start=NOON + 6 * HOUR)]
    series = Replay(write_csv(tmp_path / "FR.csv", rows)).history(
        "FR", NOON, NOON + 8 * HOUR, now=NOON + 8 * HOUR
    )
    assert series.covered(NOON, NOON + 8 * HOUR) == pytest.approx(5 / 8)
    assert all(one.end - one.start == HOUR for one in series.readings)


def test_a_recorded_forecast_is_known_when_it_was_issued(tmp_path: Path) -> None:
    rows = [(at, one, NOON.isoformat()) for at, one in hours(10, 20, 30)]
    rows += [(at, one + 5, (NOON + HOUR).isoformat()) for at, one in hours(10, 20, 30)]
    path = write_csv(tmp_path / "FR.csv", rows, "timestamp,value,issued_at")
    replay = Replay(path)
    with pytest.raises(ForecastUnavailable) as error:
        replay.forecast("FR", NOON, NOON + 3 * HOUR, now=NOON - HOUR)
    assert error.value.code == "no_forecast"
    first = replay.forecast("FR", NOON, NOON + 3 * HOUR, now=NOON + HOUR / 2)
    assert ([one.grams_per_kwh for one in first.readings], first.issued_at) == (
        [10, 20, 30],
        NOON,
    )
    second = replay.forecast("FR", NOON, NOON + 3 * HOUR, now=NOON + HOUR)
    assert [one.grams_per_kwh for one in second.readings] == [15, 25, 35]
    assert [one.issued_at for one in replay.issued("FR", since=NOON, now=NOON + HOUR)] == [
        NOON,
        NOON + HOUR,
    ]
    with pytest.raises(ForecastUnavailable):  # what was forecast is not what was
        replay.history("FR", NOON, NOON + 3 * HOUR, now=NOON + 9 * HOUR)


def test_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path / "missing.csv"):
        with pytest.raises(ForecastUnavailable, match="cannot be read"):
            Replay(path).latest("FR", now=NOON)
    with pytest.raises(ForecastUnavailable) as error:
        Replay(tmp_path).latest("FR", now=NOON)  # an empty folder
    assert error.value.code == "unsupported_zone"


@pytest.mark.data
def test_a_real_feed_with_lag_and_repeats(shared_data: Path) -> None:
    """Polled from a live API for months: hours repeated and revised, late, and missing."""
    path = shared_data / "carbon" / "livefeed_raw_polled_2021_2022.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    pandas = pytest.importorskip("pandas")
    replay = Replay(path)
    for zone, frame in pandas.read_parquet(path).groupby("zone"):
        last = frame.timestamp.max().to_pydatetime().astimezone(UTC) + 9 * HOUR
        first = last - timedelta(days=60)
        frame = frame[frame.timestamp >= first - HOUR]
        series = replay.history(zone, first, last, now=last)
        recent = frame[frame.timestamp >= first].sort_values("polled_at", kind="stable")
        assert recent.timestamp.duplicated().any()
        newest = recent.groupby("timestamp").last()
        assert [one.start for one in series.readings] == list(newest.index)
        assert [one.grams_per_kwh for one in series.readings] == list(newest.gco2eq_per_kwh)
        # At each of a hundred moments: the newest hour that was polled by then, or none is fresh.
        stale = 0
        for step in range(100):
            now = first + timedelta(days=2) + step * timedelta(hours=13, minutes=7)
            known = frame.timestamp[frame.polled_at <= now].max()
            if now - known > 7 * HOUR:
                stale += 1
                with pytest.raises(ForecastUnavailable):
                    replay.latest(zone, now=now)
            else:
                assert replay.latest(zone, now=now).readings[0].start == known
        assert stale < 50
