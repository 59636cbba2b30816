"""Standard output, on a terminal or not: print rich renderables and JSON."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Files and pipes have no width of their own; this one has room for every table.
FILE_WIDTH = 200
WIDE = 120  # least columns of a terminal whose tables show curves


def is_terminal() -> bool:
    """Return whether standard output is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def _columns() -> int | None:
    """Return the width in COLUMNS; None unless it is a positive number."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) or None if columns.isascii() and columns.isdigit() else None


def has_width() -> bool:
    """Return whether standard output has a width: files and pipes only with COLUMNS."""
    return sys.stdout.isatty() or _columns() is not None


def console() -> Console:
    """Return a console for standard output, without markup and highlighting of texts."""
    from rich.console import Console

    width = _columns() if _columns() is not None or sys.stdout.isatty() else FILE_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


def is_wide() -> bool:
    """Return whether a table has room for curves."""
    return console().width >= WIDE


def show(renderables: Iterable[RenderableType]) -> None:
    """Print renderables below each other."""
    from resnet_search.cli.grid import Grid

    out = console()
    whole = not has_width()
    for renderable in renderables:
        # Lines in files stay whole, and tables choose their own width; everything else is wrapped between words.
        out.print(renderable, soft_wrap=isinstance(renderable, Grid) or whole)


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Show a status line while the context is open; yields a function that updates it."""
    with console().status(f"{what} ...") as status:
        yield lambda more: status.update(safe(f"{what}: {more} ..."))


def show_json(schema: str, values: Mapping[str, Any]) -> None:
    """Print a document of `schemas`; `schema` is its command and version, such as "list/1".

    Each key and each item of a list gets a line: writing 10,000 trials as indented JSON would take a second.
    """
    document = {"schema": f"resnet-search/{schema}", **values}
    click.echo("{" + ",".join(f"\n{to_json(key)}: {_items(value)}" for key, value in document.items()) + "\n}")


def _items(value: Any) -> str:
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict | list | tuple):
        return "[" + ",".join(f"\n {to_json(item)}" for item in value) + "\n]"
    return to_json(value)


def to_json(value: Any) -> str:
    """Return a value as strict JSON in one line; a number that is not finite, from diverged training, is null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
