from __future__ import annotations

import re
from importlib import resources
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.report.figures.plot import COLOURS, DASHES, PATTERNS, SYMBOLS, between, figure, label

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


# Severity 1 of Machado, Oliveira and Fernandes 2009, on linear sRGB.
VISION = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]
    ],
}  # fmt: skip
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]


def lab(colour: str, vision: str) -> np.ndarray:
    """CIE 1976 L*a*b*, as someone with this vision sees it."""
    shares = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    seen = np.array(XYZ) @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_by_every_kind_of_vision(vision):
    pairs = combinations(COLOURS, 2)
    apart = {pair: float(np.linalg.norm(lab(pair[0], vision) - lab(pair[1], vision))) for pair in pairs}
    assert {pair: distance for pair, distance in apart.items() if distance < 25} == {}


def test_each_colour_has_a_line_a_symbol_and_a_pattern_of_its_own():
    for styles in (DASHES, SYMBOLS, PATTERNS):
        assert len(set(styles)) == len(styles) == len(COLOURS)


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
