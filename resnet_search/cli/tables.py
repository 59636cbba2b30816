"""Rich renderables of runs, trials and checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from resnet_search.cli.curves import WIDTH, spark
from resnet_search.cli.grid import Column, Grid, Hanging
from resnet_search.cli.text import count, cut_lines, loss, moment, safe
from resnet_search.report.anytime import at
from resnet_search.report.kind import accuracy_name, is_final, is_grid
from resnet_search.report.units import duration, percent
from resnet_search.runs.after import CONFIRM
from resnet_search.runs.checkpoints import describe
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, Trial
from resnet_search.training.job import FAILURE

_CURVE = 60  # cells of the curve in a trial's details
_STATUS = 9  # cells of a check's status, with the gap after it


def line(text: str, style: str = "") -> Text:
    """Return untrusted text as one or several lines."""
    return Text(cut_lines(safe(text, lines=True)), style=style)


def runs_table(runs: Sequence[dict[str, Any]], *, wide: bool) -> Iterable[RenderableType]:
    """Show runs as `cli.list` describes them, and why damaged ones are damaged. `wide`: with room for curves."""
    good = [run for run in runs if run["state"] != "damaged"]
    yield Grid(
        [
            Column("run", [run["run"] for run in runs], folds=True),
            Column("state", [_state(run) for run in runs], narrow=1),
            Column("trials", [_progress(run, "trials") for run in runs], right=True, narrow=2),
            Column("epochs", [_progress(run, "epochs") for run in runs], right=True, spare=2),
            Column("best", [percent(run.get("score")) for run in runs], right=True),
            Column("best so far", [_climb(run) if wide else "" for run in runs], spare=4),
            Column("architecture", [run.get("architecture") or "" for run in runs], folds=True, spare=1),
            Column("started", [moment(run.get("started") or 0) for run in runs], spare=3),
        ],
        elsewhere="--json has everything",
    )
    for run in runs:
        if run not in good:
            yield line(f"{run['run']}: {run['reason']}", "red")


def _state(run: dict[str, Any]) -> str:
    """Return the state of the search, or that of a following run while it trains."""
    words = [
        f"confirming {one['trials']:,}/{one['planned_trials']:,}" if one["kind"] == CONFIRM else "training"
        for one in run.get("following", ())
    ]
    return ", ".join(words) or str(run["state"])


def _climb(run: dict[str, Any]) -> str:
    """Draw the best score so far by epochs trained."""
    climb = run.get("best_so_far", ())
    if not climb:
        return ""
    last = climb[-1]["epochs"]
    curve = [(point["epochs"], point["score"]) for point in climb]
    values = [value for place in range(1, WIDTH + 1) if (value := at(curve, round(last * place / WIDTH))) is not None]
    return spark(values)


def _progress(run: dict[str, Any], what: str) -> str:
    return f"{run[what]:,}/{run[f'planned_{what}']:,}" if what in run else ""


def trials_table(
    trials: Sequence[Trial],
    title: str = "",
    elsewhere: str = "",
    *,
    halving: bool = True,
    curves: Sequence[str] = (),
    scored: str = "score",
    status: bool = True,
) -> RenderableType:
    """Show trials in the order given; a seed column appears if networks were trained with several seeds.

    elsewhere: where to find columns that do not fit. halving: whether there are brackets and rungs to show. curves:
    one for each trial, if there is room. scored: header of the score. status: whether trials may have another
    status than completed.
    """
    rungs = [
        Column("bracket", [f"{trial.bracket}" for trial in trials], right=True, narrow=1),
        Column("rung", [f"{trial.rung}" for trial in trials], right=True, spare=1),
    ]
    repeated = any(trial.repeat for trial in trials)
    return Grid(
        [
            Column("trial", [trial.trial for trial in trials]),
            Column("candidate", [f"{trial.candidate}" for trial in trials], right=True, spare=6),
            Column("architecture", [trial.name for trial in trials], folds=True),
            *([Column("seed", [f"{trial.repeat}" for trial in trials], right=True)] if repeated else ()),
            Column("depth", [f"{trial.depth}" for trial in trials], right=True, spare=3),
            Column("params", [count(trial.params) for trial in trials], right=True, narrow=4),
            Column("MACs", [count(trial.macs) for trial in trials], right=True, spare=2),
            *(rungs if halving else ()),
            Column("epochs", [_epochs_reached(trial) for trial in trials], right=True),
            *([Column("status", [trial.status for trial in trials], narrow=3)] if status else ()),
            # Without a score show the status, whose own column may be dropped.
            Column(scored, [percent(trial.score) or trial.status for trial in trials], right=True),
            *([Column("curve", list(curves), spare=4)] if curves else ()),
            Column("time", [_time(trial) for trial in trials], right=True, spare=5),
        ],
        title=title,
        elsewhere=elsewhere,
    )


def _epochs_reached(trial: Trial) -> str:
    # In a column that is never dropped, since a reused score appears twice.
    return f"{trial.epochs}" if trial.was_trained else f"reused {trial.epochs}"


def _time(trial: Trial) -> str:
    ended = trial.status == COMPLETED and trial.was_trained
    return duration(trial.setup_seconds + trial.train_seconds) if ended else ""


def trial_details(view: RunView, trial: Trial, history: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    """Show one trial in full."""
    grid = is_grid(view)
    axes = ", ".join(f"{name} {shown(value)}" for name, value in trial.architecture.items() if value is not None)
    facts = {
        "Trial": f"{trial.trial} of {view.folder.full_name}, {_outcome(view, trial)}",
        "Architecture": trial.name,
        "Axes": axes,
        "Depth": f"{trial.depth:,} layers with weights",
        "Parameters": f"{trial.params:,}",
        "MACs": f"{trial.macs:,} for one image",
        "Recipe": ", ".join(f"{name} {shown(value)}" for name, value in trial.recipe.items()),
        "Seed": f"{trial.repeat}" if trial.repeat else "",
        "Candidate": "" if grid else f"{trial.candidate}",
        "Rung": "" if grid else f"{trial.rung} of bracket {trial.bracket}, iteration {trial.iteration}",
        "Epochs": _epochs(trial),
        "Times": _times(trial),
        "Checkpoint": describe(view, trial) if trial.status == COMPLETED else "",
        "Failed with": trial.reason,
        "Details": _details(view, trial),
    }
    width = max(map(len, facts)) + 2
    yield from (Hanging(f"{name:<{width}}{value}", width) for name, value in facts.items() if value)
    if not grid:
        yield Text()
        yield trials_table(view.chain(trial), "Promotions, first rung first", status=False)
    if history:
        yield Text()
        yield from _curve(history, accuracy_name(view))


def _details(view: RunView, trial: Trial) -> str:
    path = view.folder.trial(trial.trial) / FAILURE
    return str(path) if trial.status == FAILED and path.is_file() else ""


def shown(value: Any) -> str:
    """Format a value of an architecture or a recipe."""
    if isinstance(value, list):
        return "-".join(map(shown, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _outcome(view: RunView, trial: Trial) -> str:
    seen = " on images that it was trained on" if is_final(view) else ""
    ending = f" with a score of {percent(trial.score)}{seen}" if trial.score is not None else ""
    losses = f"; its worker was lost {trial.losses} times" if trial.losses else ""
    parts = f"; each batch in {trial.parts} parts to save memory" if trial.parts > 1 else ""
    return f"{trial.status}{ending}{losses}{parts}"


def _epochs(trial: Trial) -> str:
    if trial.reused:
        return f"{trial.epochs}, reused from trial {trial.parent}"
    if trial.taken:
        return f"{trial.epochs}, reused from {trial.taken}"
    origin = f", continuing trial {trial.parent}" if trial.parent else ""
    return f"{trial.initial_epoch} to {trial.epochs}{origin}"


def _times(trial: Trial) -> str:
    if trial.status != COMPLETED or not trial.was_trained:
        return ""
    epoch = duration(trial.train_seconds / max(1, trial.trained_epochs))
    return f"{duration(trial.setup_seconds)} to set up, {duration(trial.train_seconds)} to train, {epoch} an epoch"


def _curve(history: Sequence[dict[str, Any]], accuracy: str) -> Iterable[RenderableType]:
    first, last = history[0]["epoch"], history[-1]["epoch"]
    for key, name, written in (("val_accuracy", accuracy, percent), ("loss", "Training loss", loss)):
        values = [float(entry[key]) for entry in history if entry.get(key) is not None]
        if not values:
            continue
        if len(values) == 1:
            yield line(f"{name} after epoch {last}: {written(values[0])}")
            continue
        span = f"lowest {written(min(values))}, highest {written(max(values))}, last {written(values[-1])}"
        yield Hanging(f"{name}, epochs {first} to {last}: {span}", 2)
        yield line(f"  {spark(values, _CURVE)}", "cyan")


def checks_table(checks: Sequence[Any]) -> Iterable[RenderableType]:
    """Show the doctor's findings, each with its cure below."""
    styles = {"ok": "green", "warning": "yellow", "problem": "red"}
    for check in checks:
        text = f"{check.status:<{_STATUS}}{check.name}: {check.text}"
        yield Hanging(text, _STATUS, word_style=styles[check.status])
        if check.cure:
            yield Hanging(f"{'':<{_STATUS}}{check.cure}", _STATUS, "dim")


def repairs(done: Sequence[str]) -> Iterable[RenderableType]:
    """Show the doctor's repairs."""
    word = "Repaired: "
    return (Hanging(f"{word}{sentence}", len(word)) for sentence in done)
