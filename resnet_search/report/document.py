"""A report as plain values: sections of paragraphs, lists, tables and code. A renderer turns them into a format.

Text is a string, an inline piece, or a tuple of both. A renderer escapes every string, so text from files cannot inject
markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Code:
    """Literal text: names, paths, messages."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Emphasised text."""

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
    """A table. `right`: the columns, from 0, that hold numbers."""

    header: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Fence:
    """Lines of code or of a file, shown verbatim."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with a text alternative for screen readers and for formats without plots.

    `name`: unique in a document, letters and hyphens. `plot`: data and layout of a Plotly figure, JSON-able; its
    labels are escaped (`figures.plot.label`). `height`, and the smallest legible `width`: pixels.
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
