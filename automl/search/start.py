"""A search that starts from a champion: what of its evidence still counts on these data.

Three things can be had from an older champion, each as far as it is honest.

Its configurations need no proof: they are tried first.

Its scores are honest on rows that it never saw, and only there. Where the data have grown, the
rows that are new judge it as a fold would: its models are those of a fold that was fitted on the
old rows, at no cost. If it holds there, nothing is raced; its members are fitted once more, on
all rows, and the older models stay beside the new one, as the models of other folds do
(`automl.search.renew`). The scores are then those of the older models, on fewer rows: if
anything, they are low.

Its trees, its score as a feature or as a teacher: every out-of-fold row of today that it was
fitted to would flatter whatever is built on them, so none of it is used where the rows of a data
set are not known to be new (`automl.search.seen`), or where too few new positives could judge it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.dataset import Dataset
from automl.data.encoding import TableEncoder
from automl.errors import DataError
from automl.models.catalog import CATALOG
from automl.search.champion import Champion
from automl.search.seen import hashes
from automl.search.validation import FEW_POSITIVES, Validation, judged_by
from automl.trial import Candidate

Mask = npt.NDArray[np.bool_]

# New rows with a level that the old encoder does not know, at most: they lose it.
MOST_UNKNOWN = 0.01
# Choices made on fewer than a third of the rows are raced again (docs/method.md, First models:
# what is best changes with the number of positives).
MOST_GROWTH = 3.0
# ... and the trees that the older champion saw must mostly still be in the data.
LEAST_KEPT = 0.5
# New rows that judge, at most: the 1 % to be alerted are then 150, known within a tenth.
MOST_JUDGING = 15_000
MICROS_PER_DAY = 86_400_000_000
# Digests of older and older data whose models are still in use.
MOST_DIGESTS = 8


@dataclass(frozen=True, kw_only=True)
class Start:
    """The champion to start from.

    `parent` is what the new champion's provenance says of it, as JSON values. `same_target` is
    False where the champion was trained on another target: then only its configurations count.
    `same_columns` is False where the features of several tables were chosen anew: the same.
    `known`, shape (n_rows,), are rows of today whose labels it knew, also where a column has
    changed since, as one does that is computed of events that came late.
    """

    champion: Champion
    parent: Mapping[str, Any] = field(default_factory=dict)
    same_target: bool = True
    same_columns: bool = True
    known: Mask | None = None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Configurations of the members, the heaviest first; a student has none of its own."""
        own = [m for m in self.champion.members if m.candidate.model in CATALOG]
        ordered = sorted(own, key=lambda m: (-m.weight, m.trial))
        return tuple({m.candidate.id: m.candidate for m in ordered}.values())


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What a champion is worth on a data set.

    `start` is that champion. kind is ``recalled`` (judged on new rows, with its own encoder and
    models), ``repeated`` (too few new positives to judge it: its configurations are fitted again,
    and nothing else), or ``first`` (its configurations come first in a race as usual). `why` says
    so in a sentence.
    """

    start: Start
    kind: str
    why: str
    n_seen: int | None = None  # rows of the data; None where that cannot be known
    n_new: int | None = None
    n_new_positive: int | None = None
    encoder: TableEncoder | None = None  # of the champion, where it goes on being used
    validation: Validation | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kind": self.kind,
            "why": self.why,
            "n_rows_seen_before": self.n_seen,
            "n_rows_new": self.n_new,
            "n_positives_new": self.n_new_positive,
        }


def relate(start: Start, dataset: Dataset, *, seed: int) -> Relation:
    """Find out which rows are new, and what that allows.

    Raises
    ------
    DataError
        ``missing_columns``: the champion reads columns that the data do not have.
    """
    champion = start.champion
    if not start.same_columns:
        return Relation(start=start, kind="first", why="the features were chosen anew")
    _check_columns(champion, dataset)
    if not start.same_target:
        return Relation(start=start, kind="first", why="it was trained on another target")
    if not start.candidates:
        return Relation(start=start, kind="first", why="it is a student of models that it forgot")
    if not champion.seen:
        return Relation(start=start, kind="first", why="it keeps no digest of the rows that it saw")
    other = _other_columns(champion, dataset)
    if other is not None:
        return Relation(start=start, kind="first", why=other)
    hashed = hashes(champion.encoder.transform(dataset.X))
    seen = np.zeros(dataset.n_rows, dtype=bool)
    for digest in champion.seen:
        seen |= digest.holds(hashed)
    if start.known is not None:
        seen |= start.known
    new = _enough(_judging(~seen, dataset), dataset, seed=seed)
    counts: dict[str, Any] = {
        "n_seen": int(seen.sum()),
        "n_new": int((~seen).sum()),
        "n_new_positive": int(dataset.y[~seen].sum()),
    }
    trained = int(champion.provenance.get("n_rows", 0))
    if counts["n_seen"] < max(LEAST_KEPT * trained, 2):
        return Relation(
            start=start, kind="first", why="these are other rows than it was trained on", **counts
        )
    if counts["n_new"] < 0.001 * dataset.n_rows:
        return Relation(
            start=start, kind="first", why="no row is new: the race goes on from it", **counts
        )
    if dataset.n_rows > MOST_GROWTH * counts["n_seen"]:
        why = f"the data have grown more than {MOST_GROWTH:g} times: all is raced again"
        return Relation(start=start, kind="first", why=why, **counts)
    refused = _not_judged(champion, dataset, seen=seen, new=new)
    if refused is not None:
        return Relation(start=start, kind="repeated", why=refused, **counts)
    return Relation(
        start=start,
        kind="recalled",
        why=f"{int(new.sum()):,} rows that it never saw, {int(dataset.y[new].sum()):,} of them "
        "positive, judge it",
        encoder=champion.encoder,
        validation=judged_by(
            dataset, train=np.flatnonzero(seen), valid=np.flatnonzero(new), seed=seed
        ),
        **counts,
    )


def _check_columns(champion: Champion, dataset: Dataset) -> None:
    present = {str(name) for name in dataset.X.columns}
    absent = [name for name in champion.columns if name not in present]
    if absent:
        raise DataError(
            f"the model to start from has {len(absent)} of its {len(champion.columns)} columns not "
            f"in the data, first {absent[0]!r}",
            code="missing_columns",
            column=absent[0],
            details={"columns": absent},
        )


def _other_columns(champion: Champion, dataset: Dataset) -> str | None:
    """Why the champion's encoder cannot be gone on with; None where it can."""
    if dataset.monotone:
        return "columns are to be monotone, which its trees need not be"
    own = TableEncoder().fit(dataset.X)
    if _shape(own) != _shape(champion.encoder):
        return "the data have other columns, or columns of another kind"
    unknown = champion.encoder.report(dataset.X)["unseen_categories"]
    most = max(unknown.values(), default=0)
    if most > MOST_UNKNOWN * dataset.n_rows:
        return f"{most:,} rows have a category that it does not know"
    return None


def _shape(encoder: TableEncoder) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((c["name"], c["kind"], tuple(c.get("parts", ()))) for c in encoder.columns)


def _judging(new: Mask, dataset: Dataset) -> Mask:
    """New rows that may judge: of new entities, and later than what was seen."""
    judging = new.copy()
    if dataset.group is not None:
        judging &= ~np.isin(dataset.group, np.unique(dataset.group[~new]))
    if dataset.time is not None and not new.all():
        judging &= dataset.time > _end(dataset, dataset.time[~new].max())
    return judging


def _enough(judging: Mask, dataset: Dataset, *, seed: int) -> Mask:
    """At most `MOST_JUDGING` of these rows, the same share of each class."""
    share = MOST_JUDGING / max(int(judging.sum()), 1)
    if share >= 1:
        return judging
    rng = np.random.default_rng(seed)
    kept = np.zeros_like(judging)
    for label in (0, 1):
        own = np.flatnonzero(judging & (dataset.y == label))
        kept[rng.choice(own, round(share * len(own)), replace=False)] = True
    return kept


def _end(dataset: Dataset, last: Any) -> Any:
    """When the labels of the last row that was seen were known; a gap between dates is in days."""
    kind = np.asarray(dataset.time).dtype.kind
    if kind == "M":
        return last + np.timedelta64(round(dataset.gap * MICROS_PER_DAY), "us")
    return last + dataset.gap if kind in "iuf" else last


def _not_judged(champion: Champion, dataset: Dataset, *, seen: Mask, new: Mask) -> str | None:
    """Why the new rows cannot judge the champion; None where they can."""
    if len(champion.seen) > MOST_DIGESTS:
        return f"it goes back over {len(champion.seen)} data sets"
    y = dataset.y
    n_positive, n_negative = int(y[new].sum()), int((y[new] == 0).sum())
    if n_positive < FEW_POSITIVES or n_negative < FEW_POSITIVES:
        return (
            f"{n_positive:,} positives and {n_negative:,} negatives are new and may judge it; "
            f"{FEW_POSITIVES} of each are needed"
        )
    if not 0 < y[seen].sum() < seen.sum():
        return "the rows that it saw have one class"
    return None
