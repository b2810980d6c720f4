"""A job's trials as a chart of Altair: quality against emissions, the front drawn."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair

NOTEBOOK_WIDTH = 480


def front_chart(rows: Sequence[Mapping[str, Any]]) -> altair.Chart | altair.LayerChart:
    """The chart of the service's pages, as an object of a notebook.

    Raises ImportError where Altair is not installed.
    """
    try:
        alt = importlib.import_module("altair")
    except ImportError:
        raise ImportError(
            "charts need Altair: pip install 'frugal-automl[plot]'", name="altair"
        ) from None
    charts: Any = importlib.import_module("api.charts")
    # As wide as its place is right on a page; a cell of a notebook has no width of its own.
    spec = {**charts.front(rows), "width": NOTEBOOK_WIDTH}
    spec.pop("autosize", None)
    chart: altair.Chart | altair.LayerChart = alt.Chart.from_dict(spec)
    return chart
