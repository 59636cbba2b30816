from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.errors import DataError
from resnet_search.training.datasets import ImageData, split


def _data(counts: list[int], seed: int = 0) -> ImageData:
    """Images that all differ: their pixels are their numbers."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.arange(len(labels))[:, None, None, None] // [1, 256, 65536] % 256
    images = images.astype(np.uint8)
    return ImageData(images, labels, images[:1], labels[:1], tuple(f"class {i}" for i in range(len(counts))), "test")


@given(st.lists(st.integers(2, 40), min_size=1, max_size=8), st.integers(0, 2**70), st.data())
def test_a_split_is_exact_disjoint_stratified_and_repeatable(counts: list[int], seed: int, draw: st.DataObject) -> None:
    data, total, classes = _data(counts), sum(counts), len(counts)
    validation = draw.draw(st.integers(classes, total - classes))
    kept = draw.draw(st.none() | st.integers(classes, total - validation))
    parts = split(data, validation=validation, seed=seed, train_examples=kept)

    assert len(parts.validation_index) == validation
    assert len(parts.train_index) == (total - validation if kept is None else kept)
    both = np.concatenate([parts.train_index, parts.validation_index])
    assert len(set(both.tolist())) == len(both)
    for index in (parts.train_index, parts.validation_index):
        assert index.dtype == np.int64
        assert (np.diff(index) > 0).all()
        given_to = np.bincount(data.y_train[index], minlength=classes)
        assert given_to.min() >= 1
    again = split(data, validation=validation, seed=seed, train_examples=kept)
    assert np.array_equal(parts.train_index, again.train_index)
    assert np.array_equal(parts.validation_index, again.validation_index)


@given(st.lists(st.integers(50, 200), min_size=2, max_size=6), st.floats(0.1, 0.9))
def test_each_class_gives_its_share_to_an_image(counts: list[int], fraction: float) -> None:
    data = _data(counts)
    held = np.bincount(data.y_train[split(data, validation=fraction, seed=0).validation_index])
    images = round(fraction * sum(counts))
    assert held.sum() == images
    assert (np.abs(held - images * np.array(counts) / sum(counts)) <= 1).all()


@given(st.integers(10, 80), st.integers(10, 80))
def test_validation_does_not_depend_on_train_examples_and_subsets_nest(one: int, other: int) -> None:
    data = _data([20] * 5)
    small, large = (
        split(data, validation=20, seed=3, train_examples=n) for n in sorted((one // 5 * 5, other // 5 * 5))
    )
    assert np.array_equal(small.validation_index, large.validation_index)
    assert set(small.train_index.tolist()) <= set(large.train_index.tolist())


def test_the_seed_matters_and_zero_is_one() -> None:
    data = _data([50] * 4)
    drawn = {tuple(split(data, validation=40, seed=seed).validation_index.tolist()) for seed in (0, 1, 2)}
    assert len(drawn) == 3


def test_the_draw_is_the_same_on_every_platform() -> None:
    data = _data([6, 6])
    data.y_train[:] = np.arange(12) % 2
    assert split(data, validation=4, seed=0).validation_index.tolist() == [2, 5, 7, 10]


def test_balanced_classes_stay_balanced() -> None:
    parts = split(_data([500] * 10), validation=0.1, seed=0, train_examples=1000)
    data = _data([500] * 10)
    assert np.bincount(data.y_train[parts.validation_index]).tolist() == [50] * 10
    assert np.bincount(data.y_train[parts.train_index]).tolist() == [100] * 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"validation": 0}, ["validation", "0 images of 40", " 4 "]),
        ({"validation": 3}, ["validation", "36"]),
        ({"validation": 37}, ["37 images of 40", " 36"]),
        ({"validation": 400}, ["400 images of 40"]),
        ({"validation": -5}, ["-5 images"]),
        ({"validation": 0.0}, ["0.0", "0 and 1"]),
        ({"validation": 1.0}, ["1.0", "0 and 1"]),
        ({"validation": float("nan")}, ["nan", "0 and 1"]),
        ({"validation": 0.01}, ["0.01 (0 images)"]),
        ({"validation": 0.99}, ["0.99 (40 images)"]),
        ({"validation": True}, ["True"]),
        ({"validation": "10"}, ["'10'"]),
        ({"train_examples": 33}, ["train_examples", "33", " 32", "8 validation images"]),
        ({"train_examples": 3}, ["train_examples", " 4 "]),
        ({"train_examples": 0}, ["train_examples: got 0;"]),
        ({"train_examples": 10.5}, ["train_examples: got 10.5;"]),
        ({"seed": -1}, ["seed: -1"]),
        ({"seed": None}, ["seed: None"]),
        ({"seed": 1.5}, ["seed: 1.5"]),
    ],
)
def test_what_cannot_be_split_is_named(arguments: dict[str, object], words: list[str]) -> None:
    with pytest.raises(DataError) as error:
        split(_data([10] * 4), **{"validation": 8, "seed": 0, **arguments})
    assert all(word in str(error.value) for word in words), str(error.value)
    assert error.value.cure


def test_a_class_of_one_image_is_named() -> None:
    with pytest.raises(DataError, match=r"class 1.* 2 "):
        split(_data([5, 1, 5]), validation=3, seed=0)


def _copied(counts: list[int], copies: st.DataObject | None = None, *, times: int = 1, seed: int = 0) -> ImageData:
    """Images of which some are equal, drawn by `copies`, or each `times` times."""
    data = _data(counts, seed)
    total = len(data.y_train)
    for at in range(total):
        first = at // times * times if copies is None else copies.draw(st.integers(max(0, at - 3), at))
        data.x_train[at] = data.x_train[first]
    return data


@given(st.lists(st.integers(2, 12), min_size=1, max_size=4), st.integers(0, 3), st.data())
def test_equal_images_are_on_one_side(counts: list[int], seed: int, draw: st.DataObject) -> None:
    data, total = _copied(counts, draw, seed=seed), sum(counts)
    validation = draw.draw(st.integers(len(counts), total - len(counts)))
    kept = draw.draw(st.none() | st.integers(len(counts), total - validation))
    try:
        parts = split(data, validation=validation, seed=seed, train_examples=kept)
    except DataError:
        return  # A class of equal images only.
    one, other = (
        {image.tobytes() for image in data.x_train[index]} for index in (parts.train_index, parts.validation_index)
    )
    assert not one & other
    for index in (parts.train_index, parts.validation_index):
        assert set(data.y_train[index].tolist()) == set(range(len(counts)))
    if kept is None:
        assert len(parts.train_index) + len(parts.validation_index) == total
    again = split(data, validation=validation, seed=seed, train_examples=kept)
    assert np.array_equal(parts.validation_index, again.validation_index)


@given(st.integers(1, 12), st.sampled_from([0.1, 0.25, 0.3, 0.5]))
def test_sizes_are_as_near_as_whole_groups_allow(times: int, fraction: float) -> None:
    """With `times` copies of each image, no total can be nearer than half of them."""
    labels = np.repeat(np.arange(4), 10 * times)
    images = np.repeat(np.arange(40, dtype=np.uint8), times)[:, None, None, None]
    data = ImageData(images, labels, images[:1], labels[:1], tuple("abcd"), "test")
    wanted = round(fraction * len(labels))
    held = np.bincount(labels[split(data, validation=fraction, seed=0).validation_index])
    assert abs(held.sum() - wanted) <= times / 2
    assert (np.abs(held - wanted / 4) <= times).all()


def test_without_equal_images_the_split_is_that_of_earlier_versions() -> None:
    data = _data([30, 50, 20])
    before = split(data, validation=0.2, seed=3, groups=np.arange(100))
    assert np.array_equal(split(data, validation=0.2, seed=3).validation_index, before.validation_index)


def test_single_images_fill_what_groups_leave() -> None:
    """A class with a few copies still has the exact size."""
    data = _data([100, 100])
    for at in range(0, 60, 4):
        data.x_train[at : at + 4] = data.x_train[at]
    assert len(split(data, validation=0.15, seed=0).validation_index) == 30


def test_a_class_of_equal_images_is_named() -> None:
    data = _data([6, 6])
    data.x_train[data.y_train == 1] = 7
    with pytest.raises(DataError, match=r"class 1.* 2 "):
        split(data, validation=4, seed=0)


def test_equal_images_of_several_classes_stay_together() -> None:
    data = _data([10, 10])
    zeros, ones = np.flatnonzero(data.y_train == 0), np.flatnonzero(data.y_train == 1)
    data.x_train[ones[:5]] = data.x_train[zeros[:5]]
    parts = split(data, validation=6, seed=0)
    both = {image.tobytes() for image in data.x_train[parts.train_index]}
    assert not any(image.tobytes() in both for image in data.x_train[parts.validation_index])
    assert len(parts.validation_index) == 6
