"""The curves of a printable card: pictures, and the same figures as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from api.line_plot import plot
from api.quantities import digits, share

Json = dict[str, Any]

N_LINES = 11  # of the tables


def card_curves(drawn: Mapping[str, Any], *, alert_rate: float | None) -> list[Json]:
    """Precision and recall, calibration, and gain of a champion, as its file of curves has them.

    Parameters
    ----------
    drawn : ``champion`` of the file, with columns
    alert_rate : share of the rows that is alerted, shown in the gain

    Returns
    -------
    list of dict
        Each with `title`, `note`, `picture` (SVG), and a table: `head` and `rows` of texts.
    """
    return [
        _precision_recall(drawn),
        _calibration(drawn["calibration"], error=drawn["expected_calibration_error"]),
        _gain(drawn["gain"], alert_rate=alert_rate),
    ]


def _precision_recall(drawn: Mapping[str, Any]) -> Json:
    found, prevalence = drawn["precision_recall"], drawn["prevalence"]
    pairs = zip(found["recall"], found["precision"], strict=True)
    points = sorted(pairs, key=lambda point: (point[0], -point[1]))
    return {
        "title": "Precision by recall",
        "note": f"Average precision {digits(drawn['average_precision'])}; dashed, the prevalence "
        f"of {share(prevalence)}, which a random order reaches.",
        "picture": Markup(
            plot(
                points,
                titles=("recall", "precision"),
                says="Precision by recall; the table below has its figures",
                compared=[(0.0, prevalence), (1.0, prevalence)],
            )
        ),
        "head": ("Recall", "Precision"),
        "rows": [(share(a), share(b)) for a, b in thinned(points)],
    }


def _calibration(bins: Mapping[str, Sequence[float]], *, error: float) -> Json:
    points = list(zip(bins["predicted"], bins["observed"], strict=True))
    spans = list(zip(bins["predicted"], bins["observed_low"], bins["observed_high"], strict=True))
    top = max(0.01, *bins["observed_high"], *bins["predicted"])
    # A round number above, so that the ticks are.
    top = next(one for one in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0) if top <= one)
    names = ("low", "high", "n_rows", "n_positive", "predicted", "observed")
    lines = zip(*(bins[name] for name in (*names, "observed_low", "observed_high")), strict=True)
    return {
        "title": "Calibration",
        "note": f"Expected calibration error {digits(error)}; bars are 90 % intervals; on the "
        "dashed line the share that was seen is the one that was said.",
        "picture": Markup(
            plot(
                points,
                titles=("predicted probability", "share observed"),
                says="Observed share by predicted probability; the table below has its figures",
                top=(top, top),
                compared=[(0.0, 0.0), (top, top)],
                spans=spans,
            )
        ),
        "head": ("Probability", "Rows", "Positive", "Predicted", "Observed", "90 % interval"),
        "rows": [
            (
                f"{digits(low)} to {digits(high)}",
                f"{n_rows:,}",
                f"{n_positive:,}",
                share(predicted),
                share(observed),
                f"{share(least)} to {share(most)}",
            )
            for low, high, n_rows, n_positive, predicted, observed, least, most in lines
        ],
    }


def _gain(found: Mapping[str, Sequence[float]], *, alert_rate: float | None) -> Json:
    points = [(0.0, 0.0), *zip(found["alerted"], found["recall"], strict=True)]
    about = "" if alert_rate is None else f"; orange, the {share(alert_rate)} that it alerts"
    return {
        "title": "Gain",
        "note": "The share of the positives found by the share of rows alerted; dashed, a random "
        f"order{about}.",
        "picture": Markup(
            plot(
                points,
                titles=("share of rows alerted", "positives found"),
                says="Positives found by share of rows alerted; the table below has its figures",
                compared=[(0.0, 0.0), (1.0, 1.0)],
                chosen=alert_rate,
            )
        ),
        "head": ("Rows alerted", "Positives found"),
        "rows": [(share(a), share(b)) for a, b in thinned(points[1:], by=1)],
    }


def thinned(
    points: Sequence[tuple[float, float]], *, by: int = 0, most: int = N_LINES
) -> list[tuple[float, float]]:
    """About so many points, evenly by x or (`by` 1) by y, the first and the last among them.

    >>> thinned([(i / 100, 1 - i / 100) for i in range(101)], most=3)
    [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    >>> thinned([], most=3)
    []
    """
    if not points:
        return []
    low, high = points[0][by], points[-1][by]
    places = {
        min(
            range(len(points)),
            key=lambda i: abs(points[i][by] - (low + (high - low) * step / (most - 1))),
        )
        for step in range(most)
    }
    return [points[i] for i in sorted(places)]
