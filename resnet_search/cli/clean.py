"""resnet-search clean"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from resnet_search.cli.options import Whole, json_option, run_argument
from resnet_search.cli.text import safe
from resnet_search.errors import UsageError

if TYPE_CHECKING:
    from resnet_search.runs.checkpoints import Cleaning


@click.command("clean")
@run_argument
@click.option(
    "--keep",
    type=Whole(0, 10**9),
    default=1,
    show_default=True,
    metavar="N",
    help="Keep the checkpoints of the best N.",
)
@click.option("--yes", "-y", is_flag=True, help="Remove without asking.")
@json_option
def command(*, run: str, runs_dir: Path, keep: int, yes: bool, as_json: bool) -> None:
    """Remove the checkpoints of a finished run.

    It shows what it would free and asks first. Scores, learning curves, the report and exports stay. Trials without
    checkpoints cannot be exported any more, and an extension of the run trains their candidates from scratch.
    """
    from resnet_search.runs.checkpoints import clean, plan_cleaning
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    if as_json and not yes:
        raise UsageError("--json requires --yes, since it cannot ask", "Nothing was removed.")
    folder = find_run(run, runs_dir)
    # Refuse a running run before asking for its lock.
    plan_cleaning(read_run(folder), keep)
    with folder.lock():
        view = read_run(folder, locked=False)
        cleaning = plan_cleaning(view, keep)
        if as_json:
            if cleaning.files:
                clean(view, cleaning)
            _print_json(folder.name, cleaning)
            return
        if not cleaning.files:
            click.echo(f"{safe(folder.name)}: nothing to remove.")
            return
        _tell(cleaning)
        if not yes and not _agreed():
            click.echo("Nothing was removed.")
            return
        clean(view, cleaning)
    click.echo("Removed.")


def _print_json(run: str, cleaning: Cleaning) -> None:
    from resnet_search.cli.screen import show_json

    removed = {
        "bytes": cleaning.size,
        "files": [str(path) for path in cleaning.files],
        "trials": [trial.trial for trial in cleaning.trials],
    }
    show_json("clean/1", {"run": run, "removed": removed, "kept": [trial.trial for trial in cleaning.kept]})


def _tell(cleaning: Cleaning) -> None:
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.cli.text import count

    kept = ", ".join(f"{trial.trial} ({trial.name})" for trial in cleaning.kept[:5]) or "none"
    more = f" and {len(cleaning.kept) - 5} more" if len(cleaning.kept) > 5 else ""  # noqa: PLR2004
    lines = (
        f"Frees      {count(cleaning.size)}B in {len(cleaning.files):,} files",
        f"Of         {len(cleaning.trials):,} trials, which cannot be exported or continued afterwards",
        f"Keeps      checkpoints of {kept}{more}; all scores, learning curves and exports",
    )
    show(map(Hanging, lines))


def _agreed() -> bool:
    import sys

    if not sys.stdin.isatty():
        raise UsageError("--yes is required: there is no terminal to ask on", "Nothing was removed.")
    return click.confirm("Remove them?")
