"""One part of `benchmarks.scale` in a process of its own: what it takes, as JSON.

python -m benchmarks.scale_parts PART FOLDER [OPTIONS as JSON]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from automl.features.featurizer import Featurizer
from automl.relations.spec import Spec
from automl.relations.stored import Stored
from automl.relations.storing import store
from benchmarks import scale_data

GROUPS = ["events.recency", "events.aggregates", "events.categories", "events.trends"]
# What a champion keeps: the features that the SQL beside this file computes as well.
CHAMPION = (
    "events.count.all", "events.count.60d", "events.since_last", "events.since_first",
    "events.amount.mean.all", "events.amount.std.all", "events.amount.min.all",
    "events.amount.max.all", "events.amount.last.all", "events.amount.trend.all",
    "events.amount.mean.180d", "events.amount.mean.60d", "events.kind.share[penalty].all",
    "events.kind.share[penalty].180d",
)  # fmt: skip
SCREENED_POSITIVES, FINAL_POSITIVES, NEGATIVES = 600, 20_000, 20
BLOCK_ENTITIES = 10_000
COPIED_ROWS, LABELS = 131_072, 65_536
# At most so many files are copied: the speed of a copy does not depend on their number.
COPIED_FILES = 20


def generate(folder: Path, *, n_entities: int, n_events: int, kind: str = "parquet") -> dict:
    """The source files."""
    folder.mkdir(parents=True, exist_ok=True)
    scale_data.write_entities(folder, n_entities=n_entities)
    scale_data.write_events(folder, n_entities=n_entities, n_events=n_events, kind=kind)
    return {"bytes": sum(one.stat().st_size for one in (folder / "events").iterdir())}


def copy(folder: Path) -> dict:
    """pyarrow's own reader to pyarrow's own writer, one thread, nothing in between."""
    out = folder / "copy"
    out.mkdir(exist_ok=True)
    n_bytes = 0
    paths = sorted((folder / "events").iterdir())
    copied = paths[:: -(-len(paths) // COPIED_FILES)]
    for path in copied:
        to = out / f"{path.stem}.parquet"
        if path.suffix == ".csv":
            options = pa_csv.ReadOptions(use_threads=False, block_size=4 * 2**20)
            batches: Any = pa_csv.open_csv(path, read_options=options)
            schema = batches.schema
        else:
            file = pq.ParquetFile(path)
            schema = file.schema_arrow
            batches = file.iter_batches(COPIED_ROWS, use_threads=False)
        with pq.ParquetWriter(to, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        n_bytes += to.stat().st_size
        to.unlink()
    return {"bytes": n_bytes, "share": len(copied) / len(paths)}


def ingest(folder: Path) -> dict:
    """The data set as the service stores it, the entity table included."""
    tables = {"customers": folder / "customers.parquet", "events": folder / "events"}
    done = store(Spec.from_json(scale_data.SPEC), tables, folder / "relations")
    pq.write_table(done.table, folder / "rows.parquet", compression="zstd")
    return {**done.report["storage"], "n_rows": done.report["tables"]["events"]["kept"]}


def screen(folder: Path) -> dict:
    """Screening and selection: at most 600 positives, the first negatives, every cheap group."""
    reader, bad = Stored(folder / "relations"), _bad(folder, most=SCREENED_POSITIVES)
    positions = _sample(bad, SCREENED_POSITIVES)
    began = time.process_time()
    relations = reader.relations(positions)
    read_seconds = time.process_time() - began
    featurizer = Featurizer.fit(relations, GROUPS, seed=0)
    features, y = featurizer.transform(relations), bad[positions]
    features_seconds = time.process_time() - began - read_seconds
    scores = {"all": _score(features, y)}
    for group in featurizer.groups:
        scores[group.kind] = _score(features[list(group.columns)], y)
    (folder / "featurizer.json").write_text(json.dumps(featurizer.to_json()), encoding="utf-8")
    missing = sorted(set(CHAMPION) - set(featurizer.columns))
    if missing:
        raise ValueError(f"not among the features: {missing}; there are {featurizer.columns}")
    return {
        "n_rows": len(positions),
        "n_positive": int(y.sum()),
        "n_events": relations.tables["events"].n_rows,
        "n_features": len(featurizer.columns),
        "average_precision": scores,
        "read_seconds": read_seconds,
        "features_seconds": features_seconds,
        "bytes_read": reader.storage()["bytes_read"],
    }


def final(folder: Path) -> dict:
    """Finalists: at most 20,000 positives and twenty negatives each, events read once and kept."""
    reader, bad = Stored(folder / "relations"), _bad(folder)
    featurizer = _champion(folder)
    positions = _sample(bad, FINAL_POSITIVES)
    kept = reader.keep(positions[bad[positions]], folder / "kept", columns=featurizer.reads())
    began = time.process_time()
    negatives = positions[~bad[positions]]
    parts = [_features(reader, featurizer, negatives)]
    parts.append(_features(kept, featurizer, positions[bad[positions]]))
    features = pd.concat(parts, ignore_index=True)
    y = np.repeat([False, True], [len(one) for one in parts])
    features_seconds = time.process_time() - began
    order = np.random.default_rng(0).permutation(len(y))
    score = _score(features.iloc[order], y[order])
    return {
        "n_rows": len(y),
        "n_positive": int(y.sum()),
        "average_precision": score,
        "features_seconds": features_seconds,
        "bytes_read": reader.storage()["bytes_read"],
        "bytes_kept": kept.layout.storage()["bytes_after"],
    }


def full(folder: Path) -> dict:
    """The champion's features for everybody, block by block, to a Parquet file."""
    reader, featurizer = Stored(folder / "relations"), _champion(folder)
    writer = None
    for positions, relations in reader.blocks(BLOCK_ENTITIES, columns=featurizer.reads()):
        features = featurizer.transform(relations)
        table = pa.table({"position": positions, **{n: features[n].to_numpy() for n in features}})
        if writer is None:
            writer = pq.ParquetWriter(folder / "features.parquet", table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()
    return {"bytes_read": reader.storage()["bytes_read"], "n_features": len(featurizer.columns)}


def compare(folder: Path, *, n_rows: int = 200_000) -> dict:
    """The largest share of rows in which a feature is not what SQL makes of it."""
    ours = pq.read_table(folder / "features.parquet").slice(0, n_rows)
    theirs = pq.ParquetFile(folder / "sql.parquet")
    found = pa.concat_tables(
        batch.filter(pc.less(batch["position"], n_rows))
        for batch in (pa.Table.from_batches([one]) for one in theirs.iter_batches())
    ).sort_by("position")
    worst = {}
    for name in CHAMPION:
        a = ours[name].to_numpy().astype(float)
        b = found[name].cast(pa.float64()).to_numpy()
        scale = np.nanmax(np.abs(b)) + 1e-9
        same = np.isclose(a, b, rtol=1e-4, atol=1e-6 * scale, equal_nan=True)
        worst[name] = float(1 - same.mean())
    return {"n_rows": len(found), "unlike": max(worst.values()), "worst": max(worst, key=worst.get)}


def _champion(folder: Path) -> Featurizer:
    text = (folder / "featurizer.json").read_text(encoding="utf-8")
    return Featurizer.from_json(json.loads(text)).only(CHAMPION)


def _bad(folder: Path, *, most: int | None = None) -> np.ndarray:
    """Who is positive, of all rows; or of so many first ones as `_sample` needs of them."""
    found = [np.zeros(0, dtype=bool)]
    n_bad = n_good = 0
    with pq.ParquetFile(folder / "rows.parquet") as file:
        for batch in file.iter_batches(LABELS, columns=["bad"], use_threads=False):
            found.append(batch["bad"].to_numpy() == 1)
            n_bad += int(found[-1].sum())
            n_good += int((~found[-1]).sum())
            if most is not None and n_bad >= most and n_good >= NEGATIVES * most:
                break
    return np.concatenate(found)


def _sample(bad: np.ndarray, most: int) -> np.ndarray:
    """The first positives and the first twenty times as many negatives, in order."""
    positives = np.flatnonzero(bad)[:most]
    negatives = np.flatnonzero(~bad)[: NEGATIVES * len(positives)]
    return np.sort(np.concatenate([positives, negatives]))


def _features(reader: Stored, featurizer: Featurizer, positions: np.ndarray) -> pd.DataFrame:
    blocks = [
        positions[at : at + BLOCK_ENTITIES] for at in range(0, len(positions), BLOCK_ENTITIES)
    ]
    columns = featurizer.reads()
    made = [featurizer.transform(reader.relations(one, columns=columns)) for one in blocks]
    return pd.concat(made, ignore_index=True)


def _score(features: pd.DataFrame, y: np.ndarray) -> float:
    """Average precision of a small LightGBM in three folds."""
    from lightgbm import LGBMClassifier
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedKFold

    X = features.to_numpy()
    scores = []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        model = LGBMClassifier(
            n_estimators=60, num_leaves=15, n_jobs=1, verbose=-1, deterministic=True, random_state=0
        ).fit(X[train], y[train])
        scores.append(average_precision_score(y[test], model.booster_.predict(X[test])))
    return round(float(np.mean(scores)), 4)


PARTS: dict[str, Callable[..., dict]] = {
    one.__name__: one for one in (generate, copy, ingest, screen, final, full, compare)
}


def main(arguments: Sequence[str]) -> None:
    import lightgbm  # noqa: F401  # what is imported is not what is measured
    import sklearn.model_selection  # noqa: F401

    pa.set_cpu_count(1)
    options = json.loads(arguments[2]) if len(arguments) > 2 else {}
    wall, began = time.monotonic(), time.process_time()
    row = PARTS[arguments[0]](Path(arguments[1]), **options)
    row["cpu_seconds"] = time.process_time() - began
    row["wall_seconds"] = time.monotonic() - wall
    status = Path("/proc/self/status").read_text(encoding="ascii")
    row["peak_mb"] = int(status.split("VmHWM:")[1].split()[0]) / 1e3
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1:])
