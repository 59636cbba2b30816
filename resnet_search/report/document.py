"""A report as plain values: sections of paragraphs, lists, tables and code, which a renderer turns into a format.

Text is a string, an inline piece, or a tuple of both. A renderer escapes every string, wherever it came from, so text
out of files can say nothing to whatever shows the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Code:
    """Shown letter by letter: names, paths, messages."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Stands out."""

    text: str


Text: TypeAlias = str | Code | Strong | tuple[str | Code | Strong, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: Text


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`right`: the columns, from 0, that hold numbers."""

    header: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Fence:
    """Lines of code or of a file, as they are."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot, and in words what it shows, for whoever does not see it and for formats without plots.

    `name`: its own in a document, letters and hyphens. `plot`: data and layout of a Plotly figure, JSON-able; its
    labels are escaped (`figures.plot.label`). `height`, and the least `width` that it is legible at: pixels.
    """

    name: str
    title: str
    plot: dict[str, Any]
    alternative: Text
    height: int = 420
    width: int = 0


Block: TypeAlias = Paragraph | Bullets | Table | Fence | Figure


@dataclass(frozen=True, slots=True)
class Section:
    title: Text
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    title: Text
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...]
