"""How many training images a split takes: by arithmetic, so that a plan need not read the images."""

from __future__ import annotations

from numbers import Integral, Real

from resnet_search.errors import DataError


def split_sizes(total: int, classes: int, *, validation: float, train_examples: int | None = None) -> tuple[int, int]:
    """Images to validate on and images to train on, of `total` training images in `classes` classes.

    `validation` and `train_examples` are those of `datasets.split`. Raises DataError where they do not fit the images.
    """
    held = _validation_images(validation, total, classes)
    free = total - held
    return held, free if train_examples is None else _train_images(train_examples, held, free, classes)


def _validation_images(validation: float, total: int, classes: int) -> int:
    allowed = f"a number of images from {classes} (one a class) to {total - classes}, or a fraction of the {total}"
    cure = "Give one such as 0.1, or add training images."
    if isinstance(validation, bool) or not isinstance(validation, Real):
        raise DataError(f"validation: {validation!r} is not a number; allowed is {allowed}", cure)
    if not isinstance(validation, Integral):
        if not 0 < validation < 1:
            raise DataError(f"validation: the fraction {validation} is not between 0 and 1; allowed is {allowed}", cure)
        images = round(float(validation) * total)
    else:
        images = int(validation)
    if not classes <= images <= total - classes:
        what = f"{images} images" if images == validation else f"{validation} ({images} images)"
        raise DataError(f"validation: {what} of {total} training images; allowed is {allowed}", cure)
    return images


def _train_images(train_examples: int, held: int, free: int, classes: int) -> int:
    if (
        not isinstance(train_examples, Integral)
        or isinstance(train_examples, bool)
        or not classes <= train_examples <= free
    ):
        raise DataError(
            f"train_examples: {train_examples!r} is not a number of images from {classes} (one a class) to {free} "
            f"(what {held} images of validation leave)",
            "Take another number, or less validation.",
        )
    return int(train_examples)
