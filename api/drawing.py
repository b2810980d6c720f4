"""Vega-Lite by vl-convert; only in children, since it brings an engine for JavaScript with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VEGA_LITE = "6.4"


def bundle() -> dict[str, str]:
    """Vega, Vega-Lite and Vega-Embed in one script that needs no network, as ``script``."""
    import vl_convert

    # vl_convert's own snippet offers more than pages use.
    return {"script": vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")}


def svg(specs: list[Mapping[str, Any]]) -> list[str]:
    """Pictures of Vega-Lite specs, as texts of SVG."""
    import vl_convert

    return [vl_convert.vegalite_to_svg(dict(spec)) for spec in specs]
