"""Leaderboards and receipts as tables for people, 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from automl.search.pareto import PICKS
from automl.trial import RUNGS

Json = Mapping[str, Any]

SHORT = {"screening": "screen", "refinement": "refine"}
BEST_FIRST = {rung: place for place, rung in enumerate(reversed(RUNGS))}
# The head of the scores' column, and what it stands for.
METRICS = {
    "average_precision": ("AP", "average precision"),
    "roc_auc": ("AUC", "area under the ROC curve"),
    "recall_at_alert_rate": ("rec", "recall at the alert rate"),
    "precision_at_recall": ("prec", "precision at the recall"),
    "cost_saving": ("save", "share of the cost saved"),
}
LEGEND = (
    "{short} {metric} with its 90 % interval; J/1k joules to predict 1,000 rows\n"
    "in validation, encoding left out; the receipt's are the champion's, with it.\n"
    "F Pareto front; R recommended, A most accurate, E most frugal: by expected\n"
    "energy, which repeats exactly; CPU-s, J and mgCO2e are as measured in this run."
)


def number(value: float | None, *, digits: int = 3) -> str:
    """A figure with so many significant digits and no exponent; a dash for None.

    >>> number(0.000123456), number(1234.5), number(0.5), number(None)
    ('0.000123', '1,234', '0.500', '–')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return f"{value:,.{decimals_of(value, digits=digits)}f}"


def decimals_of(value: float, *, digits: int) -> int:
    """How many decimals show so many significant digits.

    >>> decimals_of(0.00123, digits=3), decimals_of(12.3, digits=3), decimals_of(1234, digits=3)
    (5, 1, 0)
    """
    if not value:
        return digits - 1
    decimals = digits - 1 - floor(log10(abs(value)))
    if round(abs(value), decimals) >= 10 ** (digits - decimals):  # 99.96 is shown as 100
        decimals -= 1
    return min(max(decimals, 0), 12)


def leaderboard_table(rows: Sequence[Json], *, limit: int = 12) -> Group:
    """Trials by rung, best first: only scores of one rung compare.

    `F` marks the Pareto front; `R`, `A` and `E` the picks.
    Shows at most `limit` trials, those of the front and the picks among them, and says how many
    are left out.
    """
    by_rung = sorted(rows, key=lambda row: BEST_FIRST.get(row["rung"], len(BEST_FIRST)))
    ranked = list(enumerate(by_rung, start=1))
    shown = [pair for pair in ranked if pair[1]["front"] or pair[1]["picks"]]
    for pair in ranked:
        if len(shown) >= limit:
            break
        if pair not in shown:
            shown.append(pair)
    shown.sort(key=lambda pair: pair[0])
    hidden = len(rows) - len(shown)
    short, metric = _metric(rows)
    table = Table(
        title="Leaderboard",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for name, right in (
        ("#", True),
        ("model", False),
        ("rung", False),
        (f"{short:<6}90 %", False),
        ("CPU-s", True),
        ("J", True),
        ("mgCO2e", True),
        ("J/1k", True),
        ("", False),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for rank, row in shown:
        grams, rung = row["gco2e"], str(row["rung"])
        table.add_row(
            str(rank),
            row["model"],
            Text(SHORT.get(rung, rung), style="dim"),
            _score(row),
            number(row["cpu_seconds"]),
            number(row["joules"]),
            number(None if grams is None else 1000 * grams),
            number(row["predict_joules"]),
            _marks(row),
            style="bold" if "recommended" in row["picks"] else None,
        )
    noun = "trial is" if hidden == 1 else "trials are"
    more = f"\n{hidden} more {noun} in the job's leaderboard" if hidden else ""
    legend = LEGEND.format(short=short, metric=metric)
    return Group(table, Text(legend + more, style="dim"))


def _metric(rows: Sequence[Json]) -> tuple[str, str]:
    """Short and long name of what the scores are; all rows of a job have the same."""
    name = rows[0]["metric"] if rows else "average_precision"
    if name is None:
        return "score", "none, for want of labels,"
    name = str(name)
    return METRICS.get(name, ("score", name.replace("_", " ")))


def _score(row: Json) -> str:
    if row["score"] is None:
        return "failed" if row["error"] else "–"
    if row["score_low"] is None:
        return f"{row['score']:.3f}"
    low, high = (f"{row[end]:.2f}".removeprefix("0") for end in ("score_low", "score_high"))
    return f"{row['score']:.3f} {low}–{high}"


def _marks(row: Json) -> Text:
    letters = {"recommended": "R", "most_accurate": "A", "most_frugal": "E"}
    picks = "".join(letters[name] for name in PICKS if name in row["picks"])
    return Text(("F" if row["front"] else " ") + picks, style="green")


def picks_table(rows: Sequence[Json]) -> Table:
    """The three picks, and what each costs beside the most accurate one."""
    table = Table(title="Picks", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.show_header = False
    for justify in ("left", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    short, metric = _metric(rows)
    why = {
        "recommended": f"R  {metric} worth its energy",
        "most_accurate": f"A  highest {metric}",
        "most_frugal": "E  least energy on the front",
    }
    for name in PICKS:
        for row in rows:
            if name in row["picks"]:
                score = "–" if row["score"] is None else f"{short} {row['score']:.3f}"
                label = f"{row['model']} (trial {row['number']})"
                table.add_row(Text(why[name], style="dim"), label, score)
    return table


def receipt_table(receipt: Json) -> Table:
    """The bill by phase, its total last."""
    phases, total = receipt["phases"], receipt["total"]
    table = Table(
        title="Receipt",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for name, justify in (
        ("Phase", "left"),
        ("CPU-s", "right"),
        ("kWh", "right"),
        ("gCO2e", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    columns = ("cpu_seconds", "kwh", "gco2e")
    # As many decimals as the total needs for three digits: the lines add up as they are shown.
    decimals = [decimals_of(total[name], digits=3) for name in columns]
    for line in (*phases, {**total, "name": "total"}):
        shown = [f"{line[name]:,.{n}f}" for name, n in zip(columns, decimals, strict=True)]
        table.add_row(line["name"], *shown, style="bold" if line["name"] == "total" else None)
    return table


def receipt_notes(receipt: Json) -> list[str]:
    """How the receipt was measured and how sure it is, one sentence a line."""
    uncertainty = receipt.get("uncertainty")
    return [*receipt.get("method", ()), *([uncertainty] if uncertainty else [])]


def saved_lines(receipt: Json) -> list[str]:
    """What was saved by doing less and by waiting, apart, and what emits as much; one a line."""
    levers, equal = receipt.get("levers") or {}, receipt.get("equivalents") or {}
    less, later = levers.get("less") or {}, levers.get("later") or {}
    lines = []
    brute = less.get("brute_force")
    if brute:
        own = receipt["total"]["joules"]
        share = own / brute["expected_joules"] if brute["expected_joules"] else None
        lines.append(
            f"Less: brute force is expected to take {number(brute['expected_joules'])} J; this "
            f"took {number(own)} J" + ("" if share is None else f", {100 * share:.2g} % of it.")
        )
    saved = later.get("saved_gco2e")
    if saved:
        word = "saved" if saved > 0 else "cost"
        lines.append(f"Later: waiting {word} {number(1000 * abs(saved))} mg of CO2e.")
    car = equal.get("car_km")
    if car:
        lines.append(f"As much as {car['text']} by car.")
    return lines
