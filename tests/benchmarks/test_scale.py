"""The benchmark of scale runs on a small case, and misses a floor where one is missed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import scale, scale_data, scale_parts


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_small_case_goes_through_all_parts(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(scale_data, "FILE_EVENTS", 50_000)
    made = scale_parts.generate(tmp_path, n_entities=1_500, n_events=150_000, kind=kind)
    assert made["bytes"] > 0
    assert scale_parts.copy(tmp_path)["bytes"] > 0
    assert scale_parts.ingest(tmp_path)["n_rows"] == 150_000
    screened = scale_parts.screen(tmp_path)
    bad = scale_data.is_bad(np.arange(1_500))
    assert screened["n_positive"] == bad.sum()
    assert screened["n_rows"] == bad.sum() * 21
    assert scale_parts.final(tmp_path)["n_rows"] == bad.sum() * 21
    scale_parts.full(tmp_path)
    assert pq.read_metadata(tmp_path / "features.parquet").num_rows == 1_500


def test_events_are_the_same_on_every_run(tmp_path):
    for name in ("one", "two"):
        scale_data.write_events(tmp_path / name, n_entities=100, n_events=1_000)
    one, two = (pq.read_table(tmp_path / name / "events") for name in ("one", "two"))
    assert one.equals(two)


def test_files_that_are_there_are_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(scale_data, "FILE_EVENTS", 500)
    scale_data.write_events(tmp_path, n_entities=100, n_events=1_000)
    first, second = sorted((tmp_path / "events").iterdir())
    whole = second.read_bytes()
    first.write_bytes(b"there")
    second.unlink()
    scale_data.write_events(tmp_path, n_entities=100, n_events=1_000)
    assert (first.read_bytes(), second.read_bytes()) == (b"there", whole)


def test_a_copy_of_some_files_counts_for_its_share(tmp_path, monkeypatch):
    monkeypatch.setattr(scale_data, "FILE_EVENTS", 500)
    monkeypatch.setattr(scale_parts, "COPIED_FILES", 2)
    scale_data.write_events(tmp_path, n_entities=100, n_events=2_500)
    assert scale_parts.copy(tmp_path)["share"] == 2 / 5
    one = case(ingest=6.0)
    assert sum(not holds for *_, holds in scale.verdicts([one])) == 1
    one["parts"]["copy"]["share"] = 0.4
    assert all(holds for *_, holds in scale.verdicts([one]))


def test_parts_may_be_left_out():
    one = case(ingest=2.0)
    for name in ("copy", "sql", "compare"):
        del one["parts"][name]
    assert [name for name, *_ in scale.verdicts([one])] == ["peak memory, parquet, 1 M events, MB"]


def case(*, ingest: float, full: float = 1.0, screen: float = 1.0, peak: float = 10.0) -> dict:
    seconds = {"copy": 1.0, "ingest": ingest, "screen": screen, "final": 1.0, "full": full}
    parts: dict = {name: {"cpu_seconds": one, "peak_mb": peak} for name, one in seconds.items()}
    parts |= {"sql": {"cpu_seconds": 1.0, "peak_mb": 1.0}, "compare": {"unlike": 0.0}}
    return {"kind": "parquet", "n_entities": 1, "n_events": 10**6, "parts": parts}


@pytest.mark.parametrize(
    ("cases", "missed"),
    [
        ([case(ingest=2.0)], 0),
        ([case(ingest=2.6)], 1),
        ([case(ingest=2.0, full=1.31)], 1),
        ([case(ingest=2.0, peak=2_001.0)], 1),
        ([case(ingest=2.0), case(ingest=2.0, screen=1.16)], 1),
        ([case(ingest=2.0), case(ingest=2.0, screen=1.14)], 0),
    ],
)
def test_what_is_missed_is_said(cases, missed):
    judged = scale.verdicts(cases)
    assert sum(not holds for *_, holds in judged) == missed


def test_a_run_that_was_ended_goes_on(tmp_path, monkeypatch):
    calls = []

    def part(name, folder, **options):
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        (folder / "events").mkdir(parents=True, exist_ok=True)
        return {"cpu_seconds": 1.0, "peak_mb": 1.0}

    monkeypatch.setattr(scale, "part", part)
    monkeypatch.setattr(scale, "sql", lambda folder: {"cpu_seconds": 1.0, "peak_mb": 1.0})
    homes = [tmp_path / "small", tmp_path / "large"]

    def cases() -> list[scale.Case]:
        return [scale.Case(home, n_entities=1, n_events=1) for home in homes]

    with pytest.raises(KeyboardInterrupt):
        scale.measured(cases())
    rows = scale.measured(cases())
    assert [set(row["parts"]) for row in rows] == [set(scale.PARTS)] * 2
    assert [calls.count(name) for name in ("generate", "copy", "screen")] == [2, 5, 6]
    assert not any(home.exists() for home in homes)
    assert [one.get("resumed") for one in rows] == [True, None]
    assert json.loads((tmp_path / "small.json").read_text(encoding="utf-8")) == rows[0]


def test_what_is_compared_is_done_side_by_side(tmp_path, monkeypatch):
    calls = []

    def part(name, folder, **options):
        calls.append((name, folder.name))
        return {"cpu_seconds": float(len(calls)), "peak_mb": 100.0 - len(calls)}

    monkeypatch.setattr(scale, "part", part)
    monkeypatch.setattr(scale, "sql", lambda folder: {"cpu_seconds": 1.0, "peak_mb": 1.0})
    names = ("one", "two")
    cases = [scale.Case(tmp_path / name, n_entities=1, n_events=1) for name in names]
    first, second = scale.measured(cases)
    assert [name for name, _ in calls[:4]] == ["generate", "copy", "ingest", "copy"]
    assert calls[8:14] == [("screen", name) for name in names] * 3
    assert first["parts"]["copy"]["cpu_seconds"] == (2 + 4) / 2
    assert second["parts"]["screen"]["all_cpu_seconds"] == [10.0, 12.0, 14.0]
    assert second["parts"]["screen"]["cpu_seconds"] == 12.0
    assert second["parts"]["screen"]["peak_mb"] == 90.0
