"""Compute the sizes of a split by arithmetic, so that a plan need not read the images."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real

from resnet_search.errors import DataError

_NAMED = 5  # classes named in a message; the rest is counted


def split_sizes(total: int, classes: int, *, validation: float, train_examples: int | None = None) -> tuple[int, int]:
    """Return the numbers of validation and training images, from `total` training images in `classes` classes.

    `validation` and `train_examples` are those of `datasets.split`. Raises DataError if they do not fit the images.
    """
    held = _validation_images(validation, total, classes)
    free = total - held
    return held, free if train_examples is None else _train_images(train_examples, held, free, classes)


def subset_validation(validation: float, total: int, train_examples: int | None) -> float:
    """Return the default validation size for `total` training images; `train_examples` (None: all) are used.

    With a subset of the images, validation is smaller too: a quarter as many, but 1,000 if `validation` has them.
    """
    if train_examples is None:
        return validation
    planned = round(validation * total) if isinstance(validation, float) else int(validation)
    return min(planned, max(1000, train_examples // 4))


def check_rare(images: Iterable[tuple[str, int]]) -> None:
    """Raise DataError if a class has too few training images to split; `images`: the number in each class."""
    rare = [name for name, count in images if count < 2]  # noqa: PLR2004
    if rare:
        named = ", ".join(rare[:_NAMED]) + (f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else "")
        raise DataError(
            f"split: 1 training image in {named}; allowed: 2 or more per class, for training and validation",
            "Add training images to these classes, or remove them.",
        )


def all_equal(classes: str) -> DataError:
    """Return the error for classes whose training images are all equal; `classes` names them."""
    return no_split(f"all training images of {classes} are equal")


def no_split(what: str) -> DataError:
    """Return the error for equal images that leave no way to divide the training images."""
    return DataError(
        f"split: {what}; allowed: 2 or more different images per class, for training and validation",
        "Add different images to these classes, or remove them.",
    )


def _validation_images(validation: float, total: int, classes: int) -> int:
    allowed = f"a number of images from {classes} (one per class) to {total - classes}, or a fraction of the {total}"
    cure = "Give one such as 0.1, or add training images."
    if isinstance(validation, bool) or not isinstance(validation, Real):
        raise DataError(f"validation: {validation!r} is not a number; allowed: {allowed}", cure)
    if not isinstance(validation, Integral):
        if not 0 < validation < 1:
            raise DataError(f"validation: the fraction {validation} is not between 0 and 1; allowed: {allowed}", cure)
        images = round(float(validation) * total)
    else:
        images = int(validation)
    if not classes <= images <= total - classes:
        what = f"{images} images" if images == validation else f"{validation} ({images} images)"
        raise DataError(f"validation: {what} of {total} training images; allowed: {allowed}", cure)
    return images


def _train_images(train_examples: int, held: int, free: int, classes: int) -> int:
    if (
        not isinstance(train_examples, Integral)
        or isinstance(train_examples, bool)
        or not classes <= train_examples <= free
    ):
        raise DataError(
            f"train_examples: got {train_examples!r}; allowed: a number of images from {classes} (one per class) to "
            f"{free} (the rest after {held} validation images)",
            "Use another number, or a smaller validation set.",
        )
    return int(train_examples)
