"""Refinements of a candidate, proposed by Optuna from the trials so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import TYPE_CHECKING, Any, cast

from automl.models.catalog import CATALOG
from automl.trial import Candidate, Trial

if TYPE_CHECKING:
    import optuna

# Optuna's default of 10 random trials is more than most searches here have in all.
N_STARTUP_TRIALS = 3
MOST_ASKED = 10  # before giving up on a candidate that was not tried yet


def propose(around: Candidate, trials: Sequence[Trial], *, seed: int) -> Candidate | None:
    """The next candidate near `around`, by a tree-structured Parzen estimator.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011. The study lives
    for this call only: it is rebuilt from the trials, our own table being the truth, and the
    sampler is seeded by their number, so a resumed search is proposed the same.

    Parameters
    ----------
    around : the candidate whose neighbourhood is searched
    trials : ended trials of any model; those of the same model and rung rows inform the sampler

    Returns
    -------
    None when all that was asked for had been tried before.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = CATALOG[around.model]
    sampler = optuna.samplers.TPESampler(
        seed=(seed * 1_000_003 + len(trials)) % 2**32, n_startup_trials=N_STARTUP_TRIALS
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    tried = {trial.candidate.id for trial in trials}
    for trial in trials:
        if trial.candidate.model == around.model:
            study.add_trial(_frozen(around, trial))
    for _ in range(MOST_ASKED):
        candidate = spec.refine(around, study.ask())
        if candidate.id not in tried:
            return candidate
    return None


def _frozen(around: Candidate, trial: Trial) -> optuna.trial.FrozenTrial:
    import optuna

    recorder = _Recorder(params=dict(trial.candidate.params))
    CATALOG[around.model].refine(around, cast("optuna.trial.Trial", recorder))
    state = optuna.trial.TrialState
    return optuna.trial.create_trial(
        state=state.FAIL if trial.score is None else state.COMPLETE,
        value=trial.score,
        params=recorder.suggested,
        distributions=recorder.distributions,
    )


@dataclass
class _Recorder:
    """Answers a search space with a finished candidate's own params, and notes the space.

    A param that the candidate does not have, or outside the space, is put at the middle or the
    nearest end: near enough to tell the sampler where good ones lie.
    """

    params: dict[str, Any]
    suggested: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, Any] = field(default_factory=dict)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        import optuna

        self.distributions[name] = optuna.distributions.FloatDistribution(low, high, log=log)
        value = float(self.params.get(name, _middle(low, high, logarithmic=log)))
        self.suggested[name] = min(max(value, low), high)
        return float(self.suggested[name])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        import optuna

        self.distributions[name] = optuna.distributions.IntDistribution(low, high, log=log)
        value = round(self.params.get(name, _middle(low, high, logarithmic=log)))
        self.suggested[name] = min(max(value, low), high)
        return int(self.suggested[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        import optuna

        self.distributions[name] = optuna.distributions.CategoricalDistribution(choices)
        value = self.params.get(name)
        self.suggested[name] = value if value in choices else choices[0]
        return self.suggested[name]


def _middle(low: float, high: float, *, logarithmic: bool) -> float:
    return exp((log(low) + log(high)) / 2) if logarithmic else (low + high) / 2
