"""Where to start: named configurations, and which come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from automl.trial import Candidate

# docs/method.md, First models. A changed parameter is a new id.
_SMALL_TREES = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}
_LEAVES = {"min_samples_leaf": 2, "max_features": "sqrt"}

NAMED: Mapping[str, Candidate] = MappingProxyType(
    {
        "L15": Candidate(model="lightgbm", params=_SMALL_TREES),
        "Lps": Candidate(
            model="lightgbm",
            params={
                "learning_rate": 0.05,
                "num_leaves": 31,
                "feature_fraction": 0.7,
                "path_smooth": 10.0,
            },
        ),
        "Lnb10": Candidate(
            model="lightgbm",
            params={
                "learning_rate": 0.05,
                "num_leaves": 31,
                "feature_fraction": 0.7,
                "lambda_l2": 1.0,
                "negatives_per_positive": 10,
            },
        ),
        "LRq": Candidate(model="logistic", params={"C": 0.1, "n_quantiles": 100}),
        "ETs": Candidate(model="extra_trees", params=_LEAVES),
        "RF": Candidate(model="random_forest", params=_LEAVES),
        # For tables of few rows, where they earned a place (docs/method.md, Few rows).
        "ETd": Candidate(model="extra_trees", params={"min_samples_leaf": 1, "max_features": 0.5}),
        "KLR": Candidate(model="kernel_logistic", params={"C": 1.0, "n_landmarks": 300}),
        # For several times the final rows, where those are not all (docs/method.md, Sample).
        "L255": Candidate(
            model="lightgbm",
            params={
                **_SMALL_TREES,
                "learning_rate": 0.1,
                "num_leaves": 255,
                "feature_fraction": 0.5,
            },
        ),
        # For tables whose rare rows are told by values that repeat (automl/search/probes.py).
        "R15": Candidate(model="rated_lightgbm", params=_SMALL_TREES),
        # For tables with rows without a label (automl/search/unlabelled.py).
        "S15": Candidate(model="self_trained_lightgbm", params=_SMALL_TREES),
        # Candidates like any other, but in no mode's order: the evidence is against them.
        "balanced forest": Candidate(model="balanced_forest", params=_LEAVES),
        "SMOTE + L15": Candidate(
            model="smote_lightgbm", params={**_SMALL_TREES, "positives_per_negative": 0.25}
        ),
        # The floor to beat.
        "LightGBM default": Candidate(
            model="lightgbm", params={"learning_rate": 0.1, "num_leaves": 31, "rounds": 100}
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """First models, then by family what to try where the family is alive; in order."""

    first: tuple[Candidate, ...]
    expand: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)

    def after(self, candidates: Sequence[Candidate]) -> Portfolio:
        """The portfolio with these candidates before its own, each once."""
        known = {candidate.id for candidate in candidates}
        return Portfolio(
            first=(*candidates, *(c for c in self.first if c.id not in known)),
            expand={
                name: tuple(c for c in own if c.id not in known)
                for name, own in self.expand.items()
            },
        )

    def only(self, fit_for: Callable[[Candidate], bool]) -> Portfolio:
        """The same without the candidates that are not fit for a problem."""
        return Portfolio(
            first=tuple(c for c in self.first if fit_for(c)),
            expand={k: tuple(c for c in own if fit_for(c)) for k, own in self.expand.items()},
        )


_FIRST = tuple(NAMED[name] for name in ("L15", "LRq", "ETs"))
_EXPAND = MappingProxyType({"boosting": (NAMED["Lnb10"], NAMED["Lps"]), "forest": (NAMED["RF"],)})

# Leave-one-set-out greedy picks were L15 and LRq in 10 of 10 sets, a forest third; ordering by
# meta-features gained nothing beyond noise (docs/method.md, First models).
MODES: Mapping[str, Portfolio] = MappingProxyType(
    {
        "eco": Portfolio(first=_FIRST),
        "balanced": Portfolio(first=_FIRST, expand=_EXPAND),
        "best": Portfolio(first=_FIRST, expand=_EXPAND),
    }
)


# Up to so many rows deep extra trees take the place of the smoothed ones, and kernels race as a
# family of their own: docs/method.md, Few rows. Neither another forest nor further boosting gained
# anything there that a test part could tell, except in the time they took. On noisy tables of more
# rows deep trees fit the noise: out of fold, their mean with `L15` was 0.02 to 0.09 below that of
# the others on five of them.
FEW_ROWS = 10_000
_DEEP = tuple(NAMED[name] for name in ("L15", "LRq", "ETd"))
_DEEP_AND_KERNEL = (*_DEEP, NAMED["KLR"])
# Nothing by itself; rows without a label are what boosting may still be widened by.
_NO_MORE = MappingProxyType[str, tuple[Candidate, ...]]({"boosting": (), "forest": ()})
FEW: Mapping[str, Portfolio] = MappingProxyType(
    {
        "eco": Portfolio(first=_DEEP),
        "balanced": Portfolio(first=_DEEP_AND_KERNEL, expand=_NO_MORE),
        "best": Portfolio(first=_DEEP_AND_KERNEL, expand=_NO_MORE),
    }
)


def portfolio(mode: str, *, n_rows: int | None = None) -> Portfolio:
    """The portfolio of a mode, for a table of so many rows where that is known.

    Raises
    ------
    ValueError
        The mode is unknown.

    >>> [label(candidate) for candidate in portfolio("eco").first]
    ['L15', 'LRq', 'ETs']
    >>> [label(candidate) for candidate in portfolio("eco", n_rows=1000).first]
    ['L15', 'LRq', 'ETd']
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is not one of {', '.join(MODES)}")
    return (MODES if n_rows is None or n_rows > FEW_ROWS else FEW)[mode]


def label(candidate: Candidate) -> str:
    """A short name for people: that of the configuration, else model and id."""
    for name, named in NAMED.items():
        if named.id == candidate.id:
            return name
    return f"{candidate.model} {candidate.id[:6]}"
