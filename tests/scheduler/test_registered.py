"""Which files a URI names, and which it may not name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from automl.errors import DataError
from scheduler.registered import bytes_of, files_at, state_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "srv"
    for name in ("balances/b.parquet", "balances/a.parquet", "balances/2024/c.csv", "notes.md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    for name in ("balances/_temporary/d.parquet", "balances/.e.csv", "balances/README"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (root / "empty").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.parquet").write_bytes(b"secret")
    return root


def code_of(uri: str, *roots: Path) -> str:
    with pytest.raises(DataError) as caught:
        files_at(uri, roots, field="here")
    assert caught.value.details["field"] == "here"
    assert "secret" not in str(caught.value)
    return caught.value.code


def test_data_files_of_a_folder_in_order(root: Path) -> None:
    folder = root / "balances"
    wanted = [folder / "2024/c.csv", folder / "a.parquet", folder / "b.parquet"]
    for uri in (f"file://{folder}", f"file://{folder}/", f"file://localhost{folder}"):
        assert files_at(uri, [root], field="") == wanted
    assert files_at(f"file://{folder}/%61.parquet", [root], field="") == [folder / "a.parquet"]
    assert files_at(f"file://{folder}", [folder], field="") == wanted
    assert bytes_of(wanted) == sum(len(f"balances/{one}") for one in ("2024/c.csv", *"ab")) + 16


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc",
        "file:///",
        "file://{root}/../secret",
        "file://{root}/balances/../../secret",
        "file://{root}/%2e%2e/secret",
        "file://{root}/a%00b",
        "file://{root}x",
        "file://elsewhere{root}",
        "file://{root}?x=1",
        "file://{root}#x",
        "file:{root}/%ff",
        "file:relative",
        "file://[",
        "file://{root}/" + "../" * 300,
    ],
)
def test_nothing_outside_is_named(root: Path, uri: str) -> None:
    assert code_of(uri.format(root=root), root) == "uri_not_allowed"


def test_without_roots_nothing_is_allowed(root: Path) -> None:
    assert code_of(f"file://{root}/balances") == "uri_not_allowed"


@pytest.mark.parametrize("uri", ["s3://bucket/x", "http://h/x", "/srv", "", "FTP://x", "gs:x"])
def test_other_storage_is_refused_clearly(root: Path, uri: str) -> None:
    assert code_of(uri, root) == "uri_not_supported"


@pytest.mark.parametrize("name", ["none", "empty", "balances/none.csv"])
def test_what_is_not_there_below_a_root(root: Path, name: str) -> None:
    assert code_of(f"file://{root}/{name}", root) == "uri_not_found"


def test_links_are_followed_only_inside(root: Path, tmp_path: Path) -> None:
    os.symlink(tmp_path / "secret", root / "out")
    assert code_of(f"file://{root}/out", root) == "uri_not_allowed"
    assert code_of(f"file://{root}/out/x.parquet", root) == "uri_not_allowed"
    os.symlink(tmp_path / "secret" / "x.parquet", root / "balances" / "x.parquet")
    os.symlink(root / "circle", root / "circle")
    assert code_of(f"file://{root}/circle", root) == "uri_not_allowed"
    os.symlink(root / "balances", root / "in")
    found = files_at(f"file://{root}/in", [root], field="")
    assert found == files_at(f"file://{root}/balances", [root], field="")
    assert [one.name for one in found] == ["c.csv", "a.parquet", "b.parquet"]
    fifo = root / "balances" / "pipe.csv"
    os.mkfifo(fifo)
    assert code_of(f"file://{fifo}", root) == "uri_not_found"
    assert fifo not in files_at(f"file://{root}/balances", [root], field="")


def test_a_change_is_seen(root: Path) -> None:
    files = files_at(f"file://{root}/balances", [root], field="")
    before = state_of(files)
    assert state_of(files) == before
    os.utime(files[0], (1, 1))
    assert state_of(files) != before
    assert state_of(files[1:]) != state_of(files)
