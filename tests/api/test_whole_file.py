"""A file that is there only once it is whole."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path

import pytest

from api.whole_file import whole_file


def test_a_file_that_breaks_off_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with contextlib.suppress(ValueError), whole_file(path) as file:
        file.write(b"ne")
        raise ValueError("broke off")
    assert path.read_bytes() == b"old"
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with whole_file(path) as file:
        file.write(b"answer")
    reader.join(10)
    assert read == [b"answer"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_what_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), whole_file(tmp_path):
        pass
    with pytest.raises(FileNotFoundError, match="No such folder"), whole_file(tmp_path / "b" / "c"):
        pass
