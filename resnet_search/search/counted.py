"""The images of a search before they are read: how many of them, in how many classes, as far as names tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resnet_search.spaces.schema import Data
from resnet_search.training.datasets import count_images, describe_source
from resnet_search.training.split_sizes import split_sizes, subset_validation

ASSUMED_CLASSES: Final = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """Images to train on, to validate on and of test, and their classes; None is what only reading can tell.

    `here`: whether they are on this machine, so that nothing has to be downloaded.
    """

    train: int | None = None
    validation: int | None = None
    test: int | None = None
    classes: int | None = None
    here: bool = True

    @property
    def planned_classes(self) -> int:
        """The classes that a plan goes by."""
        return self.classes or ASSUMED_CLASSES


def counted_images(data: Data, data_dir: Path | None, train_examples: int | None) -> Counted:
    """What a search would divide the images into.

    `train_examples`: it trains on so many, None for all. Raises DataError where a search would, for what can be known
    before an image is read: what is missing, and numbers that do not fit the images.
    """
    found = count_images(data.source, data_dir)
    here = describe_source(data.source, data_dir).found
    if found is None:
        return Counted(train_examples, here=here)
    validation = subset_validation(data.validation, found.train, train_examples)
    held, kept = split_sizes(found.train, found.classes, validation=validation, train_examples=train_examples)
    return Counted(kept, held, found.test, found.classes, here)
