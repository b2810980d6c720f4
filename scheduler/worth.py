"""Is it worth training again today? A decision from numbers, with its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The newer half of them judges a challenger, which learns from the older: `scheduler.challenge`.
LEAST_NEW_POSITIVES = 10
N_REPLICATES = 400
# Of a 90 % interval one side is 95 % sure.
LEVEL = 0.9


@dataclass(frozen=True, kw_only=True)
class Gate:
    """From when on a training is worth its energy.

    Any one of these is enough: so many new labels, a column or the scores moved by so much and by
    more than chance, the champion decayed, or so many days since the last training.
    """

    min_new_labels: int = 50
    psi: float = 0.2
    score_psi: float = 0.2
    min_days: int = 0
    max_days: int | None = 30


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether to train, and why, in a sentence with the numbers."""

    worth: bool
    because: str


def too_soon(gate: Gate, days: float | None) -> Verdict | None:
    """The verdict of a training that was lately; None where more has to be looked at.

    >>> too_soon(Gate(min_days=7), 2.5).because
    'not worth it today, because the last training was 2.5 days ago (< 7)'
    """
    if days is None or days >= gate.min_days:
        return None
    return Verdict(
        worth=False,
        because=f"not worth it today, because the last training was {days:.1f} days ago "
        f"(< {gate.min_days})",
    )


def verdict(numbers: Mapping[str, Any], gate: Gate, *, days: float | None) -> Verdict:
    """Decide by what `scheduler.assessment.assess` found.

    Parameters
    ----------
    days : since the champion was trained; None where it is not known
    """
    n_labels, n_positive = numbers["n_new_labels"], numbers["n_new_positive"]
    # Each finding is said with its limit, whether it speaks for a training or not.
    found: list[tuple[bool, str]] = []
    enough = n_labels >= gate.min_new_labels
    sign = ">=" if enough else "<"
    found.append((enough, f"{n_labels:,} new labels ({sign} {gate.min_new_labels:,})"))
    drift = numbers.get("drift")
    if drift is not None:
        found += _drifted(drift, gate)
    decay = numbers.get("decay")
    if decay is not None:
        found.append(_decayed(decay))
    if gate.max_days is not None and days is not None:
        old = days >= gate.max_days
        if old:
            found.append((True, f"{days:.0f} days since the last training (>= {gate.max_days})"))
    speaking = [said for speaks, said in found if speaks]
    if not speaking:
        said = ", ".join(said for _, said in found)
        return Verdict(worth=False, because=f"not worth it today, because {said}")
    if n_positive < LEAST_NEW_POSITIVES:
        return Verdict(
            worth=False,
            because=f"not worth it today, because only {n_positive} new positives are labelled "
            f"(< {LEAST_NEW_POSITIVES}): a challenger could neither learn from them nor be judged "
            f"by them; but {', '.join(speaking)}",
        )
    return Verdict(worth=True, because=f"worth it, because {', '.join(speaking)}")


def _drifted(drift: Mapping[str, Any], gate: Gate) -> list[tuple[bool, str]]:
    said = []
    columns = drift["columns"]
    if columns:
        moved = [one for one in columns if one["psi"] > gate.psi and one["psi"] > one["chance"]]
        if moved:
            names = ", ".join(f"'{one['column']}'" for one in moved[:3])
            said.append((True, f"PSI {moved[0]['psi']:.2g} (> {gate.psi:g}) of {names}"))
        else:
            said.append((False, _calm("PSI", columns[0], gate.psi)))
    scores = drift.get("scores")
    if scores is not None:
        far = scores["psi"] > gate.score_psi and scores["psi"] > scores["chance"]
        if far:
            said.append((True, f"PSI of scores {scores['psi']:.2g} (> {gate.score_psi:g})"))
        else:
            said.append((False, _calm("PSI of scores", scores, gate.score_psi)))
    return said


def _calm(name: str, one: Mapping[str, Any], limit: float) -> str:
    if one["psi"] <= limit:
        return f"{name} <= {one['psi']:.2g}"
    return f"{name} {one['psi']:.2g}, which chance alone reaches"


def _decayed(decay: Mapping[str, Any]) -> tuple[bool, str]:
    low_high = decay["interval"]
    between = "" if low_high is None else f" [{low_high[0]:.2f}, {low_high[1]:.2f}]"
    name = str(decay["metric"]).replace("_", " ")
    said = f"{name} {decay['score']:.2f}{between} against {decay['at_training']:.2f} at training"
    difference = decay["difference"]
    return difference is not None and difference[1] < 0, said
