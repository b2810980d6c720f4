"""The benchmark's tables and what its figures say about the floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf

import numpy as np

from benchmarks.ratios import (
    EASY_PANELS,
    Pair,
    Ratio,
    cpu_ratio,
    good,
    pairs,
    saturated,
    score_ratio,
)
from benchmarks.results import Key, Row
from benchmarks.sets import SETS, TEST_SHARE
from benchmarks.systems import SIX_SETS, SYSTEMS, answers

# Ratios of fewer sets are printed and not judged.
LEAST_SETS = 10
LARGE = 100_000
LEAST_BILLED = 0.95
MOST_ECE, ECE_POSITIVES = 0.03, 500
ALERT_RATE, ALERT_TOLERANCE = 0.01, 0.2
# Standard errors that chance explains; from so many positives on, one fold validates.
CHANCE_ERRORS, MANY_POSITIVES = 2.0, 1500
PEERS_60 = ("autogluon-60", "lightautoml-60", "mljar-60")
FLAML = ("flaml-1x", "flaml-4x", "flaml-10x")


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One floor: what it asks, what was found, whether it holds (None: not judged)."""

    asks: str
    found: str
    holds: bool | None
    target: bool = False  # a target that is missed does not fail the command

    def __str__(self) -> str:
        word = {True: "met", False: "MISSED", None: "not judged"}[self.holds]
        return f"| {self.asks}{' (target)' if self.target else ''} | {self.found} | {word} |"


def tables(rows: Mapping[Key, Row], sets: Sequence[str]) -> str:
    """Markdown: everybody against brute and frugal, per set, then the floors."""
    rows = good(rows)
    parts = [overview(rows, sets), per_set(rows, sets)]
    judged = judgements(rows, sets)
    parts.append("\n".join(["| asked | found | |", "|---|---|---|", *map(str, judged)]))
    losses = peers_ahead(rows, sets)
    if losses:
        parts.append("Where a peer is ahead of `frugal`:\n" + "\n".join(losses))
    return "\n\n".join(parts)


def present(rows: Mapping[Key, Row]) -> list[str]:
    """Systems with a result, in the order of the registry."""
    found = {system for _, _, system in rows}
    return [one for name in SYSTEMS for one in answers(name) if one in found]


def overview(rows: Mapping[Key, Row], sets: Sequence[str]) -> str:
    """A row per system: ratios to brute, and frugal's ratio to it."""
    lines = [
        "| system | sets | AP / brute's | without saturated | without the panel "
        "| CPU / brute's, summed | frugal's AP / its | frugal's CPU / its |",
        "|---|---:|---|---|---|---:|---|---:|",
    ]
    dull = saturated(rows)
    for system in present(rows):
        mine = pairs(rows, system, "brute", sets)
        ours = pairs(rows, "frugal", system, sets)
        cells = [
            _score(mine),
            _score([p for p in mine if p.name not in dull]),
            _score([p for p in mine if p.name not in EASY_PANELS]),
            f"{100 * cpu_ratio(mine):.2f} %" if mine else "",
            _score(ours),
            f"{100 * cpu_ratio(ours):.2f} %" if ours else "",
        ]
        n_sets = len({name for name, _, one in rows if one == system and name in sets})
        lines.append(f"| `{system}` | {n_sets} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _score(compared: Sequence[Pair]) -> str:
    return str(score_ratio(compared)) if len(compared) > 1 else ""


def per_set(rows: Mapping[Key, Row], sets: Sequence[str]) -> str:
    """Mean average precision and CPU-seconds by set; * marks extrapolated CPU."""
    systems = present(rows)
    lines = [
        "| set | rows | positives | splits | " + " | ".join(f"`{one}`" for one in systems) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(systems),
    ]
    for name in sets:
        own = {(seed, system): row for (of, seed, system), row in rows.items() if of == name}
        if not own:
            continue
        first = next(iter(own.values()))
        cells = []
        for system in systems:
            found = [row for (_, of), row in own.items() if of == system]
            cells.append(_cell(found) if found else "")
        n_splits = max(sum(of == system for _, of in own) for system in systems)
        lines.append(
            f"| {name} | {first['n_rows']:,} | {first['n_positive']:,} | {n_splits} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def _cell(found: Sequence[Row]) -> str:
    score = np.mean([row["ap"] for row in found])
    seconds = np.mean([row["cpu_seconds"] for row in found])
    mark = "*" if any(row["extrapolated"] for row in found) else ""
    return f"{score:.3f} ({seconds:,.1f}{mark})"


def judgements(rows: Mapping[Key, Row], sets: Sequence[str]) -> list[Judgement]:
    """All floors and targets of the search."""
    judged: list[Judgement] = []
    for floor in ("lightgbm", "histgb"):
        judged += _gain_over(rows, sets, floor)
    brute = pairs(rows, "frugal", "brute", sets)
    judged.append(_score_floor("balanced / brute: AP >= 1.02, low end >= 1.00", brute, 1.02, 1.0))
    bagged = pairs(rows, "frugal", "brute-bag", sets)
    judged.append(_score_floor("balanced / brute-bag: AP >= 1.01", bagged, 1.01))
    # It may spend what was measured of brute, which is a sixth where brute is extrapolated.
    cut = {name for (name, _, of), row in rows.items() if of == "brute" and row["extrapolated"]}
    wide = pairs(rows, "frugal", "brute-wide", [name for name in sets if name not in cut])
    asks = "balanced / brute-wide, where that has all of brute's CPU: AP >= 0.99"
    judged.append(_score_floor(asks, wide, 0.99))
    judged.append(_cpu_floor("balanced / brute: CPU <= 4 %", brute, 0.04))
    large = [p for p in brute if p.n_rows > LARGE]
    judged.append(_cpu_floor("the same above 100,000 rows: <= 1.5 %", large, 0.015, least=1))
    eco = pairs(rows, "frugal-eco", "brute", sets)
    judged.append(_cpu_floor("eco / brute: CPU <= 2.5 %", eco, 0.025))
    judged.append(_score_floor("eco / brute: AP >= 1.01", eco, 1.01))
    judged += _capacity(brute)
    for peer in PEERS_60:
        judged += _peer(rows, sets, peer, least=1.0, most_cpu=1 / 10)
    for peer in FLAML:
        compared = pairs(rows, "frugal", peer, sets)
        judged.append(_score_floor(f"balanced / {peer}: AP >= 1", compared, 1.0, target=True))
    judged += _peer(rows, SIX_SETS, "autogluon-best-300", least=0.99, most_cpu=1 / 40)
    for best, peer in (("frugal-best", "autogluon-60"), ("frugal-best-300", "autogluon-best-300")):
        compared = pairs(rows, best, peer, sets)
        asks = f"best mode, given its CPU / {peer}: AP > 1"
        judged.append(_score_floor(asks, compared, 1.0, n_least=len(SIX_SETS)))
    return [*judged, *_billed(rows, sets), *_calibration(rows, sets), *_alerts(rows, sets)]


def _gain_over(rows: Mapping[Key, Row], sets: Sequence[str], floor: str) -> list[Judgement]:
    judged = []
    for system, name in (("frugal", "balanced"), ("frugal-eco", "eco")):
        compared = pairs(rows, system, floor, sets)
        ratio = score_ratio(compared) if len(compared) > 1 else None
        enough = ratio is not None and ratio.n_sets >= LEAST_SETS
        judged.append(
            Judgement(
                asks=f"{name} / {floor} default: AP > 1 with its whole interval",
                found=_found(ratio),
                holds=ratio.low > 1 if enough else None,
                target=system == "frugal-eco",
            )
        )
        if system == "frugal":
            judged.append(
                Judgement(
                    asks=f"{name} / {floor} default: AP >= 1.04",
                    found=_found(ratio),
                    holds=ratio.mean >= 1.04 if enough else None,
                    target=True,
                )
            )
    return judged


def _score_floor(
    asks: str,
    compared: Sequence[Pair],
    least: float,
    lowest: float = 0.0,
    *,
    target: bool = False,
    n_least: int = LEAST_SETS,
) -> Judgement:
    ratio = score_ratio(compared) if len(compared) > 1 else None
    holds = None
    if ratio is not None and ratio.n_sets >= n_least:
        holds = ratio.mean >= least and ratio.low >= lowest
    return Judgement(asks=asks, found=_found(ratio), holds=holds, target=target)


def _found(ratio: Ratio | None) -> str:
    return "no results" if ratio is None else f"{ratio}, {ratio.n_sets} sets"


def _cpu_floor(
    asks: str, compared: Sequence[Pair], most: float, *, least: int = LEAST_SETS
) -> Judgement:
    if not compared:
        return Judgement(asks=asks, found="no results", holds=None)
    ratio = cpu_ratio(compared)
    holds = ratio <= most if len(compared) >= least else None
    return Judgement(asks=asks, found=f"{100 * ratio:.2f} %, {len(compared)} sets", holds=holds)


def _capacity(brute: Sequence[Pair]) -> list[Judgement]:
    asks = "customs_fraud, balanced / brute: AP >= 0.95 within 10 % of its CPU"
    own = [p for p in brute if p.name == "customs_fraud"]
    if not own:
        return [Judgement(asks=asks, found="no results", holds=None)]
    score, cpu = own[0].score[0] / own[0].score[1], cpu_ratio(own)
    found = f"{score:.3f} at {100 * cpu:.1f} %, {own[0].n_splits} splits"
    return [Judgement(asks=asks, found=found, holds=score >= 0.95 and cpu <= 0.1)]


def _peer(
    rows: Mapping[Key, Row], sets: Sequence[str], peer: str, *, least: float, most_cpu: float
) -> list[Judgement]:
    """Mean average precision over sets, as the floor is worded, with the ratio beside it."""
    compared = pairs(rows, "frugal", peer, sets)
    asks = f"balanced / {peer}: mean AP >= {least}, CPU <= 1/{round(1 / most_cpu)}"
    if len(compared) < len(SIX_SETS):
        return [Judgement(asks=asks, found=f"{len(compared)} sets", holds=None)]
    ours, theirs = np.mean([p.score for p in compared], axis=0)
    cpu = cpu_ratio(compared)
    found = (
        f"{ours / theirs:.3f} of the means, {score_ratio(compared)} of the sets, "
        f"CPU 1/{1 / cpu:.1f}, {len(compared)} sets"
    )
    return [Judgement(asks=asks, found=found, holds=ours >= least * theirs and cpu <= most_cpu)]


def _billed(rows: Mapping[Key, Row], sets: Sequence[str]) -> list[Judgement]:
    """What a search's own bill has of its process's CPU-seconds, summed over all of them."""
    asks = "the search's bill / its process's CPU after imports: >= 95 %"
    shares = [
        (sum(phases.values()), float(row["cpu_seconds"]))
        for (name, _, system), row in rows.items()
        if name in sets and system.startswith("frugal")
        for phases in [row.get("details", {}).get("phases")]
        if phases
    ]
    if not shares:
        return [Judgement(asks=asks, found="no results", holds=None)]
    billed, whole = (sum(column) for column in zip(*shares, strict=True))
    least = min(one / of for one, of in shares)
    found = f"{100 * billed / whole:.1f} %, {len(shares)} searches, the least {100 * least:.1f} %"
    return [Judgement(asks=asks, found=found, holds=billed >= LEAST_BILLED * whole)]


def _calibration(rows: Mapping[Key, Row], sets: Sequence[str]) -> list[Judgement]:
    asks = f"ECE <= {MOST_ECE} on each set with >= {ECE_POSITIVES} positives"
    errors = _by_set(rows, sets, "ece", least_positives=ECE_POSITIVES)
    if not errors:
        return [Judgement(asks=asks, found="no results", holds=None)]
    worst = max(errors, key=lambda name: errors[name])
    found = f"worst {errors[worst]:.4f} ({worst}), {len(errors)} sets"
    return [Judgement(asks=asks, found=found, holds=errors[worst] <= MOST_ECE)]


def _alerts(rows: Mapping[Key, Row], sets: Sequence[str]) -> list[Judgement]:
    """The share of alerts on the test part, by set: within the tolerance, and within chance."""
    asks = f"alerts at {ALERT_RATE:.0%} realised within +-{ALERT_TOLERANCE:.0%} on each set"
    asks_chance = "the same, off by more than counting on both sides explains: no set"
    shares = _by_set(rows, sets, "alert_share")
    if not shares:
        return [Judgement(asks=one, found="no results", holds=None) for one in (asks, asks_chance)]
    off = {name: share - ALERT_RATE for name, share in shares.items()}
    most = ALERT_TOLERANCE * ALERT_RATE
    errors = {name: alert_error(rows, name) for name in shares}
    outside = [name for name in off if abs(off[name]) > most]
    beyond = [name for name in off if abs(off[name]) > CHANCE_ERRORS * errors[name]]
    by_chance = sum(erf(most / errors[name] / 2**0.5) for name in errors)

    def listed(names: Sequence[str]) -> str:
        figures = (
            f"{n} {100 * shares[n]:.2f} +- {100 * CHANCE_ERRORS * errors[n]:.2f} %" for n in names
        )
        return ": " + ", ".join(figures) if names else ""

    within = f"{len(shares) - len(outside)} of {len(shares)} sets"
    expected = f"{by_chance:.1f} expected of a limit without any bias"
    return [
        Judgement(asks=asks, found=f"{within} ({expected}){listed(outside)}", holds=not outside),
        Judgement(asks=asks_chance, found=f"{len(beyond)} sets{listed(beyond)}", holds=not beyond),
    ]


def alert_error(rows: Mapping[Key, Row], name: str) -> float:
    """Standard error of frugal's mean alert share over the splits of a set, by counting alone.

    A limit that n rows tell as the k-th highest of them alerts a share whose variance is that of
    a beta distribution, about p (1 - p) / n (Wilks, "Determination of sample sizes for setting
    tolerance limits", 1941); m test rows count it with p (1 - p) / m more. Splits drawn at random
    from one table share rows, but the difference between two disjoint draws of one split has a
    mean of 0 whatever the table is, so that the differences of two splits are uncorrelated: in
    300 simulated tables (1,000 to 9,000 test rows, 2 to 20 splits) the standard deviation of the
    mean was 0.95 to 1.03 of the root of the mean variance over the splits. Windows in time are no
    such draws and overlap, so theirs counts as that of one split.

    Not counted: what a limit is off because fold models are not the champion.
    """
    counted = [
        1 / row["n_test"] + 1 / limit_rows(row)
        for (of, _, system), row in rows.items()
        if of == name and system == "frugal"
    ]
    n_splits = 1 if name in SETS and SETS[name].time is not None else len(counted)
    variance = ALERT_RATE * (1 - ALERT_RATE) * float(np.mean(counted))
    return (variance / n_splits) ** 0.5


def limit_rows(row: Row) -> float:
    """Rows that told a split's limit: as its champion says, else the least it may be.

    Results from before it was kept: two folds of five, one where positives are many.
    """
    told = row.get("details", {}).get("limit_rows")
    if told is not None:
        return float(told)
    n_train = row.get("n_train", row["n_test"] * (1 - TEST_SHARE) / TEST_SHARE)
    share = 0.2 if row["n_positive"] * (1 - TEST_SHARE) >= MANY_POSITIVES else 0.4
    return min(share * n_train, 40_000)


def _by_set(
    rows: Mapping[Key, Row], sets: Sequence[str], field: str, *, least_positives: int = 0
) -> dict[str, float]:
    """Frugal's mean over splits of a field, by set."""
    values: dict[str, list[float]] = {}
    for (name, _, system), row in rows.items():
        if system == "frugal" and name in sets and row["n_positive"] >= least_positives:
            values.setdefault(name, []).append(row[field])
    return {name: float(np.mean(found)) for name, found in values.items()}


def peers_ahead(rows: Mapping[Key, Row], sets: Sequence[str]) -> list[str]:
    """A line per peer that has a higher geometric mean than balanced, with the sets of it."""
    lines = []
    for peer in present(rows):
        if peer.startswith(("frugal", "brute")):
            continue
        compared = pairs(rows, peer, "frugal", sets)
        if len(compared) > 1 and score_ratio(compared).mean > 1:
            ahead = sorted(compared, key=lambda p: p.score[1] / p.score[0])[:4]
            names = ", ".join(f"{p.name} {p.score[0]:.3f} : {p.score[1]:.3f}" for p in ahead)
            cpu = cpu_ratio(compared)
            lines.append(f"- `{peer}`: {score_ratio(compared)} at {cpu:.1f}x the CPU; {names}")
    return lines
