"""Artifacts: whole or not at all, and only what was put there."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.artifacts import ArtifactStore, UnsupportedScheme, file_sha256, folder_sha256
from scheduler.errors import Corrupt, StorageFull, TooLarge, UnknownRecord


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    """An empty store."""
    return ArtifactStore(tmp_path / "artifacts")


def left(artifacts: ArtifactStore) -> list[str]:
    """Every file below the root, temporary ones included."""
    return sorted(p.name for p in artifacts.root.rglob("*") if p.is_file())


def test_a_stream_is_stored_with_its_checksum(artifacts: ArtifactStore) -> None:
    content = os.urandom(3_000_000)
    chunks = [content[n : n + 65_537] for n in range(0, len(content), 65_537)]
    sha256 = hashlib.sha256(content).hexdigest()
    assert artifacts.put_stream("uploads/a", chunks, max_bytes=len(content)) == (3_000_000, sha256)
    with artifacts.open("uploads/a") as file:
        assert file.read() == content
    artifacts.verify("uploads/a", sha256)
    assert artifacts.exists("uploads/a")
    assert artifacts.names() == ["uploads/a"]
    assert artifacts.put_stream("empty", []) == (0, hashlib.sha256().hexdigest())
    assert artifacts.put_stream("uploads/a", [b"new"])[0] == 3
    assert artifacts.path("uploads/a").read_bytes() == b"new"


def test_too_many_bytes_leave_nothing(artifacts: ArtifactStore) -> None:
    taken = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            taken.append(number)
            yield b"x" * 1000

    with pytest.raises(TooLarge) as error:
        artifacts.put_stream("uploads/a", chunks(), max_bytes=2500)
    assert error.value.code == "too_large"
    assert taken == [0, 1, 2]  # the rest is not even read
    assert left(artifacts) == []


def test_a_stream_that_breaks_leaves_nothing(artifacts: ArtifactStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 10_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        artifacts.put_stream("uploads/a", chunks())
    assert left(artifacts) == []


def test_nobody_sees_a_stream_before_it_is_whole(artifacts: ArtifactStore) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            assert not artifacts.exists("uploads/a")
            assert artifacts.names() == []
            yield b"x"

    artifacts.put_stream("uploads/a", chunks())
    assert artifacts.exists("uploads/a")


def test_a_folder_is_copied_or_moved_and_has_one_checksum(
    artifacts: ArtifactStore, tmp_path: Path
) -> None:
    source = tmp_path / "model"
    (source / "inner").mkdir(parents=True)
    (source / "manifest.json").write_text("{}")
    (source / "inner" / "model.txt").write_text("tree")
    copied = artifacts.put_folder("models/1", source)
    assert (source / "manifest.json").exists()
    with artifacts.staging() as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "model.txt").write_text("tree")
        (folder / "manifest.json").write_text("{}")
        assert artifacts.put_folder("models/2", folder) == copied
        assert not folder.exists()
    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("inner/model.txt", b"tree"), ("manifest.json", b"{}"))
    )
    assert copied == hashlib.sha256(lines.encode()).hexdigest()
    for key in ("models/1", "models/2"):
        artifacts.verify(key, copied)
    (source / "more").write_text("")
    again = artifacts.put_folder("models/1", source)  # in place of the old one
    assert again != copied
    artifacts.verify("models/1", again)
    assert list((artifacts.root / "tmp").iterdir()) == []


def test_a_staging_folder_goes_with_whatever_is_in_it(artifacts: ArtifactStore) -> None:
    with pytest.raises(RuntimeError), artifacts.staging() as folder:  # noqa: PT012
        (folder / "half").write_text("x")
        raise RuntimeError
    assert list((artifacts.root / "tmp").iterdir()) == []


def test_a_link_is_no_artifact(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (source / "secret").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="files and folders only"):
        artifacts.put_folder("models/1", source)
    assert artifacts.names() == []
    assert left(artifacts) == []


def test_one_flipped_bit_is_corrupt(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (source / "a").write_bytes(b"x" * 1000)
    digest = artifacts.put_folder("models/1", source)
    path = artifacts.path("models/1") / "a"
    content = bytearray(path.read_bytes())
    content[500] ^= 4
    path.write_bytes(content)
    with pytest.raises(Corrupt) as error:
        artifacts.verify("models/1", digest)
    assert error.value.code == "corrupt"
    with pytest.raises(Corrupt):
        artifacts.verify("models/1/a", hashlib.sha256(b"x" * 1000).hexdigest())
    assert file_sha256(path) != digest
    assert folder_sha256(path.parent) != digest


def test_what_is_not_there_is_unknown(artifacts: ArtifactStore) -> None:
    for call in (artifacts.open, lambda key: artifacts.verify(key, "0" * 64)):
        with pytest.raises(UnknownRecord):
            call("models/none")
    artifacts.delete("models/none")
    assert not artifacts.exists("models/none")


def test_deletion_is_at_once_and_twice_is_as_once(artifacts: ArtifactStore) -> None:
    artifacts.put_stream("datasets/1/rows.parquet", [b"x"])
    artifacts.put_stream("datasets/2/rows.parquet", [b"y"])
    for _ in range(2):
        artifacts.delete("datasets/1")
    assert artifacts.names() == ["datasets/2/rows.parquet"]
    assert left(artifacts) == ["rows.parquet"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".",
        "..",
        "a\x00b",
        "a b",
        "a\\b",
        ".x",
        "tmp",
        "tmp/x",
        "é",
        "a/b/c/d/e/f/g/h/i",
        "x" * 129,
        "C:/x",
        "a\n",
        "~",
        "a/..",
    ],
)
def test_what_is_no_key_reaches_no_file(artifacts: ArtifactStore, key: str) -> None:
    for call in (
        artifacts.path,
        artifacts.open,
        artifacts.delete,
        artifacts.exists,
        lambda k: artifacts.put_stream(k, [b"x"]),
    ):
        with pytest.raises(ValueError, match="not a key"):
            call(key)
    assert left(artifacts) == []


def test_the_sweep_takes_orphans_and_spares_the_rest(artifacts: ArtifactStore) -> None:
    for key in ("datasets/1/rows.parquet", "datasets/2/rows.parquet", "models/3/a", "uploads/4"):
        artifacts.put_stream(key, [b"x"])
    half = artifacts.root / "tmp" / "0.part"
    half.write_bytes(b"half")
    keep = {"datasets/1", "uploads/4"}
    young = datetime.fromtimestamp(time.time() + 3500, UTC)
    assert artifacts.sweep(keep, now=young) == []
    old = datetime.fromtimestamp(time.time() + 3700, UTC)
    assert artifacts.sweep(keep, now=old) == [
        "tmp/0.part",
        "datasets/2/rows.parquet",
        "models/3/a",
    ]
    assert artifacts.names() == ["datasets/1/rows.parquet", "uploads/4"]
    assert not (artifacts.root / "models").exists()
    assert artifacts.sweep(keep, now=old) == []
    artifacts.put_stream("models/5/a", [b"x"])  # its folders are made again


def test_the_sweep_spares_what_was_just_put_however_old_its_source(
    artifacts: ArtifactStore, tmp_path: Path
) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (source / "a").write_bytes(b"x")
    for path in (source / "a", source):
        os.utime(path, (1e9, 1e9))
    artifacts.put_folder("models/1", source)
    assert artifacts.sweep(set(), now=datetime.now(UTC)) == []
    assert artifacts.exists("models/1")


def test_a_full_disk_leaves_nothing_and_then_works_again(
    artifacts: ArtifactStore, tmp_path: Path
) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (source / "a").write_bytes(b"x" * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StorageFull) as error:
            artifacts.put_stream("uploads/a", [b"x" * 20_000] * 5)
        assert error.value.code == "storage_full"
        with pytest.raises(StorageFull):
            artifacts.put_folder("models/1", source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert left(artifacts) == []
    assert list((artifacts.root / "tmp").iterdir()) == []
    artifacts.put_stream("uploads/a", [b"x" * 20_000] * 5)
    artifacts.put_folder("models/1", source)


def test_a_folder_by_path_or_url_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    assert ArtifactStore(str(folder)).root == folder
    assert ArtifactStore(f"file://{tmp_path}/with%20space").root == folder
    for url in ("s3://bucket/x", "gs://x", "http://127.0.0.1/x", "file://host/x"):
        with pytest.raises(UnsupportedScheme) as error:
            ArtifactStore(url)
        assert error.value.code == "unsupported_artifacts_url"


def test_two_writers_of_one_key_leave_one_whole_file(artifacts: ArtifactStore) -> None:
    contents = [bytes([65 + n]) * 200_000 for n in range(4)]

    def write(content: bytes) -> None:
        for _ in range(10):
            chunks = [content[at : at + 5000] for at in range(0, len(content), 5000)]
            artifacts.put_stream("uploads/a", chunks)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if artifacts.exists("uploads/a"):
            assert artifacts.path("uploads/a").read_bytes() in contents
    for thread in threads:
        thread.join()
    assert left(artifacts) == ["a"]


def test_a_killed_writer_leaves_only_what_the_sweep_takes(artifacts: ArtifactStore) -> None:
    code = (
        "import sys, itertools, time\n"
        "from scheduler.artifacts import ArtifactStore\n"
        "def chunks():\n"
        "    for n in itertools.count():\n"
        "        yield b'x' * 100_000\n"
        "        if n == 3:\n"
        "            print('written', flush=True)\n"
        "            time.sleep(60)\n"
        "ArtifactStore(sys.argv[1]).put_stream('uploads/a', chunks())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(artifacts.root)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
    assert not artifacts.exists("uploads/a")
    assert len(left(artifacts)) == 1
    artifacts.sweep(set(), now=datetime.fromtimestamp(time.time() + 3700, UTC))
    assert left(artifacts) == []
