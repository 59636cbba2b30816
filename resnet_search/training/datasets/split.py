"""Validation as a seeded, stratified part of train."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resnet_search.errors import DataError
from resnet_search.training.datasets.duplicates import first_of_equal
from resnet_search.training.datasets.grouped import choose_groups
from resnet_search.training.datasets.image_data import ImageData, some
from resnet_search.training.split_sizes import all_equal, check_rare, no_split, split_sizes

if TYPE_CHECKING:  # A plan imports this package, and does not wait for NumPy.
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into x_train, int64, ascending, without an image in common."""

    train_index: NDArray[np.int64]
    validation_index: NDArray[np.int64]


def split(
    data: ImageData,
    *,
    validation: float,
    seed: int,
    train_examples: int | None = None,
    groups: NDArray[np.int64] | None = None,
) -> Split:
    """Divide the train images of `data` into those to train on and those to validate on, each class in proportion.

    Images of one group stay on one side. `groups` gives the group of each image, by default the images with the same
    pixels; sizes are then as near to what is asked as whole groups allow, and exact without equal images.

    `validation` is a number of images (int) or a fraction of train (float between 0 and 1). `train_examples` keeps
    that many of the rest to train on; None keeps all. Every class has an image on both sides. The order within a
    class is drawn from `seed` (0 is a seed like any other) by a bit generator whose stream is the same on every
    platform; validation is taken from its front and training images follow, so that validation does not depend on
    `train_examples`. Raises DataError where the numbers do not fit the images.
    """
    import numpy as np

    labels, counts = np.unique(data.y_train, return_counts=True)
    total, classes = len(data.y_train), len(labels)
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise DataError(f"seed: {seed!r} is not a whole number of 0 or more", "Give one such as 0.")
    check_rare((data.classes[label], int(count)) for label, count in zip(labels, counts, strict=True))
    held, kept = split_sizes(total, classes, validation=validation, train_examples=train_examples)
    held_of = _apportion(counts, held, counts - 1)
    orders = [
        _shuffled(np.flatnonzero(data.y_train == label), f"split/{int(seed)}/{label}") for label in labels.tolist()
    ]
    groups = first_of_equal(data.x_train) if groups is None else groups
    validated = _in_groups(data, orders, held_of, groups)
    free = [order[~validated[order]] for order in orders]
    left = np.array([len(order) for order in free], np.int64)
    kept_of = _apportion(left, left.sum() if train_examples is None else min(kept, left.sum()), left)
    train = [order[:in_train] for order, in_train in zip(free, kept_of, strict=True)]
    return Split(train_index=np.sort(np.concatenate(train)), validation_index=np.flatnonzero(validated))


def _in_groups(
    data: ImageData, orders: list[NDArray[np.int64]], held_of: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which images are validated on: the first of each class in the draw, as far as that divides no group."""
    import numpy as np

    validated = np.zeros(len(data.y_train), bool)
    if len(np.unique(groups)) == len(groups):
        for order, in_validation in zip(orders, held_of, strict=True):
            validated[order[:in_validation]] = True
        return validated
    drawn = ((group, place) for place, order in enumerate(orders) for group in groups[order].tolist())
    chosen = choose_groups(drawn, held_of.tolist(), [len(order) for order in orders])
    if chosen is None:
        alone = [data.classes[data.y_train[order[0]]] for order in orders if len(np.unique(groups[order])) == 1]
        if alone:
            raise all_equal(some(alone))
        raise no_split("equal images under different classes leave no way to have every class on both sides")
    validated[np.isin(groups, list(chosen))] = True
    return validated


def _apportion(counts: NDArray[np.int64], seats: int, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """`seats` divided in proportion to `counts` by largest remainder; each class gets at least 1, at most `most`."""
    import numpy as np

    total = int(counts.sum())
    quotas = [seats * int(count) for count in counts]  # times total: whole numbers, the same on every machine
    given = np.array([quota // total for quota in quotas], np.int64).clip(1, most)
    while (left := seats - int(given.sum())) != 0:
        step = 1 if left > 0 else -1
        lacking = [step * (quota - total * int(has)) for quota, has in zip(quotas, given, strict=True)]
        movable = [(has < top) if step > 0 else (has > 1) for has, top in zip(given, most, strict=True)]
        given[max(range(len(given)), key=lambda i: (movable[i], lacking[i], -i))] += step
    return given


def _shuffled(items: NDArray[np.int64], key: str) -> NDArray[np.int64]:
    import numpy as np

    # Raw bits, since NumPy keeps their stream stable but not its shuffles.
    bits = np.random.PCG64(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big"))
    return items[np.argsort(bits.random_raw(len(items)), kind="stable")]
