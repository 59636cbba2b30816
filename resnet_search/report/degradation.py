"""The experiment that motivated residual networks: plain and residual networks of the same sizes, side by side.

He et al. 2015, section 1 and figures 1 and 6: with more layers the *training* error of plain networks grows, which
overfitting cannot explain; the training error of residual networks does not grow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resnet_search.errors import RunError
from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.inputs import trained_recipe
from resnet_search.report.names import named
from resnet_search.report.units import counted, percent, points, sparkline, standard_error
from resnet_search.runs.trials import RunView, Trial

PLAIN, RESIDUAL = "plain", "basic"  # blocks of the same two convolutions, without a shortcut and with one
PAPER_STEPS = 64_000  # of 128 images: He et al. 2015, section 4.2
_CURVE_WIDTH = 40
_CLEAR = 2.0  # standard errors of a difference


@dataclass(frozen=True, slots=True)
class Measured:
    """A network's errors after each epoch, as shares of images."""

    trial: Trial
    training: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Plain and residual networks that differ only in shortcut and depth; `shortcut`: that of the residual networks."""

    shortcut: str
    plain: dict[int, Measured]
    residual: dict[int, Measured]

    @property
    def depths(self) -> list[int]:
        """Return all depths that at least one network has."""
        return sorted({*self.plain, *self.residual})


def degradation(view: RunView) -> Section | None:
    """Return tables, curves and conclusions; None unless a plain and a residual network of the same size completed."""
    found = comparisons(view)
    if not found:
        return None
    blocks: list[Block] = []
    for each in found:
        blocks += _comparison(view, each, several=len(found) > 1)
    return Section("Degradation: plain against residual", (*blocks, _caveats(view)))


def comparisons(view: RunView) -> list[Comparison]:
    """List the comparisons between trials of the full budget that have at least one depth in common."""
    groups: dict[str, dict[str, dict[int, Measured]]] = {}
    for trial in view.ranking():
        block = trial.architecture["block"]
        measured = _measured(view, trial) if block in {PLAIN, RESIDUAL} else None
        if measured is not None:
            shortcut = trial.architecture["shortcut"] if block == RESIDUAL else PLAIN
            groups.setdefault(_rest(trial), {}).setdefault(shortcut, {})[trial.depth] = measured
    found = []
    for networks in groups.values():
        plain = networks.pop(PLAIN, {})
        found += [
            Comparison(shortcut, plain, residual) for shortcut, residual in networks.items() if set(plain) & {*residual}
        ]
    return found


def _rest(trial: Trial) -> str:
    """Return what both networks must share besides the depth: stages, the other axes, the recipe."""
    axes = {axis: value for axis, value in trial.architecture.items() if axis not in {"block", "shortcut", "blocks"}}
    return repr((len(trial.architecture["blocks"]), sorted(axes.items()), sorted(trial.recipe.items())))


def _measured(view: RunView, trial: Trial) -> Measured | None:
    """Return the errors of a trial; None if its history cannot be read or has gaps."""
    try:
        lines = view.history(trial)
        training = tuple(1 - float(line["accuracy"]) for line in lines)
        validation = tuple(1 - float(line["val_accuracy"]) for line in lines)
    except (RunError, LookupError, TypeError, ValueError):
        return None
    return Measured(trial, training, validation) if len(lines) == trial.epochs else None


def _comparison(view: RunView, each: Comparison, *, several: bool) -> Iterable[Block]:
    width = next(iter(each.plain.values())).trial.architecture["width"]
    which = f" Width {width}, shortcut {each.shortcut}:" if several else ""
    yield Paragraph(f"{_said(view, each)}{which}")
    rows = tuple((f"{depth}", *(percent(value) for value in _ends(each, depth))) for depth in each.depths)
    header = (
        "Layers",
        "Training error, plain",
        "Training error, residual",
        "Validation error, plain",
        "Validation error, residual",
    )
    yield Table(header, rows, right=frozenset(range(len(header))))
    shown = [side[depth] for depth in each.depths for side in (each.plain, each.residual) if depth in side]
    if len(shown[0].training) > 1:
        yield from _curves(shown)


def _ends(each: Comparison, depth: int) -> tuple[float | None, ...]:
    """Return the training errors of both networks, then the validation errors; empty for a missing network."""
    plain, residual = each.plain.get(depth), each.residual.get(depth)
    training = (side.training[-1] if side else None for side in (plain, residual))
    validation = (side.validation[-1] if side else None for side in (plain, residual))
    return (*training, *validation)


def _curves(shown: Sequence[Measured]) -> Iterable[Block]:
    values = [value for measured in shown for value in (*measured.training, *measured.validation)]
    span = (min(values), max(values))
    rows = tuple(
        (
            named(measured.trial),
            Code(sparkline(measured.training, _CURVE_WIDTH, span)),
            Code(sparkline(measured.validation, _CURVE_WIDTH, span)),
        )
        for measured in shown
    )
    yield Paragraph(
        f"The errors from epoch 1 to epoch {len(shown[0].training)}, all curves on the same scale from "
        f"{percent(span[0], 1)} (lowest bar) to {percent(span[1], 1)} (highest):"
    )
    yield Table(("Network", "Training error", "Validation error"), rows)


def _said(view: RunView, each: Comparison) -> str:
    """Return what the training errors show, in a few sentences."""
    images = int(view.content["data"]["train"])
    plain, residual = (_change(side, images) for side in (each.plain, each.residual))
    shared = max(set(each.plain) & set(each.residual))
    gap = _Difference(each.residual[shared].training[-1], each.plain[shared].training[-1], images)
    sides = f"At {shared} layers the plain network's training error is {gap.words} the residual one's."
    if plain is None or residual is None:
        return f"{sides} The effect of depth shows only with two depths of each kind."
    changes = f"{plain.told('plain')} {residual.told('residual')}"
    shows = plain.direction > 0
    ending = _shown(residual.direction) if shows else _NOT_SHOWN
    return f"{changes} {sides} {ending}{_early(_steps(view), shows=shows)}"


_NOT_SHOWN = (
    "This run does not show the degradation of He et al. 2015: the training error of plain networks does not grow "
    "with depth."
)


def _shown(residual: int) -> str:
    fits = "the deeper plain network fits its own training images worse than the shallower one"
    if residual > 0:
        return f"Depth hurts both kinds here: {fits}, and so does the deeper residual network."
    return f"This is the degradation of He et al. 2015: {fits}. With shortcuts, the deeper network does not."


def _early(steps: int, *, shows: bool) -> str:
    """Return a caveat if the training is much shorter than in the paper."""
    if steps >= PAPER_STEPS / 2:
        return ""
    doubt = "the deeper network may simply learn more slowly" if shows else "the effect may not be visible yet"
    return f" After {steps:,} steps (the paper: {PAPER_STEPS:,}), {doubt}."


def _steps(view: RunView) -> int:
    images = int(view.content["data"]["train"])
    return view.max_epochs * (images // min(images, int(trained_recipe(view)["batch_size"])))


@dataclass(frozen=True, slots=True)
class _Difference:
    """The difference between two errors, both measured on `images` images."""

    before: float
    after: float
    images: int

    @property
    def direction(self) -> int:
        """Return 1 if clearly higher, -1 if clearly lower, 0 if within two standard errors of a difference."""
        error = math.hypot(*(standard_error(value, self.images) for value in (self.before, self.after)))
        change = self.after - self.before
        return 0 if abs(change) <= _CLEAR * error else int(math.copysign(1, change))

    @property
    def words(self) -> str:
        if self.direction == 0:
            return "about the same as"
        return f"{points(abs(self.after - self.before))} {'higher' if self.direction > 0 else 'lower'} than"


@dataclass(frozen=True, slots=True)
class _Change(_Difference):
    shallow: int
    deep: int

    def told(self, kind: str) -> str:
        return (
            f"From {self.shallow} to {self.deep} layers, the training error of the {kind} networks changes from "
            f"{percent(self.before)} to {percent(self.after)}{' (about the same)' if self.direction == 0 else ''}."
        )


def _change(side: dict[int, Measured], images: int) -> _Change | None:
    """Return the change from the shallowest to the deepest network."""
    shallow, deep = min(side), max(side)
    if shallow == deep:
        return None
    return _Change(side[shallow].training[-1], side[deep].training[-1], images, shallow, deep)


def _caveats(view: RunView) -> Paragraph:
    text: Text = (
        "Each network was trained once (n = 1). Another seed changes these numbers by more than the standard error of "
        f"{counted(int(view.content['data']['validation']), 'validation image')}. The training error is the mean over "
        "the last epoch, on augmented images (shifted and mirrored) and while the weights were still changing."
    )
    return Paragraph(text)
