"""The end of a run on a machine without TensorFlow: say how to make its SavedModel."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView


def can_export() -> bool:
    """Return whether TensorFlow, which writes the SavedModel, is installed."""
    return find_spec("tensorflow") is not None


def tell_unexported(view: RunView, words: str) -> None:
    """Print why there is no SavedModel and how to make it; `words` name the run in a command."""
    folders = f"{safe(view.folder.path)} and {safe(view.folder.arrays(view.content))}"
    click.echo("SavedModel  not made: TensorFlow is not installed here. All weights are kept. Install it here,")
    click.echo(f"            or copy {folders} to a machine that has it; then run: resnet-search export {words}")
