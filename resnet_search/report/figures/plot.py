"""What all plots have in common: colours that are seen on white and on black, and labels that are text alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from resnet_search.report.document import Figure, Text
from resnet_search.report.markdown import visible

# Each has a contrast of 3 and more against both pages, as WCAG 2.2 asks of graphics (1.4.11).
BLUE, ORANGE, GREEN, PURPLE = "#3d7fd6", "#c7691e", "#2b9466", "#b263c2"
RED, TEAL, OCHRE, GREY = "#d0524f", "#1c90a0", "#9c7d1f", "#7d858f"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, TEAL, OCHRE, GREY)
# From few to many: the ends differ in hue, so that neither is lost on a page.
SCALE = ((0.0, ORANGE), (0.5, GREY), (1.0, BLUE))
_MARGIN = {"l": 60, "r": 16, "t": 16, "b": 48}
_LONGEST = 48
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"}
SHARE = {"tickformat": ".3~p", "automargin": True}


def label(text: str, longest: int = _LONGEST) -> str:
    """Text in a plot, where Plotly would take some of it for tags and entities; a long one is cut in the middle."""
    shown = visible(text)
    if len(shown) > longest:
        half = (longest - 1) // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(
    name: str, title: str, traces: Sequence[Any], layout: dict[str, Any], alternative: Text, *, height: int = 420
) -> Figure:
    """A figure of Plotly traces; Plotly refuses what it does not know."""
    import plotly.graph_objects as go

    whole = {"margin": _MARGIN, "hoverlabel": {"align": "left"}, "colorway": list(COLOURS), **layout}
    return from_plotly(name, title, go.Figure(list(traces), whole), alternative, height=height)


def from_plotly(name: str, title: str, plot: Any, alternative: Text, *, height: int = 420, width: int = 0) -> Figure:
    """A figure of a `plotly.graph_objects.Figure`, without the colours of a page, which the reader's choice decides."""
    values = json.loads(plot.to_json(engine="json"))
    values["layout"].pop("template", None)
    return Figure(name, title, {"data": values["data"], "layout": values["layout"]}, alternative, height, width)


def between(first: str, second: str, share: float) -> str:
    """A colour on the way from one to another, 0 to 1."""
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (first, second)]
    mixed = (round(one + (other - one) * share) for one, other in zip(*ends, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
