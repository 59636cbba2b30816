"""Plain tables: aligned columns without lines, which give up columns rather than wrap on a narrow terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_GAP = 2


@dataclass(slots=True)
class Column:
    """A column, `least` cells wide or more. Where not all fit, the highest `spare` goes first; 0 always stays."""

    header: str
    cells: list[str] = field(default_factory=list)
    right: bool = False
    spare: int = 0
    style: str = ""
    least: int = 0

    @property
    def width(self) -> int:
        """Terminal cells that it takes."""
        return max(self.least, cell_len(self.header), *map(cell_len, self.cells))


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of equally many cells, rendered for the width there is. `elsewhere` says where left-out ones are."""

    columns: list[Column]
    title: str = ""
    elsewhere: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        kept = list(self.columns)
        while sum(column.width + _GAP for column in kept) - _GAP > options.max_width:
            spare = max(kept, key=lambda column: column.spare)
            if spare.spare == 0:
                break
            kept.remove(spare)
        if self.title:
            yield Text(self.title, style="bold")
        yield _table(kept)
        left_out = [column.header for column in self.columns if column not in kept]
        if left_out and self.elsewhere:
            yield Text(f"Left out at this width: {', '.join(left_out)}; {self.elsewhere}.", style="dim")


def _table(columns: list[Column]) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(
            column.header,
            justify="right" if column.right else "left",
            # Numbers lose their meaning when they are cut; names and reasons are folded.
            no_wrap=column.right,
            overflow="fold",
            style=column.style,
            min_width=column.least,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(safe(cell)) for cell in row))
    return table
