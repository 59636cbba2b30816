"""What the commands that read show: rich renderables of runs, trials and checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from resnet_search.cli.grid import Column, Grid
from resnet_search.cli.text import count, moment, safe, score
from resnet_search.report.kind import is_grid
from resnet_search.report.units import duration, sparkline
from resnet_search.runs.checkpoints import describe
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial
from resnet_search.training.job import FAILURE


def line(text: str, style: str = "") -> Text:
    """A line, or several, of text that comes from anywhere."""
    return Text(safe(text, lines=True), style=style)


def runs_table(runs: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    """The runs as `cli.list` describes them, and what is wrong with damaged ones."""
    good = [run for run in runs if run["state"] != "damaged"]
    yield Grid(
        [
            Column("run", [run["run"] for run in runs]),
            Column("state", [run["state"] for run in runs]),
            Column("trials", [_progress(run, "trials") for run in runs], right=True),
            Column("epochs", [_progress(run, "epochs") for run in runs], right=True, spare=2),
            Column("best", [score(run.get("score")) for run in runs], right=True),
            Column("architecture", [run.get("architecture") or "" for run in runs], spare=1),
            Column("started", [moment(run.get("started") or 0) for run in runs], spare=3),
        ],
        elsewhere="--json has everything",
    )
    for run in runs:
        if run not in good:
            yield line(f"{run['run']}: {run['reason']}", "red")


def _progress(run: dict[str, Any], what: str) -> str:
    return f"{run[what]:,}/{run[f'planned_{what}']:,}" if what in run else ""


def trials_table(
    trials: Sequence[Trial], title: str = "", elsewhere: str = "", *, halving: bool = True
) -> RenderableType:
    """Trials in the order given. `elsewhere` says where columns are that a narrow terminal has no room for.

    halving: whether there are brackets and rungs to tell.
    """
    rungs = [
        Column("bracket", [f"{trial.bracket}" for trial in trials], right=True, spare=1),
        Column("rung", [f"{trial.rung}" for trial in trials], right=True),
    ]
    return Grid(
        [
            Column("trial", [trial.trial for trial in trials]),
            Column("candidate", [f"{trial.candidate}" for trial in trials], right=True, spare=3),
            Column("architecture", [trial.name for trial in trials], folds=True),
            Column("depth", [f"{trial.depth}" for trial in trials], right=True),
            Column("params", [count(trial.params) for trial in trials], right=True),
            Column("MACs", [count(trial.macs) for trial in trials], right=True),
            *(rungs if halving else ()),
            Column("epochs", [f"{trial.epochs}" for trial in trials], right=True),
            Column("status", [trial.status for trial in trials], spare=4),
            # Where the status is left out, it still tells why there is no score.
            Column("score", [score(trial.score) or trial.status for trial in trials], right=True),
            Column("time", [_time(trial) for trial in trials], right=True, spare=2),
        ],
        title=title,
        elsewhere=elsewhere,
    )


def _time(trial: Trial) -> str:
    if trial.reused:
        return "reused"
    return duration(trial.setup_seconds + trial.train_seconds) if trial.status == COMPLETED else ""


def trial_details(view: RunView, trial: Trial, history: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    """One trial in full."""
    grid = is_grid(view)
    axes = ", ".join(f"{name} {shown(value)}" for name, value in trial.architecture.items() if value is not None)
    facts = {
        "Trial": f"{trial.trial} of {view.folder.name}, {_outcome(trial)}",
        "Architecture": trial.name,
        "Axes": axes,
        "Depth": f"{trial.depth:,} layers with weights",
        "Parameters": f"{trial.params:,}",
        "MACs": f"{trial.macs:,} for one image",
        "Recipe": ", ".join(f"{name} {shown(value)}" for name, value in trial.recipe.items()),
        "Candidate": "" if grid else f"{trial.candidate}",
        "Rung": "" if grid else f"{trial.rung} of bracket {trial.bracket}, iteration {trial.iteration}",
        "Epochs": _epochs(trial),
        "Times": _times(trial),
        "Checkpoint": describe(view, trial) if trial.status == COMPLETED else "",
        "Failed with": trial.reason,
        "Details": _details(view, trial),
    }
    width = max(map(len, facts)) + 2
    yield line("\n".join(f"{name:<{width}}{value}" for name, value in facts.items() if value))
    if not grid:
        yield Text()
        yield trials_table(view.chain(trial), "Promotions, first rung first")
    if history:
        yield Text()
        yield from _curve(history)


def _details(view: RunView, trial: Trial) -> str:
    path = view.folder.trial(trial.trial) / FAILURE
    return str(path) if trial.status == FAILED and path.is_file() else ""


def shown(value: Any) -> str:
    """A value of an architecture or a recipe."""
    if isinstance(value, list):
        return "-".join(map(shown, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _outcome(trial: Trial) -> str:
    ending = f" with a score of {score(trial.score)}" if trial.score is not None else ""
    losses = f"; its worker was lost {trial.losses} times" if trial.losses else ""
    parts = f"; for want of memory each batch in {trial.parts} parts" if trial.parts > 1 else ""
    return f"{trial.status}{ending}{losses}{parts}"


def _epochs(trial: Trial) -> str:
    if trial.reused:
        return f"{trial.epochs}, none trained here: trial {trial.parent} had trained them before"
    origin = f", continuing trial {trial.parent}" if trial.parent else ""
    return f"{trial.initial_epoch} to {trial.epochs}{origin}"


def _times(trial: Trial) -> str:
    if trial.status != COMPLETED or trial.reused:
        return ""
    epoch = duration(trial.train_seconds / max(1, trial.trained_epochs))
    return f"{duration(trial.setup_seconds)} to set up, {duration(trial.train_seconds)} to train, {epoch} an epoch"


def _curve(history: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    first, last = history[0]["epoch"], history[-1]["epoch"]
    for key, name in (("val_accuracy", "Validation accuracy"), ("loss", "Training loss")):
        values = [float(entry[key]) for entry in history]
        if len(values) == 1:
            yield line(f"{name} after epoch {last}: {values[0]:.4f}")
            continue
        span = f"lowest {min(values):.4f}, highest {max(values):.4f}, last {values[-1]:.4f}"
        yield line(f"{name}, epochs {first} to {last}: {span}")
        yield line(f"  {sparkline(values)}", "cyan")


def checks_table(checks: Sequence[Any]) -> Iterable[RenderableType]:
    """What the doctor found, each finding with its cure below."""
    styles = {"ok": "green", "warning": "yellow", "problem": "red"}
    for check in checks:
        text = Text()
        text.append(f"{check.status:<9}", style=styles[check.status])
        text.append(safe(f"{check.name}: {check.text}"))
        yield text
        if check.cure:
            yield line(f"{'':<9}{check.cure}", "dim")
