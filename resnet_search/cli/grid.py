"""Plain tables: aligned columns without lines, which give up columns, then fold names, on a narrow terminal.

Not rich's own tables, which take a quarter of a second for 200 rows and cut what does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_GAP = "  "
_WORD = 11  # cells of a word beside hanging text, with the gap behind it
_LEAST = 40  # cells of hanging text, however narrow the terminal is


@dataclass(slots=True)
class Column:
    """A column, `least` cells wide or more. Where not all fit, the highest `spare` goes first; 0 always stays,
    and the others only if some cell says something.

    folds: where those that stay do not fit either, its cells go on in the next line, behind a hyphen.
    """

    header: str
    cells: list[str] = field(default_factory=list)
    right: bool = False
    spare: int = 0
    least: int = 0
    folds: bool = False

    def __post_init__(self) -> None:
        self.cells = [safe(cell) for cell in self.cells]

    @property
    def width(self) -> int:
        """Terminal cells that it takes."""
        return max(self.least, cell_len(self.header), *map(cell_len, self.cells))

    def lines(self, excess: int = 0) -> list[list[str]]:
        """Header and cells, each in lines of one width: `excess` less than its own, if it folds."""
        width = max(self.least, cell_len(self.header), self.width - excess) if self.folds else self.width
        folded = (wrap(text, width) if self.folds else [text] for text in (self.header, *self.cells))
        return [[self._padded(line, width) for line in lines or [""]] for lines in folded]

    def _padded(self, text: str, width: int) -> str:
        space = " " * (width - cell_len(text))
        return space + text if self.right else text + space


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of equally many cells, rendered for the width there is. `elsewhere` says where left-out ones are."""

    columns: list[Column]
    title: str = ""
    elsewhere: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        said = [column for column in self.columns if any(column.cells) or column.spare == 0]
        kept = list(said)
        while (excess := sum(column.width + len(_GAP) for column in kept) - len(_GAP) - options.max_width) > 0:
            spare = max(kept, key=lambda column: column.spare)
            if spare.spare == 0:
                break
            kept.remove(spare)
        columns = [column.lines(max(0, excess)) for column in kept]
        if self.title:
            yield Text(self.title, style="bold")
        empty = tuple(" " * len(lines[0][0]) for lines in columns)
        header, *rows = zip(*columns, strict=True)
        yield _line(tuple(cell[0] for cell in header), "bold")
        for row in rows:
            for cells in zip_longest(*row):
                yield _line(tuple(cell or space for cell, space in zip(cells, empty, strict=True)))
        left_out = [column.header for column in said if column not in kept]
        if left_out and self.elsewhere:
            told = f"Left out here: {', '.join(left_out)}; {self.elsewhere}."
            for line in wrap(told, options.max_width, break_long_words=False, break_on_hyphens=False):
                yield Text(line, style="dim")


@dataclass(frozen=True, slots=True)
class Hanging:
    """A word and text beside it, as "Feasible   30 of 80": no line of the text comes below the word."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        width = max(_LEAST, options.max_width)
        for line in wrap(safe(self.text), width, subsequent_indent=" " * _WORD, break_on_hyphens=False):
            yield _line((line,))


def _line(cells: tuple[str, ...], style: str = "") -> Text:
    """What is still too wide is left for the terminal to wrap: a name that is cut is no name."""
    return Text(_GAP.join(cells).rstrip(), style=style, no_wrap=True, overflow="ignore")
