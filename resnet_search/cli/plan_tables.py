"""What `plan` and `spaces` show: rich renderables of search spaces and plans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from resnet_search.cli.grid import Column, Grid, Hanging
from resnet_search.cli.tables import line, shown
from resnet_search.cli.text import count
from resnet_search.cli.timing import Time
from resnet_search.networks.presets import PRESETS
from resnet_search.report.units import about, between, counted
from resnet_search.search.counted import Counted
from resnet_search.spaces.feasible import Feasible
from resnet_search.spaces.plan import Plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.datasets.duplicates import Duplicates
from resnet_search.training.length import in_epochs

MOST_NETWORKS = 40  # shown networks of a grid
MOST_VALUES = 12  # shown values of an axis
LARGEST_COUNT = 10**15  # largest number that is written out


def spaces_table(spaces: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    """Show spaces as `cli.spaces` describes them: a paragraph each, then a table of the valid ones."""
    good = [space for space in spaces if "mistakes" not in space]
    for space in spaces:
        yield line(space["name"], "bold")
        if "mistakes" in space:
            yield line("cannot be searched: " + "; ".join(space["mistakes"]), "red")
        else:
            yield line(f"{space['description']}\n{_axes(space['axes'])}")
        yield line(space["path"], "dim")
        yield Text()
    # Last, so that it stays on the screen.
    yield Grid(
        [
            Column("space", [space["name"] for space in good]),
            Column("feasible", [_share(space) for space in good], right=True),
            Column("parameters", [_span(space["params"]) for space in good], right=True),
            Column("MACs", [_span(space["macs"]) for space in good], right=True),
            Column("trials", [f"{space['trials']:,}" for space in good], right=True),
            Column("epochs", [f"{space['epochs']:,}" for space in good], right=True),
            Column("data", [space["data"] for space in good], spare=1),
        ]
    )


def _share(space: dict[str, Any]) -> str:
    if space["exact"]:
        return f"{space['feasible']:,} of {space['total']:,}"
    found, total = (
        count(number) if number < LARGEST_COUNT else f"{number:.3g}" for number in (space["feasible"], space["total"])
    )
    return f"~{found} of {total}"


def _span(bounds: Sequence[int]) -> str:
    low, high = (count(bound) for bound in bounds)
    return f"{low} to {high}"


def _axes(axes: dict[str, Any]) -> str:
    return "; ".join(f"{name} {_listed(values)}" for name, values in axes.items())


def _listed(values: Sequence[Any]) -> str:
    words = [shown(value) for value in values]
    if len(words) > MOST_VALUES:
        words[MOST_VALUES - 2 : -1] = ["..."]
    return ", ".join(words)


def plan_tables(
    space: SearchSpace, plan: Plan, time: Time, images: Counted, copies: Duplicates | None = None
) -> Iterable[RenderableType]:
    """Show the brackets and rungs, or the networks of a grid; feasible and excluded architectures; and the cost."""
    yield from _grid(plan.feasible) if plan.method == "grid" else _brackets(plan)
    yield Text()
    yield from map(Hanging, _feasible(plan.feasible))
    yield Text()
    yield from map(Hanging, [*_images(space, images), *_copies(copies), *plan_totals(plan, time)])


def _brackets(plan: Plan) -> Iterable[RenderableType]:
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
                "total epochs",
                [f"{in_epochs(rung.size * (rung.epochs - rung.initial_epoch)):,}" for _, rung in rungs],
                right=True,
            ),
        ]
    )


def _grid(feasible: Feasible) -> Iterable[RenderableType]:
    """Show the networks of a grid in the order of their training, with their model names if they have one."""
    named = {preset.architecture: preset.name for preset in PRESETS.values()}
    rows = list(zip(feasible.architectures, feasible.costs, strict=True))[:MOST_NETWORKS]
    yield Grid(
        [
            Column("architecture", [architecture.name for architecture, _ in rows]),
            Column("model", [named.get(architecture, "") for architecture, _ in rows], spare=1),
            Column("depth", [f"{architecture.depth}" for architecture, _ in rows], right=True),
            Column("params", [count(cost.trainable) for _, cost in rows], right=True),
            Column("MACs", [count(cost.macs) for _, cost in rows], right=True),
        ]
    )
    if feasible.count > len(rows):
        yield line(f"and {feasible.count - len(rows):,} more", "dim")


def _feasible(feasible: Feasible) -> Iterable[str]:
    exact = feasible.exact
    estimate = "" if exact else f" (95 % interval {between(*feasible.interval)}; --count gives the exact number)"
    yield f"Feasible   {about(feasible.count, exact=exact)} of {_many(feasible.total)} architectures{estimate}"
    for reason, number in sorted(feasible.excluded.items(), key=lambda item: -item[1]):
        why = f": {reason}"
        if reason in feasible.explained:
            why = f' by rule "{reason}", such as: {feasible.explained[reason]}'
        yield f"Excluded   {about(number, exact=exact)}{why}"


def _images(space: SearchSpace, images: Counted) -> Iterable[str]:
    """Describe the images, or the assumptions made before they are read."""
    if images.classes is None:
        yield f"Images     {images.planned_classes} classes are assumed; a run uses the number that it reads"
    else:
        used = f"{images.train:,} to train on, {images.validation:,} to validate, {images.test:,} test"
        yield f"Images     {images.classes:,} {'class' if images.classes == 1 else 'classes'}, {used}"
    for note in images.notes:
        yield f"Note       {note}"
    if not images.here:
        yield f"Download   {space.data.source} is not on this machine; a run tries to download it"


def _copies(copies: Duplicates | None) -> Iterable[str]:
    """Count equal images, as far as the bytes of their files show them."""
    if copies is not None and copies.train:
        equal = f"{counted(copies.train, 'training image')} are only {copies.groups:,} different, byte for byte"
        side = "a run compares the pixels, and keeps equal images on one side of the validation split"
        yield f"Equal      {equal}; {side}"
    if copies is not None and copies.test_in_train:
        yield f"In train   {counted(copies.test_in_train, 'test image')}, byte for byte; a run compares the pixels"


def _many(number: int) -> str:
    return f"{number:,}" if number < LARGEST_COUNT else f"{number:.3g}"


def plan_totals(plan: Plan, time: Time) -> Iterable[str]:
    """Summarize the plan in a few lines."""
    todo = f"{counted(plan.candidates, 'candidate')}, {counted(plan.trials, 'trial')}, {counted(plan.epochs, 'epoch')}"
    if plan.method == "grid":
        todo = f"a grid: {counted(plan.candidates, 'network')}, each once, {counted(plan.epochs, 'epoch')}"
    if plan.draws_again:
        todo = f"at most {todo}: a candidate that is drawn again is not trained again"
    yield f"Search     {todo}"
    if plan.asynchronous:
        most = f"{counted(plan.most_trials, 'trial')}, {counted(plan.most_epochs, 'epoch')}"
        yield f"Promotion  async: the best so far are promoted at once, so rungs may grow, to at most {most} in total"
    if plan.full_epochs > plan.epochs:
        times = plan.full_epochs / plan.epochs  # how much halving saves
        every = f"{plan.full_epochs:,} epochs if every candidate were trained to the end"
        yield f"In full    {every}, {times:.1f} times as many"
    if plan.final_epochs is not None:
        those = f"the best {plan.finalists} to epoch {plan.finalists_until} and " if plan.finalists > 1 else ""
        yield (
            f"Then       trains {those}the best one to epoch {plan.final_epochs}, "
            f"{counted(plan.epochs_after, 'epoch')} more; a --time-budget may make this shorter"
        )
    yield from time.lines()
