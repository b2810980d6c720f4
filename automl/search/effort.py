"""How far each mode goes, in numbers from the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

# docs/method.md, Stop rule: a brute-force search is 60 trials of 5 folds, and a trial's fit takes
# about twice the default one. A frugal search may take this share of it, or what a handful of
# smallest fits takes.
BRUTE_FITS = 300
BRUTE_UNIT = 2.0
FRUGAL_SHARE = 0.05
FLOOR_SECONDS = 1.2


@dataclass(frozen=True, kw_only=True)
class Effort:
    """One mode's limits. Gains are in percent of average precision, costs in percent of brute."""

    first_gain: float  # of one more family raced
    expansion_gain: float  # of one more configuration of a family that is alive
    early_refinement_gain: float  # of each of the first eight refinements
    late_refinement_gain: float
    least_rate: float  # gain per cost below which nothing more is tried
    refinements: int  # at most
    plateau: int  # refinements without a gain after which they end
    families_refined: int  # the best so many of those alive, in turns
    members: int
    members_per_family: int
    tolerance: float  # of a family's score below the best that still counts as alive
    frugal: bool  # whether the share of brute force is a limit
    wide_share: float  # of brute force on all rows that more rows may take where they gain
    whole: bool  # whether the final rung takes all rows, however many
    # Whether more folds judge, and refinements may only join the mixture of the others.
    thorough: bool

    def refinement_gain(self, position: int) -> float:
        return self.early_refinement_gain if position < 8 else self.late_refinement_gain

    def limit_seconds(self, fit_seconds: float) -> float:
        """Expected CPU-seconds that the search may add up to."""
        if not self.frugal:
            return inf
        return max(FLOOR_SECONDS, FRUGAL_SHARE * self.brute_seconds(fit_seconds))

    def wide_seconds(self, all_seconds: float) -> float:
        """Expected CPU-seconds that the search may add up to where more rows gain."""
        return self.wide_share * self.brute_seconds(all_seconds)

    def brute_seconds(self, fit_seconds: float) -> float:
        """Expected CPU-seconds of the brute-force search that this one is compared with."""
        return BRUTE_FITS * BRUTE_UNIT * fit_seconds


# docs/method.md, Families: kernels beside three first models brought 0.5 %, the least of the four.
# docs/method.md, Stop rule and Ensemble: three expansions gained 0.8 % together; local moves around
# the best gained nothing that could be measured on small sets, and trials 9 to 60 of a
# tree-structured search a 26th of what the first eight did. So refinement pays where a screening
# trial is cheap beside brute force, which is on large tables.
_BALANCED = Effort(
    first_gain=0.5,
    expansion_gain=0.25,
    early_refinement_gain=0.02,
    late_refinement_gain=0.02 / 26,
    least_rate=0.1,
    refinements=8,
    plateau=3,
    families_refined=1,
    members=3,
    members_per_family=2,
    tolerance=0.10,
    frugal=True,
    wide_share=0.003,
    whole=False,
    thorough=False,
)
_ECO = replace(
    _BALANCED,
    expansion_gain=0.0,
    early_refinement_gain=0.0,
    late_refinement_gain=0.0,
    refinements=0,
    plateau=1,
    wide_share=0.001,
)
# docs/method.md, Best: folds and trees are what gains; what is refined is let in by a gain that is
# told from chance, and the last six without one end it (Stop rule).
_BEST = replace(
    _BALANCED,
    least_rate=0.0,
    refinements=40,
    plateau=6,
    families_refined=3,
    frugal=False,
    whole=True,
    thorough=True,
)

EFFORTS: Mapping[str, Effort] = {"eco": _ECO, "balanced": _BALANCED, "best": _BEST}
