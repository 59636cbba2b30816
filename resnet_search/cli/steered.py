"""The answer to a request that a command makes to a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.session import run_words
from resnet_search.cli.text import safe

if TYPE_CHECKING:
    from resnet_search.runs.folder import RunFolder


def show_answer(folder: RunFolder, runs_dir: Path, kind: str, **fields: Any) -> None:
    """Make a request to a run and print the answer; without a driver, also the command that continues it."""
    from resnet_search.search.steering import ask

    click.echo(safe(f"{folder.name}: {ask(folder, kind, **fields)}."))
    if not folder.is_locked():
        click.echo("No process works on it. Continue with:")
        click.echo(f"  resnet-search resume {run_words(folder.path, runs_dir)}")
