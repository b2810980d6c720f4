"""A champion's folder as one file to take away: checked, and always the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scheduler.errors import Corrupt

MANIFEST, FEATURIZER = "manifest.json", "featurizer.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry, so that a cut download can be resumed

LOADER = """\
# {name}, version {version}

    from automl.search.champion import Champion
    import pandas
    champion = Champion.load("model", sha256="{sha256}")
    rows = pandas.read_csv("rows.csv")
    print(champion.predict_proba(rows))

The weights are LightGBM text or skops files, no pickle; `manifest.json` has the SHA-256 of each
and the versions it was made with. The checksum above is that of `model/manifest.json`: loading
verifies it, and by it every other file, before anything is parsed.
"""


def as_ranking(loader: str) -> str:
    """How a ranking without labels is loaded, by how a champion is."""
    return (
        loader.replace(
            "from automl.search.champion import Champion",
            "from automl.search.anomaly import AnomalyRanker",
        )
        .replace("Champion.load", "AnomalyRanker.load")
        .replace("predict_proba(", "anomaly(")
    )


RELATIONAL_LOADER = LOADER.replace(
    "    import pandas\n", "    import pyarrow.csv, pyarrow.parquet\n"
).replace(
    """    rows = pandas.read_csv("rows.csv")
    print(champion.predict_proba(rows))
""",
    """    rows = pyarrow.csv.read_csv("rows.csv")
    # The tables around them, by the names in spec.json; one that is left out has no rows.
    tables = {{"NAME": pyarrow.parquet.read_table("NAME.parquet")}}
    relations = champion.tables.relations(rows, tables, now=None)
    print(champion.predict_proba(champion.tables.featured(relations)))
""",
)


def archive(folder: Path, *, name: str, version: int, sha256: str) -> bytes:
    """A zip with the files of a champion and how to load them.

    Parameters
    ----------
    folder : Path
        Where the champion was saved.
    sha256 : str
        Of its manifest, as the store remembers it.

    Raises
    ------
    Corrupt
        A file is not the one that was saved.
    """
    manifest = json.loads(checked_file(folder, MANIFEST, sha256))
    loader = LOADER if manifest.get("kind") is None else as_ranking(LOADER)
    if FEATURIZER in manifest["files"]:
        loader = RELATIONAL_LOADER
        if manifest.get("kind") is not None:
            loader = as_ranking(loader)
    readme = loader.format(name=name, version=version, sha256=sha256)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        _add(written, "README.md", readme.encode())
        for file, content in _checked(folder, sha256):
            _add(written, f"model/{file}", content)
    return buffer.getvalue()


def _add(written: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    written.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _checked(folder: Path, sha256: str) -> Iterator[tuple[str, bytes]]:
    manifest = checked_file(folder, MANIFEST, sha256)
    yield MANIFEST, manifest
    files: dict[str, Any] = json.loads(manifest)["files"]
    for name, expected in sorted(files.items()):
        yield name, checked_file(folder, name, expected)


def checked_file(folder: Path, name: str, expected: str) -> bytes:
    """A file of a champion, whose SHA-256 is as expected. Raises Corrupt."""
    try:
        content = (folder / name).read_bytes()
    except OSError:
        raise Corrupt(f"{name} of the model is missing", code="corrupt_model") from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise Corrupt(f"{name} of the model is not what was saved", code="corrupt_model")
    return content
