"""What the terminal says about a run's images: how many there are, and how reliable scores on them are."""

from __future__ import annotations

import math
from collections.abc import Iterable

from resnet_search.report.facts import duplicates_of, known_test, times_read
from resnet_search.report.kind import is_final, is_single
from resnet_search.report.known import NOTHING_GAINED, difference, known_names, longest_of_known
from resnet_search.report.learning import CURES, learning
from resnet_search.report.ties import ties
from resnet_search.report.units import accuracy, counted, percent, standard_error
from resnet_search.runs.after import reads_of_test_images
from resnet_search.runs.trials import RunView, Trial
from resnet_search.training.recipe import recipe_from

# An epoch shorter than the memory of SGD's momentum, 1 / (1 - 0.9) steps, moves the weights very little.
FEW_STEPS = 10
# Smallest batch with usable batch-norm statistics.
_LEAST_BATCH = 8
# From ResNet-20 to ResNet-110, CIFAR-10's error falls by 2.3 points (He et al. 2015, table 6): a search cannot see such
# a difference with a larger standard error.
LARGE_ERROR = 0.02


def images_line(view: RunView) -> str:
    """Return the classes, and the use of each part of the images."""
    data = view.content["data"]
    validation, reads = f"{int(data['validation']):,}", len(reads_of_test_images(view))
    if is_final(view):
        # Before its training, the network's own read is still to come.
        own = "to be read once, at the end" if known_test(view) is None else times_read(reads)
        used = f"the {validation} validation images included, {int(data['test']):,} test ({own})"
    else:
        used = f"{validation} to validate, {int(data['test']):,} test ({times_read(reads)})"
    same = duplicates_of(data).test_in_train
    more = f"; {counted(same, 'test image')} {'equals' if same == 1 else 'equal'} a training image" if same else ""
    return f"Images     {len(data['classes']):,} classes, {int(data['train']):,} to train on, {used}{more}"


def notes(view: RunView) -> list[str]:
    """Return the notes from reading the images, and a warning if an epoch has few steps."""
    return [*map(str, view.content["data"]["notes"]), *_few_steps(view)]


def _few_steps(view: RunView) -> Iterable[str]:
    recipe, images = view.content["recipe"], int(view.content["data"]["train"])
    batch = _largest_batch(view, images)
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


def _largest_batch(view: RunView, images: int) -> int:
    """Return the largest batch that trials may have."""
    varied = view.content["space"]["recipe"].get("batch_size")
    if isinstance(varied, dict):
        return min(images, int(varied["max"]))
    if isinstance(varied, list):
        return min(images, int(max(varied)))
    return recipe_from(view.content["recipe"]).batch_for(images)


def of_images(share: float | None, images: int) -> str:
    """Format an accuracy with its standard error, unless all images are right or all wrong."""
    return f"{accuracy(share or 0.0, images)} on {counted(images, 'validation image')}"


def best_lines(view: RunView) -> Iterable[str]:
    """Yield the best score with its uncertainty, and advice if it is chance or there are too few validation images."""
    ranked, images = view.ranking(), int(view.content["data"]["validation"])
    if not ranked:
        yield from nothing_learnt(view)
        return
    found = learning(view)
    if found.nothing:
        yield f"Best       {of_images(ranked[0].score, images)}; not significantly better than {found.of_chance}"
        yield from nothing_learnt(view)
        return
    tied = ties(view, ranked)
    comparison = f"; {counted(len(tied.tied), 'other')} tied with it ({tied.test})" if tied.tied else ""
    yield f"Best       {of_images(ranked[0].score, images)}{comparison}"
    yield from _against_baselines(view, ranked[0])
    share = ranked[0].score or 0.0
    if tied.tied and 0 < share < 1 and standard_error(share, images) > LARGE_ERROR:
        yield (
            "Note       With so few images, close networks cannot be distinguished. Hold back more in a new run with "
            "--validation, or find out with confirm which of the best are tied"
        )


def _against_baselines(view: RunView, best: Trial) -> Iterable[str]:
    """Yield how far the best network is ahead of each baseline, or that it is a baseline itself."""
    names = known_names(view)
    if best.candidate in names:
        yield f"Baseline   {names[best.candidate]}{NOTHING_GAINED}"
        return
    for known in longest_of_known(view):
        ahead = difference(view, best, known)
        yield f"Baseline   {names[known.candidate]}: {percent(known.score)}; best minus baseline: {ahead}"


def nothing_learnt(view: RunView) -> Iterable[str]:
    """Yield that nothing beats chance, and what to change; nothing if something does."""
    found = learning(view)
    if found.nothing:
        yield f"Note       {found.words}"
        yield f"Note       {CURES}"
