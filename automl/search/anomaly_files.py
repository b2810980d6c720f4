"""A ranking without labels as files: as a champion's, and told apart from one by its manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from automl.data.encoding import TableEncoder
from automl.errors import DataError
from automl.models.gaussian import Gaussian
from automl.models.isolation import Isolation
from automl.search.anomaly import KIND, AnomalyRanker
from automl.search.around import FEATURIZER, Around
from automl.search.champion import Champion
from automl.search.champion_files import (
    ARRAYS,
    ENCODER,
    FORMAT,
    MANIFEST,
    STATE,
    checked,
    corrupt,
    digest,
    versions,
    write_json,
)

ISOLATION, GAUSSIAN = "isolation", "gaussian"


def write(ranker: AnomalyRanker, folder: Path) -> str:
    """Write all files, the manifest last; returns its SHA-256.

    Raises
    ------
    FileExistsError
        The folder has files in it already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder.name} is not empty; a model is saved into a new folder")
    files = [ENCODER, STATE, ARRAYS]
    files += ranker.isolation.save(folder, ISOLATION)
    files += ranker.gaussian.save(folder, GAUSSIAN)
    write_json(folder / ENCODER, ranker.encoder.to_json())
    write_json(folder / STATE, {"kind": KIND, "alert_rate": ranker.alert_rate})
    with (folder / ARRAYS).open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            isolation=ranker.references[0],
            gaussian=ranker.references[1],
            mean=ranker.references[2],
            typical=ranker.typical,
        )
    if ranker.tables is not None:
        files += ranker.tables.write(folder)
    manifest = {
        "format": FORMAT,
        "kind": KIND,
        "files": {name: digest((folder / name).read_bytes()) for name in sorted(files)},
        "versions": versions(),
        "schema": [dict(column) for column in ranker.schema],
        "provenance": dict(ranker.provenance),
        "threshold": ranker.threshold,
    }
    write_json(folder / MANIFEST, manifest)
    return digest((folder / MANIFEST).read_bytes())


def read(folder: Path, *, sha256: str | None) -> AnomalyRanker:
    """Check every file against the manifest, then parse; see `AnomalyRanker.load`."""
    manifest = checked(folder, sha256=sha256)
    if manifest.get("kind") != KIND:
        raise DataError("this model was trained on labels; it is a champion", code="corrupt_model")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        encoder = TableEncoder.from_json(json.loads((folder / ENCODER).read_text("utf-8")))
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            references = (arrays["isolation"], arrays["gaussian"], arrays["mean"])
            typical = arrays["typical"]
        files = manifest["files"]
        tables = Around.read(folder, files=files) if FEATURIZER in files else None
        if typical.shape != (len(encoder.names),) or not all(len(one) for one in references):
            raise ValueError("its arrays do not fit its encoder")
        return AnomalyRanker(
            encoder=encoder,
            isolation=Isolation.load(folder, ISOLATION),
            gaussian=Gaussian.load(folder, GAUSSIAN),
            references=references,
            alert_rate=float(state["alert_rate"]),
            schema=tuple(manifest["schema"]),
            typical=typical,
            provenance=manifest["provenance"],
            tables=tables,
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise corrupt(f"the model's files cannot be read ({type(error).__name__})") from error


def load_model(folder: Path | str, *, sha256: str | None = None) -> Champion | AnomalyRanker:
    """Whichever of the two was saved there.

    Raises
    ------
    DataError
        ``corrupt_model``.
    """
    manifest = checked(Path(folder), sha256=sha256)
    kind = AnomalyRanker if manifest.get("kind") == KIND else Champion
    return kind.load(folder, sha256=sha256)
