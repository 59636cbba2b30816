"""What the terminal says about a run's images: how many there are, and how reliable scores on them are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from resnet_search.cli.text import score
from resnet_search.report.course import near_the_first
from resnet_search.report.kind import is_final, is_single
from resnet_search.report.units import counted, standard_error
from resnet_search.runs.trials import RunView

# An epoch shorter than the memory of SGD's momentum, 1 / (1 - 0.9) steps, hardly moves the weights.
FEW_STEPS = 10
# Smallest batch with usable batch-norm statistics.
_LEAST_BATCH = 8
# From ResNet-20 to ResNet-110, CIFAR-10's error falls by 2.3 points (He et al. 2015, table 6): a search cannot see such
# a difference with a larger standard error.
LARGE_ERROR = 0.02


def images_line(view: RunView) -> str:
    """Return the classes, and the use of each part of the images."""
    data = view.content["data"]
    validation = f"{int(data['validation']):,}"
    used = (
        f"the {validation} validation images included, {int(data['test']):,} test (read once, at the end)"
        if is_final(view)
        else f"{validation} to validate, {int(data['test']):,} test (not read)"
    )
    return f"Images     {len(data['classes']):,} classes, {int(data['train']):,} to train on, {used}"


def notes(view: RunView) -> list[str]:
    """Return the notes from reading the images, and a warning if an epoch has few steps."""
    return [*map(str, view.content["data"]["notes"]), *_few_steps(view)]


def _few_steps(view: RunView) -> Iterable[str]:
    recipe, images = view.content["recipe"], int(view.content["data"]["train"])
    batch = min(images, _largest(view.content["space"]["recipe"].get("batch_size", recipe.get("batch_size", 1))))
    # Following runs train as their search did; ImageNet weights need few steps.
    if view.content.get("of") or recipe.get("init") == "imagenet" or images // batch >= FEW_STEPS:
        return
    smaller = max(_LEAST_BATCH, 2 ** int(math.log2(max(1, images // FEW_STEPS))))
    single = is_single(view)
    cures = [f"--batch-size {smaller}" if single else f"batch_size = {smaller} under [recipe] of the space"]
    cures = cures * (smaller < batch) + ["--init imagenet" if single else "ImageNet weights, as in docs/train.md"]
    yield (
        f"{counted(images, 'image')} in batches of {batch} make only {counted(images // batch, 'step')} an epoch, too "
        f"few to learn much. What helps: {'; '.join(cures)}"
    )


def _largest(batch_size: Any) -> int:
    """Return the largest batch size that trials may have."""
    if isinstance(batch_size, dict):
        return int(batch_size["max"])
    return int(max(batch_size)) if isinstance(batch_size, list | tuple) else int(batch_size)


def of_images(share: float | None, images: int) -> str:
    """Format an accuracy with its standard error, unless all images are right or all wrong."""
    of = f"on {counted(images, 'validation image')}"
    if share is None or not 0 < share < 1:
        return f"{score(share)} {of}"
    return f"{score(share)} ± {standard_error(share, images):.4f} {of}"


def best_lines(view: RunView) -> Iterable[str]:
    """Yield the best score with its uncertainty, and advice if there are too few validation images."""
    ranked, images = view.ranking(), int(view.content["data"]["validation"])
    if not ranked:
        return
    near, _ = near_the_first(ranked, images)
    tied = f"; {counted(len(near), 'other')} tied with it" if near else ""
    yield f"Best       {of_images(ranked[0].score, images)}{tied}"
    share = ranked[0].score or 0.0
    if near and 0 < share < 1 and standard_error(share, images) > LARGE_ERROR:
        yield (
            "Note       With so few images, close networks cannot be distinguished. Hold back more in a new run with "
            "--validation, or find out with confirm which of the best are tied"
        )
