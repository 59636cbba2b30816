"""resnet-search trials"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import OneOf, Whole, json_option, run_argument
from resnet_search.errors import UsageError

if TYPE_CHECKING:
    from resnet_search.cli.fronts import Fronts
    from resnet_search.runs.trials import RunView, Trial

# What a trial is in --json and --csv, in the order of the columns there.
FIELDS: dict[str, str] = {
    "trial": "id, in the order of creation",
    "candidate": "number of the candidate, which its promotions share",
    "name": "name of the architecture",
    "depth": "layers with weights",
    "params": "trainable parameters",
    "macs": "multiply-adds of one image's forward pass",
    "iteration": "iteration of Hyperband, from 0",
    "bracket": "number of the bracket; 0 trains its candidates in full from the start",
    "rung": "rung in the bracket, from 0",
    "initial_epoch": "epochs that were trained before",
    "epochs": "epochs when it ends, counted from the candidate's first",
    "status": "running, completed or failed",
    "score": "validation accuracy after the last epoch; null before",
    "reused": "whether nothing was trained, since an earlier trial of the candidate had been trained this far",
    "parent": "trial that it continues, or null",
    "promoted_from": "trial of the rung below, or null",
    "replacement": "failed candidates that it replaces",
    "losses": "workers that died while they trained it",
    "parts": "parts that each batch was trained in for want of memory, 1 as a rule; batch norm sees one part at a time",
    "setup_seconds": "time to build, compile and load",
    "train_seconds": "time of its epochs, validation included",
    "created": "seconds since 1970",
    "ended": "seconds since 1970, or null",
    "reason": "why it failed",
    "architecture": "axes of the architecture",
    "recipe": "values of the recipe that vary",
}
_SORT: dict[str, Callable[[Any], Any]] = {
    "trial": lambda trial: (len(trial.trial), trial.trial),
    "candidate": lambda trial: trial.candidate,
    "architecture": lambda trial: trial.name,
    "depth": lambda trial: trial.depth,
    "params": lambda trial: trial.params,
    "macs": lambda trial: trial.macs,
    "bracket": lambda trial: (trial.iteration, trial.bracket),
    "rung": lambda trial: trial.rung,
    "epochs": lambda trial: trial.epochs,
    "status": lambda trial: trial.status,
    # The best first, and those without a score behind them.
    "score": lambda trial: -trial.score if trial.score is not None else float("inf"),
    "time": lambda trial: trial.setup_seconds + trial.train_seconds,
}
STATUSES = ("running", "completed", "failed")
# Rows of a table that nobody has asked for more of.
ROWS = 100


@click.command("trials")
@run_argument
@click.option(
    "--sort",
    type=OneOf(_SORT),
    metavar="COLUMN",
    help=f"One of: {', '.join(_SORT)}.  [default: those of the most epochs first, the best first]",
)
@click.option("--reverse", is_flag=True, help="Turn the order round.")
@click.option("--top", type=Whole(1, 10**9), metavar="N", help=f"The first N.  [default: {ROWS} in a table]")
@click.option("--all", "everything", is_flag=True, help="All of them, in a table too.")
@click.option("--bracket", type=Whole(0, 1000), metavar="B", help="Those of bracket B.")
@click.option("--status", type=OneOf(STATUSES), metavar="|".join(STATUSES), help="Those of one status.")
@click.option(
    "--pareto",
    is_flag=True,
    help="Those that none beats in score at the same parameters, MACs or latency, or less, and for which of them.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="With --pareto: measure the latency of those that have none yet on this machine, about 15 s each.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, exact and complete, with a line of names.")
def command(
    *, run: str, runs_dir: Path, sort: str | None, reverse: bool, top: int | None, everything: bool,
    bracket: int | None, status: str | None, pareto: bool, measure: bool, as_json: bool, as_csv: bool,
) -> None:  # fmt: skip
    """List the trials of a run.

    By default those of the full budget come first: scores of less training do not compare with theirs. A table has
    the first 100 unless you ask for more; --json and --csv have all.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv: got both; allowed: one of them")
    if everything and top is not None:
        raise UsageError("--all and --top: got both; allowed: one of them")
    if measure and not pareto:
        raise UsageError("--measure: got it without --pareto; allowed: with it")
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    view = read_run(find_run(run, runs_dir))
    trials = _chosen(view, bracket, status)
    fronts: Fronts | None = None
    if pareto:
        from resnet_search.cli.fronts import fronts_of

        fronts = fronts_of(view, measure=measure, quiet=as_json or as_csv)
        trials = [trial for trial in trials if trial.trial in fronts.places]
    trials.sort(key=_SORT[sort] if sort else _by_default, reverse=reverse)
    trials = trials[:top]
    if as_json:
        _print_json(_document(trial, fronts) for trial in trials)
    elif as_csv:
        names = FIELDS if fronts is None else {**FIELDS, **fronts.fields}
        _print_csv(names, [_document(trial, fronts) for trial in trials])
    elif not trials:
        click.echo("No trials yet." if not view.trials else "No trials like that.")
    else:
        from resnet_search.cli.screen import show
        from resnet_search.cli.tables import trials_table
        from resnet_search.report.kind import is_grid

        if fronts is not None:
            show(fronts.table(trials))
        else:
            rows = trials if everything or top is not None else trials[:ROWS]
            show([trials_table(rows, elsewhere="--json has everything", halving=not is_grid(view))])
            if len(rows) < len(trials):
                click.echo(f"and {len(trials) - len(rows):,} more: --all shows them, --json and --csv have them")


def _chosen(view: RunView, bracket: int | None, status: str | None) -> list[Trial]:
    return [
        trial for trial in view.trials.values() if bracket in {None, trial.bracket} and status in {None, trial.status}
    ]


def _by_default(trial: Trial) -> tuple[bool, int, float, int]:
    """Those with a score, of the most epochs, the best, the earliest draw."""
    return (trial.score is None, -trial.epochs, _SORT["score"](trial), trial.candidate)


def document(trial: Trial) -> dict[str, Any]:
    """A trial, JSON-able: `FIELDS`."""
    return {name: getattr(trial, name) for name in FIELDS}


def _document(trial: Trial, fronts: Fronts | None) -> dict[str, Any]:
    return document(trial) if fronts is None else {**document(trial), **fronts.values(trial)}


def _print_json(documents: Iterable[dict[str, Any]]) -> None:
    """A list, a line for each trial: indented, JSON of 10,000 takes Python a second."""
    import json

    click.echo("[" + ",".join(f"\n{json.dumps(values, allow_nan=False)}" for values in documents) + "\n]")


def _print_csv(names: Iterable[str], documents: Iterable[dict[str, Any]]) -> None:
    import csv
    import io
    import json

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for values in documents:
        writer.writerow(
            json.dumps(value) if isinstance(value, dict | list | bool) else value for value in values.values()
        )
    click.echo(text.getvalue(), nl=False)
