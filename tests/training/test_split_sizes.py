"""The sizes of a split, by arithmetic alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.errors import DataError
from resnet_search.training.datasets import ImageData, Split, split
from resnet_search.training.split_sizes import split_sizes, subset_validation

VALIDATIONS = st.integers(0, 50) | st.floats(0, 1)


def outcome(call: Callable[[], tuple[int, int]]) -> tuple[int, int] | str:
    try:
        return call()
    except DataError as error:
        return str(error)


def sizes(parts: Split) -> tuple[int, int]:
    return len(parts.validation_index), len(parts.train_index)


@given(st.integers(2, 40), st.integers(1, 4), VALIDATIONS, st.none() | st.integers(0, 50))
def test_they_are_those_of_the_split(per_class: int, classes: int, validation: float, kept: int | None) -> None:
    labels = np.repeat(np.arange(classes), per_class)
    images = np.arange(3 * len(labels)).reshape(-1, 1, 1, 3).astype(np.uint8)
    data = ImageData(images, labels, images[:1], labels[:1], tuple(map(str, range(classes))), "test")
    part: dict[str, Any] = {"validation": validation, "train_examples": kept}
    assert outcome(lambda: split_sizes(len(labels), classes, **part)) == outcome(
        lambda: sizes(split(data, seed=0, **part))
    )


def test_numbers_of_numpy_are_numbers() -> None:
    whole, fraction = split_sizes(100, 10, validation=np.int64(20)), split_sizes(100, 10, validation=np.float32(0.2))
    assert whole == fraction == (20, 80)


def test_a_part_of_the_images_is_validated_on_a_part() -> None:
    assert subset_validation(0.1, 50_000, None) == 0.1
    assert subset_validation(5_000, 50_000, 20_000) == 5_000
    assert subset_validation(5_000, 50_000, 8_000) == 2_000
    assert subset_validation(0.1, 50_000, 400) == 1_000
    # Never more than was asked for.
    assert subset_validation(0.1, 364, 300) == 36
