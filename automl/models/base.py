"""What every model of the catalog can do, and what the scikit-learn ones share."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from automl.errors import DataError
from automl.models.rows import RowsOf

X = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
Valid = tuple[X, Labels, Floats | None]


class FittableModel(Protocol):
    """A model over encoded columns; `automl.models.catalog.build` makes it from a candidate.

    `decision` is a logit, float64 of shape (n_rows,), at the prevalence of the rows it was fitted
    on (by weight, where there are weights). Same rows and seed, same logits, bit by bit; the same
    after saving and loading. One thread throughout. NaN is a missing cell; infinite cells do not
    come out of the encoder.
    """

    details: dict[str, Any]  # JSON values: e.g. best_iteration, n_trees, n_iterations

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Fit on rows of shape (n_rows, n_columns); `valid` is for stopping early only.

        Raises
        ------
        DataError
            Not both classes among the rows (``fold_without_class``).
        """
        ...

    def decision(self, X: X) -> Floats:
        """Logits, shape (n_rows,)."""
        ...

    def save(self, folder: Path, stem: str) -> list[str]:
        """Write files named after `stem`; returns their names. Nothing is pickled."""
        ...

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """Read what `save` wrote. Verify checksums first: files are data, not to be trusted."""
        ...


def log_odds(rate: float) -> float:
    """Logit of a rate strictly between 0 and 1."""
    return float(np.log(rate) - np.log1p(-rate))


def positive_rate(y: Labels, weight: Floats | None) -> float:
    """Share of positives, by weight.

    Raises
    ------
    DataError
        One class only.
    """
    n_positive = int((np.asarray(y) == 1).sum())
    if not 0 < n_positive < len(y):
        raise DataError(
            f"{len(y):,} rows with {n_positive:,} positives have one class; two are needed",
            code="fold_without_class",
            details={"n_rows": len(y), "n_positive": n_positive},
        )
    return float(np.average(y, weights=weight))


def check_columns(X: X, n_columns: int) -> None:
    """Raise ValueError unless X has this many columns."""
    if X.ndim != 2 or X.shape[1] != n_columns:
        raise ValueError(f"X has shape {X.shape}; {n_columns} columns are needed")


@cache
def _thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP on one thread: sums in one order, and no spinning."""
    with _thread_pools().limit(limits=1):
        yield


class SklearnModel:
    """A scikit-learn pipeline behind the contract, saved with skops.

    Subclasses make `pipeline` and say which types beyond skops's own list a file may hold.
    """

    trusted: ClassVar[tuple[str, ...]] = ("numpy.dtype",)

    def __init__(self, *, pipeline: Any, details: Mapping[str, Any] | None = None) -> None:
        self.pipeline = pipeline
        self.details: dict[str, Any] = dict(details or {})

    def fit(
        self,
        X: X,
        y: Labels,
        *,
        sample_weight: Floats | None = None,
        valid: Valid | None = None,
    ) -> Self:
        """Fit on all of X; `valid` is not used."""
        rate = positive_rate(y, sample_weight)
        self.details |= {"positive_rate": rate, "n_columns": X.shape[1]}
        step = f"{self.pipeline.steps[-1][0]}__sample_weight"
        with one_thread(), warnings.catch_warnings():
            # A column that is empty or constant in this sample, or a fit that ended at its
            # iteration limit, is no news to the user: the score tells.
            warnings.simplefilter("ignore")
            weights = {} if sample_weight is None else {step: sample_weight}
            if isinstance(X, RowsOf):
                own = {} if sample_weight is None else {"sample_weight": sample_weight}
                self.pipeline[-1].fit(self._learnt(X), y, **own)
            else:
                self.pipeline.fit(X, y, **weights)
        return self

    def _learnt(self, X: RowsOf) -> npt.NDArray[Any]:
        """Fit all but the last step on rows spread over X, and transform X block by block."""
        columns = self.pipeline[:-1]
        columns.fit(X.spread())
        out: npt.NDArray[Any] | None = None
        for where, block in X.blocks():
            made = columns.transform(block)
            if out is None:
                out = np.empty((len(X), made.shape[1]), dtype=made.dtype)
            out[where] = made
        assert out is not None
        return out

    def decision(self, X: X) -> Floats:
        """Logits, shape (n_rows,)."""
        check_columns(X, self.details["n_columns"])
        if not len(X):
            return np.empty(0)
        with one_thread():
            return np.asarray(self._decision(X), dtype=np.float64)

    def _decision(self, X: X) -> Floats:
        logits: Floats = self.pipeline.decision_function(X)
        return logits

    def save(self, folder: Path, stem: str) -> list[str]:
        """Write ``stem.skops`` and ``stem.json``."""
        import skops.io

        skops.io.dump(
            self.pipeline,
            folder / f"{stem}.skops",
            compression=zipfile.ZIP_DEFLATED,
            compresslevel=1,
        )
        return [f"{stem}.skops", save_details(self, folder, stem)]

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """Read what `save` wrote; types outside the trusted list are refused."""
        import skops.io

        model = cls.__new__(cls)
        SklearnModel.__init__(
            model,
            pipeline=skops.io.load(folder / f"{stem}.skops", trusted=list(cls.trusted)),
            details=load_details(folder, stem)["details"],
        )
        return model


def save_details(model: FittableModel, folder: Path, stem: str) -> str:
    """Write ``stem.json``, the model's class and details; returns the file's name."""
    value = {"class": type(model).__name__, "details": model.details}
    (folder / f"{stem}.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    return f"{stem}.json"


def load_details(folder: Path, stem: str) -> dict[str, Any]:
    """The content of ``stem.json``."""
    value: dict[str, Any] = json.loads((folder / f"{stem}.json").read_text())
    return value
