"""A champion as files: model texts, JSON, one array file, and a manifest over all of them."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.encoding import TableEncoder
from automl.errors import DataError
from automl.models import catalog
from automl.search.around import FEATURIZER, Around
from automl.search.calibration import Platt
from automl.search.champion import Champion, Member
from automl.search.curves import curves
from automl.search.fitted import Fitted
from automl.search.seen import Seen
from automl.trial import Candidate

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "champion.json"
ENCODER = "encoder.json"
ARRAYS = "out_of_fold.npz"
CURVES = "curves.json"  # drawn from the arrays, for who has no numpy
SEEN = "seen.npz"  # absent where it was saved before there were any
# What could change the meaning of a file.
PACKAGES = ("frugal-automl", "lightgbm", "scikit-learn", "imbalanced-learn", "skops", "numpy")


def write(champion: Champion, folder: Path) -> str:
    """Write all files, the manifest last; returns its SHA-256.

    Raises
    ------
    FileExistsError
        The folder has files in it already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder.name} is not empty; a champion is saved into a new folder")
    members = []
    files = [ENCODER, STATE, ARRAYS, SEEN]
    for i, member in enumerate(champion.members):
        models = []
        for j, fitted in enumerate(member.models):
            stem = f"member{i}-{j}"
            files += fitted.model.save(folder, stem)
            models.append(
                {
                    "stem": stem,
                    "slope": fitted.slope,
                    "shift": fitted.shift,
                    "n_rows": fitted.n_rows,
                }
            )
        members.append(
            {
                "trial": member.trial,
                "model": member.candidate.model,
                "params": dict(member.candidate.params),
                "weight": member.weight,
                "models": models,
            }
        )
    write_json(folder / ENCODER, champion.encoder.to_json())
    state = {
        "members": members,
        "calibration": {
            "slope": champion.calibration.slope,
            "intercept": champion.calibration.intercept,
        },
        "threshold": champion.threshold,
        "alert_rate": champion.alert_rate,
        "scores": dict(champion.scores),
        "typical": None if champion.typical is None else _cells(champion.typical),
    }
    write_json(folder / STATE, state)
    with (folder / ARRAYS).open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **dict(champion.out_of_fold))
    with (folder / SEEN).open("wb") as file:
        np.savez(file, allow_pickle=False, **_digests(champion.seen))
    if champion.out_of_fold:
        files.append(CURVES)
        drawn = curves(champion.out_of_fold, members=[one.trial for one in champion.members])
        # For machines: indents would make it three times as long.
        (folder / CURVES).write_text(json.dumps(drawn, allow_nan=False), encoding="utf-8")
    if champion.tables is not None:
        files += champion.tables.write(folder)
    manifest = {
        "format": FORMAT,
        "files": {name: digest((folder / name).read_bytes()) for name in sorted(files)},
        "versions": versions(),
        "schema": [dict(column) for column in champion.schema],
        "provenance": dict(champion.provenance),
        "threshold": champion.threshold,
        "calibration": state["calibration"],
    }
    write_json(folder / MANIFEST, manifest)
    return digest((folder / MANIFEST).read_bytes())


def read(folder: Path, *, sha256: str | None) -> Champion:
    """Check every file against the manifest, then parse; see `Champion.load`."""
    manifest = checked(folder, sha256=sha256)
    if manifest.get("kind") is not None:
        raise DataError(
            f"this model is no champion but an {manifest['kind']}", code="not_a_champion"
        )
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        encoder = TableEncoder.from_json(json.loads((folder / ENCODER).read_text("utf-8")))
        members = tuple(_member(folder, value) for value in state["members"])
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            out_of_fold = {name: arrays[name] for name in arrays.files}
        return Champion(
            encoder=encoder,
            members=members,
            calibration=Platt(**state["calibration"]),
            threshold=state["threshold"],
            alert_rate=state["alert_rate"],
            schema=tuple(manifest["schema"]),
            provenance=manifest["provenance"],
            scores=state["scores"],
            out_of_fold=out_of_fold,
            typical=_typical(state.get("typical"), len(encoder.names)),
            seen=_seen(folder) if SEEN in manifest["files"] else (),
            tables=Around.read(folder, files=manifest["files"])
            if FEATURIZER in manifest["files"]
            else None,
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise corrupt(f"the model's files cannot be read ({type(error).__name__})") from error


def _cells(row: npt.NDArray[np.float32]) -> list[float | None]:
    return [None if np.isnan(cell) else float(cell) for cell in row]


def _typical(cells: list[float | None] | None, n_columns: int) -> npt.NDArray[np.float32] | None:
    if cells is None:
        return None
    if len(cells) != n_columns:
        raise ValueError(f"{len(cells)} typical cells for {n_columns} columns")
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float32)


def _digests(seen: Sequence[Seen]) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "n_rows": np.array([one.n_rows for one in seen], dtype=np.int64),
        "checksum": np.array([one.checksum for one in seen], dtype=np.uint64),
    }
    return arrays | {f"bits_{i}": one.bits for i, one in enumerate(seen)}


def _seen(folder: Path) -> tuple[Seen, ...]:
    with np.load(folder / SEEN, allow_pickle=False) as arrays:
        pairs = enumerate(zip(arrays["n_rows"], arrays["checksum"], strict=True))
        return tuple(
            Seen(bits=arrays[f"bits_{i}"], n_rows=int(n_rows), checksum=int(checksum))
            for i, (n_rows, checksum) in pairs
        )


def _member(folder: Path, value: Mapping[str, Any]) -> Member:
    candidate = Candidate(model=value["model"], params=value["params"])
    return Member(
        trial=value["trial"],
        candidate=candidate,
        weight=value["weight"],
        models=tuple(
            Fitted(
                model=catalog.load(folder, one["stem"]),
                slope=one["slope"],
                shift=one["shift"],
                n_rows=one.get("n_rows"),
            )
            for one in value["models"]
        ),
    )


def checked(folder: Path, *, sha256: str | None) -> dict[str, Any]:
    """The manifest, once every file is the one that was saved; raises ``corrupt_model``."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise corrupt(f"{MANIFEST} is missing") from error
    if sha256 is not None and digest(raw) != sha256:
        raise corrupt(f"{MANIFEST} is not the one that was saved: its SHA-256 differs")
    try:
        manifest: dict[str, Any] = json.loads(raw)
        files: dict[str, str] = dict(manifest["files"])
        form = manifest["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise corrupt(f"{MANIFEST} cannot be read") from error
    if form != FORMAT:
        raise corrupt(f"{MANIFEST} has format {form!r}; this version reads {FORMAT}")
    for name, expected in files.items():
        if Path(name).name != name or name in ("", ".", ".."):
            raise corrupt(f"{MANIFEST} names a file outside its folder")
        try:
            found = digest((folder / name).read_bytes())
        except OSError as error:
            raise corrupt(f"{name} is missing") from error
        if found != expected:
            raise corrupt(f"{name} is not the one that was saved: its SHA-256 differs")
    absent = {ENCODER, STATE, ARRAYS} - files.keys()
    if absent:
        raise corrupt(f"{MANIFEST} does not list {', '.join(sorted(absent))}")
    return manifest


def corrupt(message: str) -> DataError:
    """The error of files that are not those that were saved."""
    return DataError(message, code="corrupt_model")


def write_json(path: Path, value: Any) -> None:
    """Write plain values, always in the same order."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def digest(raw: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


def versions() -> dict[str, str]:
    """Of what could change the meaning of a file."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that was never installed
            continue
    return found
