"""One log or one series alone: what is proposed can be posted as it is, and its rows are ranked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.parts import Site, build
from tests.api.relations import ready, uploaded

pytestmark = pytest.mark.slow  # a process for each file


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "roots").mkdir()
    (tmp_path / "site").mkdir()
    found = build(tmp_path / "site", reads_files=True, feed_roots=str(tmp_path / "roots"))
    yield found
    found.ingestor.stop()  # type: ignore[attr-defined]
    found.store.close()


def hdfs(n_lines: int = 300, n_blocks: int = 30) -> bytes:
    line = (
        "081109 20{m:02d}{s:02d} 148 INFO dfs.DataNode$PacketResponder: Received block blk_{b} of "
        "size 67108864 from /10.250.10.6\n"
    )
    return "".join(
        line.format(m=n // 60, s=n % 60, b=1000 + n * 7 % n_blocks) for n in range(n_lines)
    ).encode()


def infer(site: Site, **source: Any) -> Any:
    answer = site.post("/v1/datasets/infer", json={"tables": {"lines": source}})
    assert answer.status_code == 200, answer.text
    return answer.json


def posted(site: Site, proposed: Any) -> Any:
    answer = site.post("/v1/datasets", json={"name": "b", "spec": proposed["spec"]})
    assert answer.status_code == 201, answer.text
    found = ready(site, answer.json["id"])
    assert found["state"] == "READY", found["problem"]
    return found


def test_lines_read_in_by_their_names_become_sessions(site: Site) -> None:
    log = uploaded(site, hdfs(), log_format="hdfs", entity_prefix="blk_")
    found = infer(site, dataset=log["id"])
    assert found["spec"]["windows"] == {"table": "lines", "sessions": "key"}
    assert posted(site, found)["n_rows"] == 30


def test_lines_without_names_become_windows_and_it_is_told_how_to_name_them(site: Site) -> None:
    log = uploaded(site, hdfs(), log_format="hdfs")
    found = infer(site, dataset=log["id"])
    assert found["spec"]["windows"]["length"] == 30
    assert "entity_prefix=blk_" in found["open_questions"][0]
    assert {"windows.length", "windows.horizon"} <= {one["field"] for one in found["reasons"]}
    assert posted(site, found)["n_rows"] == (300 - 30 - 6) // 6 + 1


def test_a_log_in_its_place_is_read_by_the_names_in_its_lines(site: Site) -> None:
    folder = site.settings.feed_roots[0] / "log"
    folder.mkdir()
    (folder / "0.log").write_bytes(hdfs())
    found = infer(site, uri=folder.as_uri())
    assert found["spec"]["windows"] == {"table": "lines", "sessions": "key"}
    assert found["spec"]["tables"]["lines"]["reading"] == {
        "log_format": "hdfs",
        "entity_prefix": "blk_",
    }
    why = [one["reason"] for one in found["reasons"] if one["field"] == "tables.lines.reading"]
    assert any("begins with blk_" in one for one in why)


def test_a_series_alone_becomes_windows_with_their_label(site: Site) -> None:
    rows = "".join(
        f"2026-01-{1 + n // 24:02d}T{n % 24:02d}:00:00Z,{n * 13 % 7},{int(n % 100 > 95)}\n"
        for n in range(600)
    )
    series = uploaded(site, f"at,load,anomaly\n{rows}".encode())
    found = infer(site, dataset=series["id"])
    assert found["spec"]["windows"]["label"] == "anomaly"
    made = posted(site, found)
    assert (made["n_rows"], found["spec"]["positive"]) == ((600 - 50 - 10) // 10 + 1, 1)
