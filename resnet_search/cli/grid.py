"""Plain tables: aligned columns without lines, which give up columns rather than wrap on a narrow terminal.

Not rich's own tables, which take a quarter of a second for 200 rows and cut what does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """A column, `least` cells wide or more. Where not all fit, the highest `spare` goes first; 0 always stays."""

    header: str
    cells: list[str] = field(default_factory=list)
    right: bool = False
    spare: int = 0
    least: int = 0

    def __post_init__(self) -> None:
        self.cells = [safe(cell) for cell in self.cells]

    @property
    def width(self) -> int:
        """Terminal cells that it takes."""
        return max(self.least, cell_len(self.header), *map(cell_len, self.cells))

    def lines(self) -> list[str]:
        """Header and cells, all of the same width."""
        width = self.width
        padded = ((text, " " * (width - cell_len(text))) for text in (self.header, *self.cells))
        return [space + text if self.right else text + space for text, space in padded]


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of equally many cells, rendered for the width there is. `elsewhere` says where left-out ones are."""

    columns: list[Column]
    title: str = ""
    elsewhere: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        kept = list(self.columns)
        while sum(column.width + len(_GAP) for column in kept) - len(_GAP) > options.max_width:
            spare = max(kept, key=lambda column: column.spare)
            if spare.spare == 0:
                break
            kept.remove(spare)
        if self.title:
            yield Text(self.title, style="bold")
        header, *rows = zip(*(column.lines() for column in kept), strict=True)
        yield _line(header, "bold")
        for row in rows:
            yield _line(row)
        left_out = [column.header for column in self.columns if column not in kept]
        if left_out and self.elsewhere:
            yield Text(f"Left out here: {', '.join(left_out)}; {self.elsewhere}.", style="dim")


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
