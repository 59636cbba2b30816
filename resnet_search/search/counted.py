"""The number of images and classes of a search before it reads them, as far as file names show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resnet_search.spaces.schema import Data
from resnet_search.training.datasets import check_value_range, count_images, describe_source
from resnet_search.training.split_sizes import split_sizes, subset_validation

ASSUMED_CLASSES: Final = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """Numbers of training, validation and test images and of classes; None: unknown before they are read.

    `here`: whether they are on this machine, so that nothing has to be downloaded. `notes`: what is left out of a
    folder, and why.
    """

    train: int | None = None
    validation: int | None = None
    test: int | None = None
    classes: int | None = None
    here: bool = True
    notes: tuple[str, ...] = ()

    @property
    def planned_classes(self) -> int:
        """The number of classes that a plan assumes."""
        return self.classes or ASSUMED_CLASSES


def counted_images(data: Data, data_dir: Path | None, train_examples: int | None) -> Counted:
    """Count the images as a search would divide them.

    `train_examples`: number of images to train on, None for all. Raises the DataErrors of a search that are known
    before an image is read: missing images, and numbers that do not fit them.
    """
    found = count_images(data.source, data_dir)
    check_value_range(data.source, data.value_range)
    here = describe_source(data.source, data_dir).found
    if found is None:
        return Counted(train_examples, here=here)
    validation = subset_validation(data.validation, found.train, train_examples)
    held, kept = split_sizes(found.train, found.classes, validation=validation, train_examples=train_examples)
    return Counted(kept, held, found.test, found.classes, here, found.notes)
