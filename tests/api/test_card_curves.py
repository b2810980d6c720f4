"""Curves of the printable card: the figures of the file, as pictures and as tables."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from api.card_curves import card_curves, thinned
from api.line_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plot
from automl.search.curves import curves
from tests.api.parts import Site

NAME = "customers-y"
PATH = f"/v1/models/{NAME}/card?format=html"


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.1).astype(np.int8)
    logit = rng.normal(size=3000) + 2 * y
    arrays = {
        "y": y,
        "weight": np.where(y == 1, 1.0, 2.0),
        "probability": 1 / (1 + np.exp(3 - logit)),
        "logit_1": logit,
    }
    return curves(arrays, members=[1])


def _line(picture: str) -> list[tuple[float, float]]:
    """The last line of a picture, back in the units of its axes."""
    root = ElementTree.fromstring(picture)
    points = root.findall("polyline")[-1].attrib["points"].split()
    pairs = [tuple(map(float, one.split(","))) for one in points]
    return [
        ((a - LEFT) / (WIDTH - LEFT - RIGHT), (HEIGHT - BOTTOM - b) / (HEIGHT - TOP - BOTTOM))
        for a, b in pairs
    ]


def _same(got: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> None:
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        assert one == pytest.approx(other, abs=0.001)


def test_the_lines_are_those_of_the_file(drawn: dict[str, Any]) -> None:
    champion = drawn["champion"]
    quality, calibration, gain = card_curves(champion, alert_rate=0.05)
    found = champion["precision_recall"]
    quality_points = sorted(
        zip(found["recall"], found["precision"], strict=True),
        key=lambda point: (point[0], -point[1]),
    )
    _same(_line(quality["picture"]), quality_points)
    gains = zip(champion["gain"]["alerted"], champion["gain"]["recall"], strict=True)
    _same(_line(gain["picture"]), [(0.0, 0.0), *gains])
    n_bins = len(champion["calibration"]["predicted"])
    assert calibration["picture"].count("<circle") == n_bins == len(calibration["rows"])
    assert sum(int(row[1].replace(",", "")) for row in calibration["rows"]) == 3000


def test_the_card_has_them_and_nothing_else_to_fetch(site: Site, drawn: dict[str, Any]) -> None:
    site.model(NAME, {"curves.json": json.dumps(drawn)})
    page = site.get(PATH).text
    assert page.count('<svg viewBox="0 0 320 240"') == 3
    for title in ("Precision by recall", "Calibration", "Gain"):
        assert f"<h3>{title}</h3>" in page
        assert f"<summary>{title} as a table</summary>" in page
    assert "<script" not in page.replace("&lt;script", "")
    assert not re.search(r"(?:src|href)=\"?http", page)


@pytest.mark.parametrize("contents", [None, "{"])
def test_a_card_without_curves_is_still_a_card(
    site: Site, drawn: dict[str, Any], contents: str | None
) -> None:
    """Of a version that has none, and of one whose file is damaged."""
    model = site.model(NAME, None if contents is None else {"curves.json": json.dumps(drawn)})
    if contents is not None:
        (site.artifacts.path(model.artifact) / "curves.json").write_text(contents)
    answer = site.get(PATH)
    assert answer.status_code == 200
    assert "as a table" not in answer.text
    assert "Versions and provenance" in answer.text


def test_texts_stay_texts() -> None:
    picture = plot([(0, 0)], titles=("<script>", "&"), says='"><script>')
    assert "<script>" not in picture
    assert ElementTree.fromstring(picture).attrib["aria-label"] == '"><script>'


def test_a_table_keeps_both_ends() -> None:
    points = [(i / 50, (i / 50) ** 2) for i in range(51)]
    for by in (0, 1):
        found = thinned(points, by=by)
        assert (found[0], found[-1]) == (points[0], points[-1])
        assert len(found) <= 11
