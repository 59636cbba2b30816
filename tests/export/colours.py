"""An export that needs no training: it tells red, green and blue by the mean of each colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resnet_search.files import write_json

CLASSES = ("red", "green", "blue")
SIZE = (8, 12)  # height, width
PAINT = {"red": (250, 5, 5), "green": (5, 250, 5), "blue": (5, 5, 250)}


def save_model(folder: Path) -> None:
    """The SavedModel, with the signature of an export."""
    import tensorflow as tf

    module = tf.Module()
    module.scale = tf.Variable(1 / 32)

    def serve(images: Any) -> dict[str, Any]:
        means = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
        return {"probabilities": tf.nn.softmax(means * module.scale)}

    module.serve = tf.function(serve, input_signature=[tf.TensorSpec((None, *SIZE, 3), tf.uint8, name="images")])
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def probabilities(images: Any) -> Any:
    """The same by NumPy."""
    powers = np.exp(images.astype(np.float32).mean(axis=(1, 2)) / 32)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@contextmanager
def running(_: Path) -> Iterator[Callable[[Any], Any]]:
    """What `export.evaluate.running` gives, without a process."""
    yield probabilities


def describe(folder: Path, classes: tuple[str, ...] = CLASSES) -> None:
    """The files of an export beside its model."""
    (folder / "saved_model").mkdir(parents=True, exist_ok=True)
    write_json(folder / "classes.json", classes)
    write_json(
        folder / "export.json",
        {"trial": "0", "input": {"shape": [None, *SIZE, 3]}, "output": {"shape": [None, len(classes)]}},
    )


def paint(file: Path, colour: str, size: tuple[int, int] = (30, 20), **options: Any) -> Path:
    """A picture of one colour."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, PAINT[colour]).save(file, **options)
    return file
