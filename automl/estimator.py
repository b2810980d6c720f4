"""The search as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from automl.cost import Budget, Cost
from automl.data.dataset import Dataset
from automl.data.given import given_gap, given_times, given_values, given_weights
from automl.data.given_tables import given_table, is_number, plain_numbers, refused_array
from automl.data.labels import check_present, checked_labels, one_kind
from automl.errors import DataError
from automl.meta.knowledge import Knowledge
from automl.meters.cpu_time import CpuTimeMeter
from automl.search.champion import Champion
from automl.search.objective import Objective
from automl.search.run import SearchResult, search
from automl.search.start import Start

Array = npt.NDArray[Any]


class FrugalClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A rare-event classifier that searches its own model within a budget.

    The rarer of the two classes is the event that is searched for (the second of `classes_` when
    they are as many). `predict` answers as scikit-learn users expect, the class of higher
    calibrated probability, so for a rare event it is mostly the common class; `alert` marks the
    rows worth looking at, by the threshold chosen for `alert_rate`.

    Parameters
    ----------
    mode : {"eco", "balanced", "best"}
        A few models; a search that stops when the next step is not worth its energy; or one that
        goes on.
    gco2e, joules, cpu_seconds, wall_seconds, trials : float, optional
        Hard limits on search and refit, checked before each trial. `gco2e` needs `grams_per_kwh`.
    grams_per_kwh : float, optional
        Carbon intensity of the electricity used.
    least_gain_per_gram : float, optional
        Percent of average precision that a further gram of CO2e has to be expected to gain; the
        mode's own rate, relative to brute force, by default. Needs `grams_per_kwh`.
    objective : str or Objective
        What models are compared by: "average_precision", "roc_auc" or "recall_at_alert_rate"; or
        an `automl.Objective`, which "precision_at_recall" and "expected_cost" need for their
        numbers, and whose own `alert_rate` then holds.
    alert_rate : float
        Share of the rows that may be alerted: sets the threshold of `alert`.
    monotonic_cst : mapping, optional
        By column of numbers, 1 where it may only raise the probability of the event, -1 where it
        may only lower it.
    warm_start_from : Champion, FrugalClassifier or path, optional
        A fitted model, or the folder of a saved champion, to start from: its configurations come
        first, and where rows are new to it and it holds on them, nothing else is tried
        (`automl.search.start`). Its event has to be the rarer class of `y`, too.
    knowledge : Knowledge, optional
        What earlier searches taught; what is shipped by default. Without a table's own group
        (``Knowledge.shipped().without(...)``) a benchmark is not warmed by it.
    random_state : int, RandomState or None
        The same number, the same model.

    Attributes
    ----------
    classes_ : array of shape (2,)
        Labels, sorted.
    champion_ : Champion
        What predicts; it saves and loads without this class.
    leaderboard_ : DataFrame
        One row per trial, best first, with the score by the objective, its 90 % interval, every
        other score by its name, and costs.
    stop_reason_ : str
        Why the search ended, in numbers.
    cost_ : Cost
        Of features, search and refit.
    result_ : SearchResult
        All of it.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(600, weights=[0.9], random_state=0)
    >>> model = FrugalClassifier(mode="eco", trials=2).fit(X, y)
    >>> model.predict_proba(X).shape
    (600, 2)
    """

    def __init__(
        self,
        *,
        mode: str = "balanced",
        gco2e: float | None = None,
        grams_per_kwh: float | None = None,
        least_gain_per_gram: float | None = None,
        joules: float | None = None,
        cpu_seconds: float | None = None,
        wall_seconds: float | None = None,
        trials: int | None = None,
        objective: str | Objective = "average_precision",
        alert_rate: float = 0.01,
        monotonic_cst: Mapping[str, int] | None = None,
        warm_start_from: Any = None,
        knowledge: Knowledge | None = None,
        random_state: Any = 0,
    ) -> None:
        self.mode = mode
        self.gco2e = gco2e
        self.grams_per_kwh = grams_per_kwh
        self.least_gain_per_gram = least_gain_per_gram
        self.joules = joules
        self.cpu_seconds = cpu_seconds
        self.wall_seconds = wall_seconds
        self.trials = trials
        self.objective = objective
        self.alert_rate = alert_rate
        self.monotonic_cst = monotonic_cst
        self.warm_start_from = warm_start_from
        self.knowledge = knowledge
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        time: Any = None,
        groups: Any = None,
        weights: Any = None,
        gap: float | timedelta = 0.0,
        unlabelled: Any = None,
    ) -> Self:
        """Search, refit, calibrate.

        Parameters
        ----------
        X : array or table of shape (n_rows, n_features)
            NumPy, pandas, polars or Arrow. Text and category columns, timestamps and missing
            cells are fine in a table; an array is numeric, with NaN for missing cells. Infinite
            cells are an error in a table of numbers, and missing beside other columns.
        y : array of shape (n_rows,)
            Two labels of any kind.
        time : array of shape (n_rows,), optional
            When each row was known: validation is then later than training. Dates, numbers, or
            texts that begin with the year.
        groups : array of shape (n_rows,), optional
            The entity of each row: no entity is then on both sides of a split.
        weights : array of shape (n_rows,), optional
            Importance of rows, above 0; only their ratios count. It is not called
            `sample_weight`, since scikit-learn asks of that name that a weight of 2 equals two
            copies of the row, which no method that splits rows into folds can promise.
        gap : float or timedelta
            How long after its time the label of a row is known, in units of `time`, days where
            these are dates: rows whose label was not known yet when validation begins do not train.
        unlabelled : array or table of shape (n_unlabelled, n_features), optional
            Rows of the same columns whose label is not known. They are an argument of their own
            since a missing label among those of `y` may as well be a mistake, and is an error. A
            model that learns from them too is tried where it is worth its energy; no score rests
            on them.

        Raises
        ------
        ValueError
            One class only, labels of more than two classes, or another shape than above.
        BudgetExhausted
            The limits ended before one candidate was scored.
        """
        table, y = self._table(X, y=y, reset=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError("y has 1 class; a classifier needs 2")
        if len(self.classes_) > 2:
            # The wording is what scikit-learn's own checks look for.
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"multiclass: y has {len(self.classes_)} classes."
            )
        counts = np.bincount(codes, minlength=2)
        self._event = 0 if counts[0] < counts[1] else 1
        dataset = Dataset(
            X=table,
            y=(codes == self._event).astype(np.int8),
            time=given_times(time),
            group=given_values(groups),
            weight=given_weights(weights),
            monotone=self._monotone(),
            gap=given_gap(gap),
            unlabelled=None
            if unlabelled is None
            else self._table(unlabelled, y=None, reset=False)[0],
        )
        self.result_: SearchResult = search(
            dataset,
            meter=CpuTimeMeter(),
            budget=self._budget(),
            seed=self._seed(),
            mode=self.mode,
            objective=self._objective(),
            knowledge=self._knowledge(),
            start=self._start(),
        )
        return self

    def decision_function(self, X: Any) -> Array:
        """Log-odds of `classes_[1]`, shape (n_rows,); above 0 is what `predict` says."""
        event = self.champion_.calibration.log_odds(self.champion_.decision(self._rows(X)))
        return event if self._event == 1 else -event

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities at the training prevalence, shape (n_rows, 2)."""
        event = self.champion_.predict_proba(self._rows(X))
        columns = [1 - event, event] if self._event == 1 else [event, 1 - event]
        return np.column_stack(columns)

    def predict(self, X: Any) -> Array:
        """The class with a probability above one half, shape (n_rows,)."""
        above = self.decision_function(X) > 0
        return np.asarray(self.classes_[above.astype(int)])

    def alert(self, X: Any) -> npt.NDArray[np.bool_]:
        """Rows whose probability of the rarer class reaches the alert threshold, (n_rows,)."""
        return self.champion_.alert(self._rows(X))

    @property
    def champion_(self) -> Champion:
        """The fitted model."""
        check_is_fitted(self, "result_")
        return self.result_.champion

    @property
    def stop_reason_(self) -> str:
        """Why the search ended, in numbers."""
        check_is_fitted(self, "result_")
        return self.result_.stop_reason

    @property
    def cost_(self) -> Cost:
        """CPU-seconds and joules of features, search and refit."""
        check_is_fitted(self, "result_")
        return self.result_.cost

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """One row per trial, best score first, failed ones last."""
        check_is_fitted(self, "result_")
        result = self.result_
        names = list(dict.fromkeys(name for trial in result.trials for name in trial.scores))
        rows = []
        for trial in result.trials:
            low, high = trial.interval or (np.nan, np.nan)
            rows.append(
                {
                    "trial": trial.number,
                    "model": trial.candidate.model,
                    "params": dict(trial.candidate.params),
                    "rung": trial.proposal.rung,
                    "n_rows": trial.proposal.n_rows,
                    "score": np.nan if trial.score is None else trial.score,
                    "low": low,
                    "high": high,
                    **{name: trial.scores.get(name, np.nan) for name in names},
                    "cpu_seconds": trial.cost.cpu_seconds,
                    "joules": trial.cost.joules,
                    "predict_joules": trial.predict_joules,
                    "front": trial.number in result.front,
                    "picks": [name for name, n in result.picks.items() if n == trial.number],
                    "error": trial.error,
                }
            )
        board = pd.DataFrame(rows)
        return board.sort_values("score", ascending=False, kind="stable", ignore_index=True)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "result_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def _start(self) -> Start | None:
        given = self.warm_start_from
        if given is None:
            return None
        if isinstance(given, FrugalClassifier):
            given = given.champion_
        if isinstance(given, Champion):
            return Start(champion=given)
        if not isinstance(given, str | Path):
            raise ValueError(
                f"warm_start_from is a {type(given).__name__}; it is a fitted model, or the "
                "folder of a saved champion"
            )
        return Start(champion=Champion.load(given), parent={"folder": Path(given).name})

    def _knowledge(self) -> Knowledge | None:
        given: Any = self.knowledge
        if given is not None and not isinstance(given, Knowledge):
            raise ValueError(
                f"knowledge is a {type(given).__name__}; it is an automl.meta.knowledge.Knowledge"
            )
        return given

    def _objective(self) -> Objective:
        if isinstance(self.objective, Objective):
            return self.objective
        return Objective(metric=self.objective, alert_rate=self.alert_rate)

    def _budget(self) -> Budget:
        limits: Mapping[str, float | None] = {
            "gco2e": self.gco2e,
            "joules": self.joules,
            "cpu_seconds": self.cpu_seconds,
            "wall_seconds": self.wall_seconds,
            "trials": self.trials,
        }
        given = {name: inf if limit is None else limit for name, limit in limits.items()}
        return Budget(
            **given,
            grams_per_kwh=self.grams_per_kwh,
            least_gain_per_gram=self.least_gain_per_gram,
        )

    def _monotone(self) -> dict[str, int]:
        given = {} if self.monotonic_cst is None else self.monotonic_cst
        if not isinstance(given, Mapping):
            raise ValueError(
                f"monotonic_cst is a {type(given).__name__}; it is a mapping by column"
            )
        return dict(given)

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            if not 0 <= self.random_state < 2**32:
                raise ValueError("random_state is not between 0 and 2^32 - 1")
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _rows(self, X: Any) -> pd.DataFrame:
        check_is_fitted(self, "result_")
        return self._table(X, y=None, reset=False)[0]

    def _table(self, X: Any, *, y: Any, reset: bool) -> tuple[pd.DataFrame, Any]:
        """Any table as pandas with text names, checked as scikit-learn checks arrays."""
        frame = given_table(X)
        if y is not None:
            y = one_kind(y)
            check_present(y)
        if frame is not None and reset and not frame.shape[1]:
            raise DataError("the table has no column", code="no_features")
        if frame is not None and not all(is_number(dtype) for dtype in frame.dtypes):
            validate_data(self, frame, reset=reset, skip_check_array=True)
            if y is not None:
                y = checked_labels(y, n_rows=len(frame))
            return frame, y
        options: dict[str, Any] = {"ensure_all_finite": "allow-nan", "reset": reset}
        options["dtype"] = "numeric"
        source = X if frame is None else frame
        try:
            if y is None:
                values = validate_data(self, source, **options)
            else:
                values, y = validate_data(self, source, y, **options)
        except ValueError as error:
            # Not chained: what scikit-learn says may repeat cells.
            raise refused_array(error, source) from None
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])
        return pd.DataFrame(plain_numbers(values), columns=list(names)), y
