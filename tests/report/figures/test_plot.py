from __future__ import annotations

import re
from importlib import resources

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.report.figures.plot import COLOURS, between, figure, label

pytestmark = pytest.mark.interface


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_are_seen_on_the_pages_and_panels_of_the_style_sheet():
    style = (resources.files("resnet_search.report") / "assets" / "report.css").read_text()
    pages = re.findall(r"--(?:page|panel): (#\w+)", style)
    assert len(pages) == 4, "light and dark"
    assert [(colour, page) for colour in COLOURS for page in pages if contrast(colour, page) < 3] == []


@given(st.text(max_size=200))
def test_labels_hold_no_tags_and_are_short(text):
    shown = label(text)
    assert not set("<>") & set(shown)
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)
    assert len(shown.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")) <= 48


def test_long_labels_keep_both_ends():
    assert label("abcdefghij", 5) == "ab…ij"


def test_colours_between():
    assert between("#000000", "#ffffff", 0.0) == "#000000"
    assert between("#000000", "#ffffff", 1.0) == "#ffffff"
    assert between("#000000", "#ff0000", 0.5) == "#800000"


def test_a_figure_is_of_no_page():
    made = figure("name", "Title", [{"type": "scatter", "x": [1], "y": [2]}], {}, "words")
    assert "template" not in made.plot["layout"]
    assert go.Figure(made.plot)  # Plotly knows all of it.


def test_plotly_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="nonsense"):
        figure("name", "Title", [{"type": "scatter", "nonsense": 1}], {}, "words")
