"""The terminal, if there is one: where rich renderables are printed."""

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

# A file or a pipe has no width; nothing is cut or wrapped for it that a table can hold.
FILE_WIDTH = 200
WIDE = 120  # columns from which on tables have room for curves


def is_terminal() -> bool:
    """Whether a person looks at standard output on something that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def has_width() -> bool:
    """Whether standard output is so many columns wide: a file or a pipe is not, unless COLUMNS says it."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def console() -> Console:
    """Standard output, with nothing in a text taken for markup or worth a colour."""
    from rich.console import Console

    width = None if has_width() else FILE_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


def is_wide() -> bool:
    """Whether a table has room for curves."""
    return console().width >= WIDE


def show(renderables: Iterable[RenderableType]) -> None:
    """Print renderables one below the other."""
    from resnet_search.cli.grid import Grid

    out = console()
    whole = not has_width()
    for renderable in renderables:
        # A file keeps its lines whole, and a table chooses its own width; all else is wrapped between words.
        out.print(renderable, soft_wrap=isinstance(renderable, Grid) or whole)


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done, for as long as it is; gives the function that tells it more."""
    with console().status(f"{what} ...") as status:
        yield lambda more: status.update(safe(f"{what}: {more} ..."))


def show_json(schema: str, values: Mapping[str, Any]) -> None:
    """Print a document of `schemas`: `schema` is command and version, as "list/1".

    A line for each key, and for each item of a list: indented, JSON of 10,000 trials takes Python a second.
    """
    document = {"schema": f"resnet-search/{schema}", **values}
    click.echo("{" + ",".join(f"\n{to_json(key)}: {_items(value)}" for key, value in document.items()) + "\n}")


def _items(value: Any) -> str:
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict | list | tuple):
        return "[" + ",".join(f"\n {to_json(item)}" for item in value) + "\n]"
    return to_json(value)


def to_json(value: Any) -> str:
    """A value as strict JSON in a line: a number that is not finite, as diverged training leaves it, is null."""
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
