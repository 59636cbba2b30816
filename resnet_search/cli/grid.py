"""Plain tables: aligned columns without lines, which give up columns, then fold names, on a narrow terminal.

Not rich's own tables, which take a quarter of a second for 200 rows and cut what does not fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from rich.text import Text

from resnet_search.cli.text import cut, cut_lines, safe, wrapped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_GAP = "  "
_WORD = 11  # cells of a word beside hanging text, with the gap behind it
_LEAST = 40  # cells of hanging text, however narrow the terminal is
_WHOLE = 80  # cells of a name that columns go for, so that it stays in a line
_LONG = 40  # cells from which on text folds in any column
_FOLDED = 8  # cells that are left of what folds
_HEADER = 20  # cells of a header that stay in a line
_BREAKS = re.compile(r"\s|(?<=-)")


@dataclass(slots=True)
class Column:
    """A column, `least` cells wide or more. Where not all fit, the highest `spare` goes first; 0 stays, and the others
    only if some cell says something.

    folds: where those that stay do not fit either, its cells go on in the next line, behind a hyphen.
    narrow: where that does not do, the highest goes; 0 always stays.
    """

    header: str
    cells: list[str] = field(default_factory=list)
    right: bool = False
    spare: int = 0
    least: int = 0
    folds: bool = False
    narrow: int = 0

    def __post_init__(self) -> None:
        self.header = cut(safe(self.header))
        self.cells = [cut(safe(cell)) for cell in self.cells]

    @property
    def width(self) -> int:
        """Terminal cells that it takes."""
        return max(self.least, cell_len(self.header), *map(cell_len, self.cells))

    def floor(self, width: int) -> int:
        """The fewest of `width` cells that it does with."""
        folds = self.folds or width > _LONG
        return min(width, max(self.least, min(cell_len(self.header), _HEADER), _FOLDED)) if folds else width

    @property
    def word(self) -> int:
        """The fewest cells with which it folds between words and behind hyphens alone."""
        return max(cell_len(word) for text in (self.header, *self.cells) for word in _BREAKS.split(text))

    def lines(self, width: int) -> list[list[str]]:
        """Header and cells, each in lines of this width."""
        folded = (_fold(text, width) for text in (self.header, *self.cells))
        return [[self._padded(line, width) for line in lines or [""]] for lines in folded]

    def _padded(self, text: str, width: int) -> str:
        space = " " * (width - cell_len(text))
        return space + text if self.right else text + space


def _fold(text: str, width: int) -> list[str]:
    """Lines of at most so many cells: between words and behind hyphens, of wide characters anywhere."""
    if cell_len(text) <= width:
        return [text]
    return wrap(text, width) if cell_len(text) == len(text) else [line.strip() for line in chop_cells(text, width)]


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of equally many cells, rendered for the width there is. `elsewhere` says where left-out ones are."""

    columns: list[Column]
    title: str = ""
    elsewhere: str = ""

    @property
    def width(self) -> int:
        """Cells of a line with all that there is to say."""
        widths = [column.width for column in self._said()]
        return sum(widths) + len(_GAP) * (len(widths) - 1)

    def _said(self) -> list[Column]:
        return [column for column in self.columns if any(column.cells) or column.spare == 0]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        said = self._said()
        kept, widths = _fitted(said, options.max_width)
        columns = [column.lines(width) for column, width in zip(kept, widths, strict=True)]
        if self.title:
            for told in _fold(cut(safe(self.title)), max(_LEAST, options.max_width)):
                yield Text(told, style="bold")
        empty = tuple(" " * width for width in widths)
        for number, row in enumerate(zip(*columns, strict=True)):
            for cells in zip_longest(*row):
                line = tuple(cell or space for cell, space in zip(cells, empty, strict=True))
                yield _line(line, "" if number else "bold")
        left_out = [column.header for column in said if column not in kept]
        if left_out and self.elsewhere:
            told = f"Left out here: {', '.join(left_out)}; {self.elsewhere}."
            for text in wrap(told, options.max_width, break_long_words=False, break_on_hyphens=False):
                yield Text(text, style="dim")


def _fitted(said: list[Column], room: int) -> tuple[list[Column], list[int]]:
    """The columns that stay, and their widths."""
    kept, natural = list(said), {id(column): column.width for column in said}
    while True:
        widths = [natural[id(column)] for column in kept]
        room_left = room - len(_GAP) * (len(kept) - 1)
        floors = [column.floor(width) for column, width in zip(kept, widths, strict=True)]
        wanted = [max(floor, min(width, _WHOLE)) for floor, width in zip(floors, widths, strict=True)]
        if sum(wanted) > room_left and (spare := max(kept, key=lambda column: column.spare)).spare > 0:
            kept.remove(spare)
        elif sum(floors) > room_left and (narrow := max(kept, key=lambda column: column.narrow)).narrow > 0:
            kept.remove(narrow)
        elif sum(widths) <= room_left:
            return kept, widths
        else:
            # A column that can fold between words gives before one whose words would be broken.
            words = [
                max(floor, min(width, column.word)) for floor, width, column in zip(floors, widths, kept, strict=True)
            ]
            return kept, _shared(_shared(widths, words, room_left), floors, room_left)


def _shared(widths: list[int], floors: list[int], room: int) -> list[int]:
    """Widths that add up to no more than there is room for, as far as the floors allow it: the widest gives first."""
    widths = list(widths)
    while sum(widths) > room:
        givers = [at for at, width in enumerate(widths) if width > floors[at]]
        if not givers:
            break
        widths[max(givers, key=lambda at: widths[at])] -= 1
    return widths


@dataclass(frozen=True, slots=True)
class Hanging:
    """A word and text beside it, as "Feasible   30 of 80": no line of the text comes below the word.

    indent: cells of the word, with the gap behind it. style: of the text; word_style: of the word.
    """

    text: str
    indent: int = _WORD
    style: str = ""
    word_style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        width = max(_LEAST, options.max_width)
        text = cut_lines(safe(self.text))
        if options.no_wrap:
            lines = [text]
        elif cell_len(text) == len(text):
            lines = wrapped(text, width, self.indent)
        else:
            first, *rest = chop_cells(text, width)
            indented = chop_cells("".join(rest), width - self.indent)
            lines = [first, *(" " * self.indent + line for line in indented)]
        for number, each in enumerate(lines):
            line = _line((each,), self.style)
            if number == 0 and self.word_style:
                line.stylize(self.word_style, 0, self.indent)
            yield line


def _line(cells: tuple[str, ...], style: str = "") -> Text:
    """What is still too wide is left for the terminal to wrap: a name that is cut is no name."""
    return Text(_GAP.join(cells).rstrip(), style=style, no_wrap=True, overflow="ignore")
