"""Lines on two axes as SVG, drawn here: a page to print and to send, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 320.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 20.0, 8.0, 40.0
# Okabe and Ito's blue and orange (https://jfly.uni-koeln.de/color/), told apart by everybody.
BLUE, ORANGE = "#0072b2", "#d55e00"
N_TICKS = 5


def plot(
    line: Points,
    *,
    titles: tuple[str, str],
    says: str,
    top: tuple[float, float] = (1.0, 1.0),
    compared: Points = (),
    chosen: float | None = None,
    spans: Sequence[tuple[float, float, float]] = (),
) -> str:
    """A line from (0, 0) to `top`, a dashed one to compare it with, and what is chosen.

    Parameters
    ----------
    line : x and y, in shares
    titles : of the axes
    says : what the picture shows, in words, for those who do not see it
    chosen : x of an upright line
    spans : x, low and high of upright intervals; the line's points are then marked

    >>> picture = plot([(0, 0), (1, 1)], titles=("a < b", "c"), says="so & so")
    >>> picture.count("<polyline"), "a &lt; b" in picture, 'aria-label="so &amp; so"' in picture
    (1, True, True)
    """

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(value / top[0], 1.0)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value / top[1], 1.0)

    drawn = [
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(says)}" '
        'font-size="11" fill="currentColor">'
    ]
    floor, right = y(0.0), x(top[0])
    for tick in range(N_TICKS + 1):
        across, up = top[0] * tick / N_TICKS, top[1] * tick / N_TICKS
        grid = 'stroke="currentColor" stroke-opacity=".18"'
        drawn += [
            f'<path d="M{x(across):.1f} {TOP:g}V{floor:.1f}M{LEFT:g} {y(up):.1f}H{right:.1f}" '
            f'{grid} fill="none"/>',
            f'<text x="{x(across):.1f}" y="{floor + 14:.1f}" text-anchor="middle">'
            f"{_tick(across)}</text>",
            f'<text x="{LEFT - 5:g}" y="{y(up) + 4:.1f}" text-anchor="end">{_tick(up)}</text>',
        ]
    middle = (TOP + floor) / 2
    drawn += [
        f'<text x="{(LEFT + right) / 2:.1f}" y="{HEIGHT - 8:g}" text-anchor="middle">'
        f"{escape(titles[0])}</text>",
        f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(titles[1])}</text>",
    ]
    if compared:
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in compared)
        dashed = 'stroke-dasharray="4 4" stroke-opacity=".7"'
        drawn.append(f'<polyline points="{path}" fill="none" stroke="currentColor" {dashed}/>')
    if chosen is not None:
        drawn.append(
            f'<path d="M{x(chosen):.1f} {TOP:g}V{floor:.1f}" stroke="{ORANGE}" stroke-width="2"/>'
        )
    for at, low, high in spans:
        drawn.append(f'<path d="M{x(at):.1f} {y(low):.1f}V{y(high):.1f}" stroke="{BLUE}"/>')
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
    if spans:
        drawn += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{BLUE}"/>' for a, b in line]
    else:
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>')
    return "".join([*drawn, "</svg>"])


def _tick(share: float) -> str:
    """A share on an axis.

    >>> _tick(0.2), _tick(0.05), _tick(0.0), _tick(0.006)
    ('20 %', '5 %', '0 %', '0.6 %')
    """
    return f"{100 * share:.3g} %"
