"""Only what the operator allows is read, whatever a path says."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from automl.errors import DataError
from scheduler.feed import ByTable, FeedFile, allowed, chunks, files_by_table, new_files

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "in" / "daily"
    folder.mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (folder / "b.csv").write_text("b\n1\n")
    (folder / "a.csv").write_text("a\n1\n")
    return tmp_path / "in"


def test_new_files_come_by_name(root: Path) -> None:
    daily = root / "daily"
    (daily / ".hidden").write_text("x")
    (daily / "c.part").write_text("x")
    (daily / "folder").mkdir()
    (daily / "link.csv").symlink_to(root.parent / "secret.csv")
    os.mkfifo(daily / "pipe")
    names = [file.name for file in new_files(str(daily), [root], known=(), now=LATER)]
    assert names == ["daily/a.csv", "daily/b.csv"]
    assert [
        file.name for file in new_files(str(daily), [root], known=["daily/a.csv"], now=LATER)
    ] == ["daily/b.csv"]
    assert new_files(str(daily), [root], known=(), now=NOW) == []  # still being written, perhaps
    (one,) = new_files(str(daily / "a.csv"), [root], known=["daily/a.csv"], now=NOW)
    assert b"".join(chunks(one)) == b"a\n1\n"


def test_names_are_paths_under_the_allowed_folder(root: Path) -> None:
    for place in ("a/daily", "b/daily"):
        (root / place).mkdir(parents=True)
        (root / place / "1.csv").write_text("a\n1\n")
    roots = [root / "a", root]

    def names(path: Path, roots: list[Path] = roots) -> list[str]:
        return [file.name for file in new_files(str(path), roots, known=(), now=LATER)]

    assert names(root / "a" / "daily") == ["a/daily/1.csv"]
    assert names(root / "b" / "daily") == names(root / "b" / "daily" / "1.csv") == ["b/daily/1.csv"]
    assert names(root / "a" / "daily", [root / "a" / "daily"]) == ["1.csv"]
    assert names(root / "a" / "daily" / "1.csv", [root / "a" / "daily" / "1.csv"]) == ["1.csv"]


@pytest.mark.parametrize(
    "path",
    [
        "{base}",
        "{root}/../secret.csv",
        "daily",
        "",
        "/",
        "/etc",
        "{root}/gone",
        "{root}/a\0b",
        "/x" * 5000,
    ],
)
def test_other_paths_are_refused_alike(root: Path, path: str) -> None:
    text = path.format(root=root, base=root.parent)
    with pytest.raises(DataError) as caught:
        allowed(text, [root])
    assert caught.value.code == "feed_not_allowed"
    assert str(root) not in str(caught.value)


def test_a_link_out_of_the_root_is_refused(root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    for text in (root / "out", root / "out" / "secret.csv"):
        with pytest.raises(DataError):
            allowed(str(text), [root])
    with pytest.raises(DataError):
        allowed(str(root), [])


def test_a_link_put_in_the_place_of_a_file_is_not_followed(root: Path) -> None:
    link = root / "daily" / "late.csv"
    link.symlink_to(root.parent / "secret.csv")
    with pytest.raises(DataError):
        list(chunks(FeedFile(path=link, name="daily/late.csv")))


def test_files_of_several_tables_are_told_by_folder_and_name(root: Path) -> None:
    daily = root / "tables"
    (daily / "people").mkdir(parents=True)
    for name in ("people/2.csv", "people/1.csv", "visits.csv", "visits.2026.csv.gz"):
        (daily / name).write_text("a\n1\n")
    (daily / "people" / "deeper").mkdir()
    (daily / "people" / "link.csv").symlink_to(root.parent / "secret.csv")
    (daily / "visits.csv.part").write_text("a")
    known = {"people": {"tables/people/1.csv"}, "visits": set(), "calls": set()}

    def found(now: datetime = LATER) -> ByTable:
        return files_by_table(str(daily), [root], known=known, in_place=["lake"], now=now)

    names = {table: [one.name for one in files] for table, files in found().files.items()}
    assert names == {
        "people": ["tables/people/2.csv"],
        "visits": ["tables/visits.2026.csv.gz", "tables/visits.csv"],
    }
    assert found().n_unsettled == 0
    assert (found(NOW).files, found(NOW).n_unsettled) == ({}, 3)  # perhaps still being written
    for name, code in (("lake", "table_in_place"), ("other", "unknown_table")):
        (daily / name).mkdir()
        with pytest.raises(DataError) as caught:
            found()
        assert (caught.value.code, caught.value.table) == (code, name)
        (daily / name).rmdir()
    with pytest.raises(DataError) as caught:
        files_by_table(str(daily / "visits.csv"), [root], known=known, in_place=(), now=LATER)
    assert caught.value.code == "not_a_folder"


def test_a_folder_that_may_not_be_looked_into_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError) as caught:
        new_files(str(root / "daily"), [root], known=(), now=LATER)
    assert caught.value.code == "feed_not_allowed"
