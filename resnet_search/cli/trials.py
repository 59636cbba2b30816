"""resnet-search trials"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import OneOf, Whole, json_option, run_argument
from resnet_search.cli.watch import Look, check_watch, watch, watch_option
from resnet_search.errors import UsageError
from resnet_search.export.formats import FORMATS, SAVED_MODEL

if TYPE_CHECKING:
    from rich.console import RenderableType

    from resnet_search.cli.fronts import Fronts
    from resnet_search.runs.folder import RunFolder
    from resnet_search.runs.trials import RunView, Trial

# Keys of a trial in --json and --csv, in the order of the columns; schemas/trial.json documents them.
FIELDS = (
    "trial", "candidate", "name", "seed", "depth", "params", "macs", "iteration", "bracket", "rung", "initial_epoch",
    "epochs", "status", "score", "val_loss", "reused", "taken", "parent", "promoted_from", "replacement", "losses",
    "parts", "setup_seconds", "train_seconds", "created", "ended", "reason", "architecture", "recipe",
)  # fmt: skip
_NAMES = {"seed": "repeat"}  # attributes with another name
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
    # The best first, those without a score last.
    "score": lambda trial: -trial.score if trial.score is not None else float("inf"),
    "time": lambda trial: trial.setup_seconds + trial.train_seconds,
}
STATUSES = ("running", "completed", "failed")
# Most rows of a table without --all or --top, and of one with learning curves.
ROWS, CURVES = 100, 1000


@click.command("trials")
@run_argument
@click.option(
    "--sort",
    type=OneOf(_SORT),
    metavar="COLUMN",
    help=f"One of: {', '.join(_SORT)}.  [default: most epochs first, then best score]",
)
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--top", type=Whole(1, 10**9), metavar="N", help=f"Show the first N.  [default: {ROWS} in a table]")
@click.option("--all", "everything", is_flag=True, help="Show all trials, even in a table.")
@click.option("--bracket", type=Whole(0, 1000), metavar="B", help="Show only trials of bracket B.")
@click.option("--status", type=OneOf(STATUSES), metavar="|".join(STATUSES), help="Show only trials with this status.")
@click.option(
    "--pareto",
    is_flag=True,
    help="Show only trials on a Pareto front, and name the front: no other trial scores higher with as few "
    "parameters, as few MACs or as low a latency.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="With --pareto: measure missing latencies on this machine, about 15 s each.",
)
@click.option(
    "--format",
    "form",
    type=OneOf(FORMATS),
    metavar="FORMAT",
    help=f"With --pareto: the format to compare latencies in, one of {', '.join(FORMATS)}.  [default: {SAVED_MODEL}]",
)
@watch_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print exact and complete CSV with a header.")
def command(
    *, run: str, runs_dir: Path, sort: str | None, reverse: bool, top: int | None, everything: bool,
    bracket: int | None, status: str | None, pareto: bool, measure: bool, form: str | None, watched: bool,
    as_json: bool, as_csv: bool,
) -> int:  # fmt: skip
    """List the trials of a run.

    Trials of the full budget come first by default, since scores after less training are not comparable. A table
    shows the first 100 unless you ask for more; --json and --csv show all. On 120 columns or more, it has learning
    curves on one scale if names leave room for them. --watch shows as many trials as fit on the screen.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv cannot be combined")
    if everything and top is not None:
        raise UsageError("--all and --top cannot be combined")
    if measure and not pareto:
        raise UsageError("--measure requires --pareto")
    if form is not None and not pareto:
        raise UsageError("--format requires --pareto")
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    folder = find_run(run, runs_dir)
    choice = _Choice(sort, reverse, bracket, status)
    if watched:
        check_watch({"--json": as_json, "--csv": as_csv, "--pareto": pareto, "--all": everything})
        return watch(lambda rows: _look(folder, choice, min(rows, top or rows)))
    view = read_run(folder)
    trials = choice.of(view)
    fronts: Fronts | None = None
    if pareto:
        from resnet_search.cli.fronts import fronts_of

        fronts = fronts_of(view, measure=measure, quiet=as_json or as_csv, form=form or SAVED_MODEL)
        trials = [trial for trial in trials if trial.trial in fronts.places]
    trials = trials[:top]
    if as_json:
        from resnet_search.cli.screen import show_json
        from resnet_search.report.learning import learning

        found = learning(view)
        documents = [_document(trial, fronts) for trial in trials]
        head = {"run": folder.name, "chance": found.chance, "learnt": not found.nothing}
        show_json("trials/1", {**head, "trials": documents})
    elif as_csv:
        names = FIELDS if fronts is None else (*FIELDS, *fronts.fields)
        _print_csv(names, [_document(trial, fronts) for trial in trials])
    else:
        from resnet_search.cli.screen import show

        rows = trials if everything or top is not None or fronts is not None else trials[:ROWS]
        show(_shown(view, rows, fronts))
        _note(view)
        if len(rows) < len(trials):
            click.echo(f"and {len(trials) - len(rows):,} more: --all shows them, --json and --csv have them")
    return 0


def _note(view: RunView) -> None:
    """Print that nothing of a run beats chance, if so."""
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.cli.worth import nothing_learnt

    show(map(Hanging, nothing_learnt(view)))


@dataclass(frozen=True, slots=True)
class _Choice:
    """The trials to show, and their order."""

    sort: str | None
    reverse: bool
    bracket: int | None
    status: str | None

    def of(self, view: RunView) -> list[Trial]:
        brackets = sorted({bracket["number"] for bracket in view.content["plan"]})
        if self.bracket not in {None, *brackets}:
            raise UsageError(
                f"--bracket: got {self.bracket}; allowed: the brackets of {view.folder.name}, "
                f"{', '.join(map(str, brackets))}"
            )
        trials = [
            trial
            for trial in view.trials.values()
            if self.bracket in {None, trial.bracket} and self.status in {None, trial.status}
        ]
        return sorted(trials, key=_SORT[self.sort] if self.sort else _by_default, reverse=self.reverse)


def _look(folder: RunFolder, choice: _Choice, rows: int) -> Look:
    from resnet_search.runs.trials import RUNNING, read_run
    from resnet_search.training.job import HISTORY

    view = read_run(folder)
    running = [trial for trial in view.trials.values() if trial.status == RUNNING]
    files = [folder.events, *(folder.trial(trial.trial) / HISTORY for trial in running)]
    shown = _shown(view, choice.of(view)[:rows], None)
    return Look(shown, files, [folder] if view.state == "running" else [])


def _shown(view: RunView, trials: list[Trial], fronts: Fronts | None) -> Iterable[RenderableType]:
    from resnet_search.cli.curves import learning_curves
    from resnet_search.cli.screen import is_wide
    from resnet_search.cli.tables import line, trials_table
    from resnet_search.report.kind import accuracy_word, is_final, is_grid

    if not trials:
        return [line("No matching trials." if view.trials else "No trials yet.")]
    if fronts is not None:
        return fronts.table(trials)
    # Reading the files of more trials takes seconds.
    curves = learning_curves(view, trials) if is_wide() and len(trials) <= CURVES else ()
    scored = accuracy_word(view) if is_final(view) else "score"
    return [
        trials_table(trials, elsewhere="--json has everything", halving=not is_grid(view), curves=curves, scored=scored)
    ]


def _by_default(trial: Trial) -> tuple[bool, float, float, int]:
    """Sort by: has a score, most epochs, best score, earliest draw."""
    return (trial.score is None, -trial.epochs, _SORT["score"](trial), trial.candidate)


def document(trial: Trial) -> dict[str, Any]:
    """Return a trial, JSON-able."""
    return {name: getattr(trial, _NAMES.get(name, name)) for name in FIELDS}


def _document(trial: Trial, fronts: Fronts | None) -> dict[str, Any]:
    return document(trial) if fronts is None else {**document(trial), **fronts.values(trial)}


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
