"""Images with equal pixels, in train and across train and test: which they are, and how many."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from resnet_search.training.datasets.image_data import ImageData, Images, some

if TYPE_CHECKING:  # A plan imports this package, and does not wait for NumPy.
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Numbers of equal images.

    `train`: training images that equal another training image, in `groups` groups; `several_classes` of these hold
    images of different classes. `test_in_train`: test images that equal a training image.
    """

    train: int = 0
    groups: int = 0
    several_classes: int = 0
    test_in_train: int = 0

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def first_of_equal(images: Images) -> NDArray[np.int64]:
    """Return for each image the index of the first image with the same pixels."""
    import numpy as np

    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(_digest(image), index) for index, image in enumerate(images)], np.int64)


def find_duplicates(data: ImageData, *, grouped: bool = True) -> tuple[NDArray[np.int64], Duplicates, tuple[str, ...]]:
    """Return the groups of training images that a split keeps together, the numbers of equal images, and notes.

    A group is one image with all that equal it; without `grouped`, each image is a group.
    """
    import numpy as np

    seen: dict[bytes, int] = {}
    first = np.array([seen.setdefault(_digest(image), index) for index, image in enumerate(data.x_train)], np.int64)
    pairs = [(at, seen[digest]) for at, digest in enumerate(map(_digest, data.x_test)) if digest in seen]
    _, sizes = np.unique(first, return_counts=True)
    several = {int(group) for group in first[data.y_train != data.y_train[first]]}
    found = Duplicates(int(sizes[sizes > 1].sum()), int((sizes > 1).sum()), len(several), len(pairs))
    groups = first if grouped else np.arange(len(first))
    return groups, found, tuple(_notes(data, found, pairs, several, grouped=grouped))


def _digest(image: Images) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _notes(
    data: ImageData, found: Duplicates, pairs: list[tuple[int, int]], several: set[int], *, grouped: bool
) -> list[str]:
    def train(at: int) -> str:
        return data.train_files[at] if data.train_files else f"train[{at}]"

    def test(at: int) -> str:
        return data.test_files[at] if data.test_files else f"test[{at}]"

    notes = []
    if found.train:
        side = "kept on one side of the validation split" if grouped else "divided like others"
        notes.append(
            f"{found.train:,} of {len(data.x_train):,} training images equal another, pixel for pixel "
            f"({found.groups:,} different images); equal images are {side}"
        )
    if several:
        notes.append(
            f"{found.several_classes:,} of these different images {'has' if len(several) == 1 else 'have'} more than "
            f"one class: {some(map(train, sorted(several)))}"
        )
    if pairs:
        named = some(f"{test(at)} = {train(first)}" for at, first in pairs)
        notes.append(
            f"{found.test_in_train:,} of {len(data.x_test):,} test images {'equals' if len(pairs) == 1 else 'equal'} a "
            f"training image, pixel for pixel: {named}"
        )
    return notes
