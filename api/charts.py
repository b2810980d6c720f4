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
