"""The end of a run on a machine without TensorFlow: how its SavedModel is made."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView


def can_export() -> bool:
    """Whether TensorFlow is installed, which writes the SavedModel."""
    return find_spec("tensorflow") is not None


def tell_unexported(view: RunView, words: str) -> None:
    """Say that there is no SavedModel, why, and how to make it; `words` name the run in a command."""
    folders = f"{safe(view.folder.path)} and {safe(view.folder.arrays(view.content))}"
    click.echo("SavedModel  not made: TensorFlow is not installed here. Every trial's weights are kept; install it, or")
    click.echo(f"            copy {folders} to where it is, and: resnet-search export {words}")
