"""Shared by all plots: colours for all kinds of vision and pages, line styles, and labels without markup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from resnet_search.report.document import Figure, Text
from resnet_search.report.markdown import visible

# Each has a contrast of at least 3 on both pages, as WCAG 2.2 requires for graphics (1.4.11), and each pair differs by
# at least 25 (CIE 1976) for normal vision, protanopia, deuteranopia and tritanopia (Machado et al. 2009). The contrast
# leaves little room for lightness, so plots also differ in line, symbol or pattern.
BLUE, ORANGE, GREEN = "#5f63c2", "#d57200", "#07a173"
PURPLE, RED, GREY = "#9d1cff", "#dd0041", "#9983af"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond-open", "square", "triangle-up-open", "cross", "x-thin")
PATTERNS = ("", "/", ".", "x", "-", "|")
# From few to many: the ends differ in hue, so both are visible on either page.
SCALE = ((0.0, ORANGE), (0.5, GREY), (1.0, BLUE))
_MARGIN = {"l": 60, "r": 16, "t": 16, "b": 48}
_LONGEST = 48
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"}
SHARE = {"tickformat": ".3~p", "automargin": True}


def label(text: str, longest: int = _LONGEST) -> str:
    """Escape the tags and entities that Plotly would interpret; a long text is cut in the middle."""
    shown = visible(text)
    if len(shown) > longest:
        half = (longest - 1) // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(
    name: str, title: str, traces: Sequence[Any], layout: dict[str, Any], alternative: Text, *, height: int = 420
) -> Figure:
    """Make a figure from Plotly traces; Plotly rejects unknown attributes."""
    import plotly.graph_objects as go

    whole = {"margin": _MARGIN, "hoverlabel": {"align": "left"}, "colorway": list(COLOURS), **layout}
    return from_plotly(name, title, go.Figure(list(traces), whole), alternative, height=height)


def from_plotly(name: str, title: str, plot: Any, alternative: Text, *, height: int = 420, width: int = 0) -> Figure:
    """Make a figure from a `plotly.graph_objects.Figure`, without page colours: the reader chooses light or dark."""
    values = json.loads(plot.to_json(engine="json"))
    values["layout"].pop("template", None)
    return Figure(name, title, {"data": values["data"], "layout": values["layout"]}, alternative, height, width)


def between(first: str, second: str, share: float) -> str:
    """Interpolate between two colours, 0 to 1."""
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (first, second)]
    mixed = (round(one + (other - one) * share) for one, other in zip(*ends, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
