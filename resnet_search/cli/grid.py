"""Plain tables: aligned columns without lines. On a narrow terminal they drop columns, then fold names.

rich's own tables take a quarter of a second for 200 rows and cut text that does not fit.
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
_WORD = 11  # cells of the word beside hanging text, with the gap after it
_LEAST = 40  # least cells of hanging text, even on a narrower terminal
_WHOLE = 80  # columns are dropped to keep a name of at most so many cells in one line
_LONG = 40  # text of so many cells or more folds in any column
_FOLDED = 8  # least cells of a folded column
_HEADER = 20  # headers of at most so many cells stay in one line
_BREAKS = re.compile(r"\s|(?<=-)")


@dataclass(slots=True)
class Column:
    """A column, at least `least` cells wide.

    spare: if not all columns fit, the one with the highest value is dropped first; 0 is never dropped this way. Columns
    with a value above 0 and only empty cells are left out.
    folds: if the others still do not fit, its cells continue on the next line, after a hyphen.
    narrow: if that is not enough, the one with the highest value is dropped; 0 always stays.
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
        """Terminal cells of the unfolded column."""
        return max(self.least, cell_len(self.header), *map(cell_len, self.cells))

    def floor(self, width: int) -> int:
        """Return the fewest cells it can be reduced to from `width`."""
        folds = self.folds or width > _LONG
        return min(width, max(self.least, min(cell_len(self.header), _HEADER), _FOLDED)) if folds else width

    @property
    def word(self) -> int:
        """The fewest cells that do not break a word, except after hyphens."""
        return max(cell_len(word) for text in (self.header, *self.cells) for word in _BREAKS.split(text))

    def lines(self, width: int) -> list[list[str]]:
        """Return header and cells, each as lines of this width."""
        folded = (_fold(text, width) for text in (self.header, *self.cells))
        return [[self._padded(line, width) for line in lines or [""]] for lines in folded]

    def _padded(self, text: str, width: int) -> str:
        space = " " * (width - cell_len(text))
        return space + text if self.right else text + space


def _fold(text: str, width: int) -> list[str]:
    """Fold into lines of at most `width` cells: between words and after hyphens; wide characters anywhere."""
    if cell_len(text) <= width:
        return [text]
    return wrap(text, width) if cell_len(text) == len(text) else [line.strip() for line in chop_cells(text, width)]


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of equally many cells, rendered for the available width. `elsewhere`: where to find dropped columns."""

    columns: list[Column]
    title: str = ""
    elsewhere: str = ""

    @property
    def width(self) -> int:
        """Cells of a line with all columns."""
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
            told = f"Not shown: {', '.join(left_out)}; {self.elsewhere}."
            for text in wrap(told, options.max_width, break_long_words=False, break_on_hyphens=False):
                yield Text(text, style="dim")


def _fitted(said: list[Column], room: int) -> tuple[list[Column], list[int]]:
    """Return the columns that stay, and their widths."""
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
            # Columns that can fold between words shrink before words are broken.
            words = [
                max(floor, min(width, column.word)) for floor, width, column in zip(floors, widths, kept, strict=True)
            ]
            return kept, _shared(_shared(widths, words, room_left), floors, room_left)


def _shared(widths: list[int], floors: list[int], room: int) -> list[int]:
    """Shrink the widest columns until all fit into `room`, as far as the floors allow."""
    widths = list(widths)
    while sum(widths) > room:
        givers = [at for at, width in enumerate(widths) if width > floors[at]]
        if not givers:
            break
        widths[max(givers, key=lambda at: widths[at])] -= 1
    return widths


@dataclass(frozen=True, slots=True)
class Hanging:
    """A word and a hanging text, such as "Feasible   30 of 80": further lines are indented past the word.

    indent: cells of the word, with the gap after it. style: of the text; word_style: of the word.
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
    """Return a line; the terminal wraps it if it is still too wide, because a cut name is useless."""
    return Text(_GAP.join(cells).rstrip(), style=style, no_wrap=True, overflow="ignore")
