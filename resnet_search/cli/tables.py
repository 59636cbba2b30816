"""What the commands that read show: rich renderables of plans, runs, trials and checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from resnet_search.cli.grid import Column, Grid
from resnet_search.cli.text import count, moment, roughly, safe, score
from resnet_search.report.units import counted, duration, sparkline
from resnet_search.runs.trials import COMPLETED, RunView, Trial
from resnet_search.spaces.plan import Plan, Speed

# A time is told for so many images where their number is not known before they are read.
UNKNOWN_IMAGES = 10_000


def line(text: str, style: str = "") -> Text:
    """A line, or several, of text that comes from anywhere."""
    return Text(safe(text, lines=True), style=style)


def spaces_table(spaces: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    """The spaces as `cli.spaces` describes them: a table of those that can be searched, and a paragraph each."""
    good = [space for space in spaces if "mistakes" not in space]
    yield Grid(
        [
            Column("space", [space["name"] for space in good]),
            Column("feasible", [f"{space['feasible']:,} of {space['total']:,}" for space in good], right=True),
            Column("parameters", [_span(space["params"]) for space in good], right=True),
            Column("MACs", [_span(space["macs"]) for space in good], right=True),
            Column("trials", [f"{space['trials']:,}" for space in good], right=True),
            Column("epochs", [f"{space['epochs']:,}" for space in good], right=True),
            Column("data", [space["data"] for space in good], spare=1),
        ]
    )
    for space in spaces:
        yield Text()
        yield line(space["name"], "bold")
        if "mistakes" in space:
            yield line("cannot be searched: " + "; ".join(space["mistakes"]), "red")
        else:
            yield line(f"{space['description']}\n{_axes(space['axes'])}")
        yield line(space["path"], "dim")


def _span(bounds: Sequence[int]) -> str:
    low, high = (count(bound) for bound in bounds)
    return f"{low} to {high}"


def _axes(axes: dict[str, Any]) -> str:
    return "; ".join(f"{name} {', '.join(map(str, values))}" for name, values in axes.items())


def plan_tables(plan: Plan, speed: Speed, images: int | None) -> Iterable[RenderableType]:
    """Brackets and rungs, what is feasible and what is not, and the cost of it all."""
    rungs = [(bracket, rung) for bracket in plan.brackets for rung in bracket.rungs]
    several = plan.brackets[-1].iteration > 0
    iteration = [Column("iteration", [f"{bracket.iteration}" for bracket, _ in rungs], right=True)] if several else []
    yield Grid(
        [
            *iteration,
            Column("bracket", [f"{bracket.number}" for bracket, _ in rungs], right=True),
            Column("rung", [f"{rung.index}" for _, rung in rungs], right=True),
            Column("trials", [f"{rung.size:,}" for _, rung in rungs], right=True),
            Column("from epoch", [f"{rung.initial_epoch}" for _, rung in rungs], right=True),
            Column("to epoch", [f"{rung.epochs}" for _, rung in rungs], right=True),
            Column(
                "epochs in all",
                [f"{rung.size * (rung.epochs - rung.initial_epoch):,}" for _, rung in rungs],
                right=True,
            ),
        ]
    )
    yield Text()
    yield line("\n".join(_feasible(plan)))
    yield Text()
    yield line("\n".join(plan_totals(plan, speed, images)))


def _feasible(plan: Plan) -> Iterable[str]:
    feasible = plan.feasible
    yield f"Feasible   {len(feasible.architectures):,} of {feasible.total:,} architectures"
    for reason, number in sorted(feasible.excluded.items(), key=lambda item: -item[1]):
        yield f"Excluded   {number:,}: {reason}"


def plan_totals(plan: Plan, speed: Speed, images: int | None) -> Iterable[str]:
    """The plan in a few lines."""
    times = plan.full_epochs / plan.epochs  # What halving saves.
    yield f"Search     {plan.candidates:,} candidates, {counted(plan.trials, 'trial')}, {counted(plan.epochs, 'epoch')}"
    yield f"In full    {plan.full_epochs:,} epochs were every candidate trained to the end, {times:.1f} times as many"
    shown = images or UNKNOWN_IMAGES
    per = f"with {images:,} training images" if images else f"for every {UNKNOWN_IMAGES:,} training images"
    yield f"Time       {roughly(plan.seconds(speed, shown))} {per}"
    yield f"Speed      {count(speed.macs_per_second)} multiply-adds a second, {speed.source}"


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


def trials_table(trials: Sequence[Trial], title: str = "", elsewhere: str = "") -> RenderableType:
    """Trials in the order given. `elsewhere` says where columns are that a narrow terminal has no room for."""
    return Grid(
        [
            Column("trial", [trial.trial for trial in trials]),
            Column("candidate", [f"{trial.candidate}" for trial in trials], right=True, spare=3),
            Column("architecture", [trial.name for trial in trials]),
            Column("depth", [f"{trial.depth}" for trial in trials], right=True),
            Column("params", [count(trial.params) for trial in trials], right=True),
            Column("MACs", [count(trial.macs) for trial in trials], right=True),
            Column("bracket", [f"{trial.bracket}" for trial in trials], right=True, spare=1),
            Column("rung", [f"{trial.rung}" for trial in trials], right=True),
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
    axes = ", ".join(f"{name} {_value(value)}" for name, value in trial.architecture.items() if value is not None)
    facts = {
        "Trial": f"{trial.trial} of {view.folder.name}, {_outcome(trial)}",
        "Architecture": trial.name,
        "Axes": axes,
        "Depth": f"{trial.depth} layers with weights",
        "Parameters": f"{trial.params:,}",
        "MACs": f"{trial.macs:,} for one image",
        "Recipe": ", ".join(f"{name} {_value(value)}" for name, value in trial.recipe.items()),
        "Candidate": f"{trial.candidate}",
        "Rung": f"{trial.rung} of bracket {trial.bracket}, iteration {trial.iteration}",
        "Epochs": _epochs(trial),
        "Times": _times(trial),
        "Failed with": trial.reason,
    }
    width = max(map(len, facts)) + 2
    yield line("\n".join(f"{name:<{width}}{value}" for name, value in facts.items() if value))
    yield Text()
    yield trials_table(view.chain(trial), "Promotions, first rung first")
    if history:
        yield Text()
        yield from _curve(history)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _outcome(trial: Trial) -> str:
    ending = f" with a score of {score(trial.score)}" if trial.score is not None else ""
    losses = f"; its worker was lost {trial.losses} times" if trial.losses else ""
    return f"{trial.status}{ending}{losses}"


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
