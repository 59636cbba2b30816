"""The terminal, if there is one: where rich renderables are printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# A file or a pipe has no width; nothing is cut or wrapped for it that a table can hold.
FILE_WIDTH = 200


def is_terminal() -> bool:
    """Whether a person looks at standard output on something that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def console() -> Console:
    """Standard output, with nothing in a text taken for markup or worth a colour."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else FILE_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


def show(renderables: Iterable[RenderableType]) -> None:
    """Print renderables one below the other."""
    from resnet_search.cli.grid import Grid

    out = console()
    for renderable in renderables:
        # A file keeps its lines whole, and a table chooses its own width; all else is wrapped between words.
        out.print(renderable, soft_wrap=isinstance(renderable, Grid) or not sys.stdout.isatty())


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done, for as long as it is; gives the function that tells it more."""
    with console().status(f"{what} ...") as status:
        yield lambda more: status.update(safe(f"{what}: {more} ..."))


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=1, allow_nan=False))
