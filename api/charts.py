"""Charts as Vega-Lite specs: one spec serves the page, the picture of a report and a notebook.

Plain dictionaries in the grammar's own words (https://vega.github.io/vega-lite/docs/): Altair
writes the same, and would add 40 MB to a process that is mostly idle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Okabe and Ito's colours, told apart by everybody (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#d55e00", "#009e73", "#cc3311", "#8a9691"


def spec(values: Rows, *layers: Spec, height: int = 260, **more: Any) -> Spec:
    """A spec as wide as its place, of one layer or of several on top of each other."""
    body: Spec = dict(layers[0]) if len(layers) == 1 else {"layer": list(layers)}
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": [dict(row) for row in values]},
        **body,
        **more,
    }


def axis(field: str, title: str, *, kind: str = "quantitative", **more: Any) -> Spec:
    """An encoding of a field along an axis."""
    return {"field": field, "type": kind, "title": title, **more}


def precision_recall(rows: Rows, *, prevalence: float) -> Spec:
    """Precision over recall, and the prevalence, which a random order would reach."""
    chance: Spec = {
        "data": {"values": [{"precision": prevalence}]},
        "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY},
        "encoding": {"y": {"field": "precision", "type": "quantitative"}},
    }
    line: Spec = {
        "mark": {"type": "line", "interpolate": "step-before", "color": BLUE},
        "encoding": {
            "x": axis("recall", "recall", scale={"domain": [0, 1]}),
            "y": axis("precision", "precision", scale={"domain": [0, 1]}),
        },
    }
    kept = [{name: row[name] for name in ("recall", "precision")} for row in rows]
    return spec(kept, chance, line, height=240)


def reliability(rows: Rows) -> Spec:
    """Observed share over predicted probability with its 90 % interval; the diagonal is right."""
    top = max([*(row["observed_high"] for row in rows), *(row["predicted"] for row in rows)])
    x = axis("predicted", "mean predicted probability", scale={"domain": [0, top]})
    diagonal: Spec = {
        "data": {"values": [{"predicted": 0, "observed": 0}, {"predicted": top, "observed": top}]},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY},
        "encoding": {"x": x, "y": {"field": "observed", "type": "quantitative"}},
    }
    bars: Spec = {
        "mark": {"type": "rule", "color": BLUE},
        "encoding": {
            "x": x,
            "y": axis("observed_low", "observed share", scale={"domain": [0, top]}),
            "y2": {"field": "observed_high"},
        },
    }
    points: Spec = {
        "mark": {"type": "point", "filled": True, "size": 50, "color": BLUE, "opacity": 1},
        "encoding": {"x": x, "y": {"field": "observed", "type": "quantitative"}},
    }
    return spec(rows, diagonal, bars, points, height=240)


def _chosen(at: float) -> tuple[Spec, Spec]:
    """A vertical line at the signal ``at``, which a page may move, and the signal."""
    line: Spec = {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": ORANGE, "strokeWidth": 2},
        "encoding": {"x": {"datum": {"expr": "at"}, "type": "quantitative"}},
    }
    return line, {"name": "at", "value": at}


def _alerted() -> Spec:
    # The domain is said: Vega would look for it in the line of the choice too, which has no data.
    title = "share of all rows alerted"
    return axis("alerted", title, axis={"format": "%"}, scale={"domain": [0, 1]})


def gain(rows: Rows, *, at: float) -> Spec:
    """Recall over the share of rows alerted, that of a random order, and what is chosen."""
    chosen, signal = _chosen(at)
    x = _alerted()
    chance: Spec = {
        "data": {"values": [{"alerted": 0, "recall": 0}, {"alerted": 1, "recall": 1}]},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY},
        "encoding": {"x": x, "y": {"field": "recall", "type": "quantitative"}},
    }
    line: Spec = {
        "mark": {"type": "line", "color": BLUE},
        "encoding": {"x": x, "y": axis("recall", "recall", scale={"domain": [0, 1]})},
    }
    kept = [{name: row[name] for name in ("alerted", "recall")} for row in rows]
    return spec(kept, chance, line, chosen, height=240, params=[signal])


def alert_cost(rows: Rows, *, at: float) -> Spec:
    """Cost per row over the share of rows alerted, and what is chosen."""
    chosen, signal = _chosen(at)
    line: Spec = {
        "mark": {"type": "line", "color": BLUE},
        "encoding": {
            "x": _alerted(),
            "y": axis("cost", "cost per row", scale={"zero": True}),
        },
    }
    kept = [{name: row[name] for name in ("alerted", "cost")} for row in rows]
    return spec(kept, line, chosen, height=240, params=[signal])


def bars(rows: Rows, *, name: str, value: str, title: str) -> Spec:
    """Horizontal bars in the order given; what is below 0 in another colour."""
    mark: Spec = {
        "mark": {"type": "bar"},
        "encoding": {
            "y": axis(
                name,
                "",
                kind="nominal",
                sort=None,
                axis={"labelLimit": 150, "domain": False, "ticks": False},
            ),
            "x": axis(value, title),
            "color": {
                "condition": {"test": f"datum.{value} < 0", "value": ORANGE},
                "value": BLUE,
            },
        },
    }
    kept = [{name: row[name], value: row[value]} for row in rows]
    return spec(kept, mark, height=max(60, 24 * len(kept)))


def intensity(rows: Rows, *, best: tuple[str, str] | None = None) -> Spec:
    """The forecast of a zone's intensity by hour in UTC, and the best window in it.

    Parameters
    ----------
    rows : each with `start`, `end` (ISO 8601) and `grams_per_kwh`
    best : start and end of the window
    """
    x = axis(
        "start",
        "UTC",
        kind="temporal",
        scale={"type": "utc"},
        axis={"format": "%a %H:%M", "labelOverlap": True},
    )
    line: Spec = {
        "mark": {"type": "line", "interpolate": "step-after", "color": BLUE},
        "encoding": {"x": x, "y": axis("grams_per_kwh", "gCO2e per kWh", scale={"zero": True})},
    }
    layers = [line]
    if best is not None:
        window: Spec = {
            "data": {"values": [{"start": best[0], "end": best[1]}]},
            "mark": {"type": "rect", "color": GREEN, "opacity": 0.25},
            "encoding": {"x": x, "x2": {"field": "end"}},
        }
        layers.insert(0, window)
    return spec(rows, *layers, height=220)


def by_day(rows: Rows, *, value: str, title: str) -> Spec:
    """Bars of a quantity by day; `rows` have `day` (YYYY-MM-DD) and the value."""
    bar: Spec = {
        "mark": {"type": "bar", "color": BLUE},
        "encoding": {
            "x": axis(
                "day",
                "day (UTC)",
                kind="ordinal",
                axis={"labelAngle": -40, "labelOverlap": True},
                # One day alone is no wall.
                scale={"paddingInner": 0.2, "paddingOuter": max(0.1, (12 - len(rows)) / 2)},
            ),
            "y": axis(value, title),
        },
    }
    return spec(rows, bar, height=200)


RUNG_COLOURS = {"screening": GREY, "refinement": ORANGE, "final": BLUE}
PICK_MARKS = {"recommended": "R", "most_accurate": "A", "most_frugal": "E"}


def cost_of(row: Mapping[str, Any]) -> float | None:
    """Expected grams of a trial's whole life, else those that the trial itself took."""
    life = (row.get("lifetime") or {}).get("gco2e") or {}
    grams = life.get("total", row.get("gco2e"))
    return None if grams is None else float(grams)


def front(rows: Rows, *, score: str = "score") -> Spec:
    """Quality against emissions: trials with their 90 % intervals, the front as steps, the picks.

    Parameters
    ----------
    rows : of a leaderboard; those without a score or without a cost are left out
    score : what the score is called
    """
    points = [
        {
            "number": row["number"],
            "name": f"{row['model']} {row['number']}",
            "score": row["score"],
            "low": row.get("score_low"),
            "high": row.get("score_high"),
            "mg": 1000 * grams,
            "rung": row["rung"],
            "front": bool(row.get("front")),
            "mark": "".join(PICK_MARKS.get(pick, "") for pick in row.get("picks") or ()),
        }
        for row in rows
        if row.get("score") is not None and (grams := cost_of(row)) is not None and grams > 0
    ]
    x = axis(
        "mg",
        "mgCO2e",
        scale={"type": "log"},
        axis={"labelOverlap": True, "tickCount": 6},
    )
    shown = [name for name in RUNG_COLOURS if any(point["rung"] == name for point in points)]
    colour: Spec = {
        "field": "rung",
        "type": "nominal",
        "title": None,
        "scale": {"domain": shown, "range": [RUNG_COLOURS[name] for name in shown]},
    }
    intervals: Spec = {
        "mark": {"type": "rule", "opacity": 0.5},
        "encoding": {
            "x": x,
            "y": axis("low", score, scale={"zero": False}),
            "y2": {"field": "high"},
            "color": colour,
        },
    }
    steps: Spec = {
        "transform": [{"filter": "datum.front"}],
        "mark": {"type": "line", "interpolate": "step-after", "color": GREEN, "strokeWidth": 2},
        "encoding": {"x": x, "y": axis("score", score)},
    }
    dots: Spec = {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
        "encoding": {
            "x": x,
            "y": axis("score", score),
            "color": colour,
            "description": {"field": "name"},
        },
    }
    names: Spec = {
        "transform": [{"filter": "datum.mark"}],
        "mark": {"type": "text", "dx": 9, "align": "left", "fontWeight": "bold", "color": GREEN},
        "encoding": {"x": x, "y": axis("score", score), "text": {"field": "mark"}},
    }
    named = {"name": "trials", "values": points}  # a live page puts new ones in
    return spec(points, intervals, steps, dots, names, height=300, data=named)


def compared(
    curves: Rows, *, x: str, y: str, titles: tuple[str, str], diagonal: bool = False
) -> Spec:
    """One line a model: `curves` have its `name` beside the fields `x` and `y`.

    With `diagonal` also a dashed one on which the two are equal.
    """
    line: Spec = {
        "mark": {"type": "line", "interpolate": "linear"},
        "encoding": {
            "x": axis(x, titles[0]),
            "y": axis(y, titles[1]),
            "color": {
                "field": "name",
                "type": "nominal",
                "title": None,
                "scale": {"range": [BLUE, ORANGE, GREEN, RED, GREY]},
            },
        },
    }
    if not diagonal:
        return spec(curves, line, height=240)
    top = max([*(row[x] for row in curves), *(row[y] for row in curves)], default=1.0)
    equal: Spec = {
        "data": {"values": [{x: 0, y: 0}, {x: top, y: top}]},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY},
        "encoding": {"x": axis(x, titles[0]), "y": axis(y, titles[1])},
    }
    return spec(curves, equal, line, height=240)
