"""A training step and what comes before it: this project's trainer against plain Keras, in turn in one process.

    python benchmarks/training_step.py                # four networks, about 5 minutes on an idle core

Both sides train the same network with the same recipe (crop, flip, weight decay, Nesterov's momentum) on one thread,
batch 128. Plain Keras: `keras.layers.BatchNormalization`, `metrics=["accuracy"]`, random crop and flip in a tf.data
pipeline, `model.fit`. Its grouped convolution is this project's, see grouped_convolution.py for Keras's own. Ours also
averages the weights. Times are those of the processor, of all threads, so that what else runs on the machine matters
little. Set-up: building the network, and what the first fit takes beyond later ones, which is tracing and compiling.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np
import tensorflow as tf

from resnet_search.networks import blocks
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.model import build_model
from resnet_search.training.arrays import Arrays, channel_statistics
from resnet_search.training.job import Job
from resnet_search.training.train import Trainer

ROUNDS = 5
BATCH, STEPS = 128, 4
DECAY = 5e-4
NETWORKS: list[dict[str, Any]] = [
    {"block": "basic", "n": 1, "width": 8},
    {"block": "basic", "n": 3, "width": 16},
    {"block": "bottleneck", "n": 2, "width": 16},
    {"block": "resnext", "n": 2, "width": 16, "cardinality": 4},
]
OWN_NORM = blocks.BatchNormalization


def ours(axes: dict[str, Any], arrays: Arrays, folder: Path) -> Callable[[], Any]:
    """A fit of this project's trainer."""
    blocks.BatchNormalization = OWN_NORM
    architecture = Architecture.from_axes(**axes).to_dict()
    recipe = {"optimizer": "sgd", "batch_size": BATCH, "crop_padding": 4, "weight_decay": DECAY}
    job = Job(
        trial="0", folder=str(folder), parent=None, architecture=architecture, recipe=recipe, seed=1, initial_epoch=0,
        epochs=1, horizon=9, data="",
    )  # fmt: skip
    trainer = Trainer(job, arrays)
    return lambda: trainer._train(0, 1)  # noqa: SLF001 - an epoch without its validation


def plain(axes: dict[str, Any], arrays: Arrays, _: Path) -> Callable[[], Any]:
    """A fit as Keras's user would write it."""
    blocks.BatchNormalization = keras.layers.BatchNormalization
    model = build_model(Architecture.from_axes(**axes), weight_decay=DECAY, seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss, metrics=["accuracy"])

    def augment(image: Any, label: Any) -> tuple[Any, Any]:
        image = tf.image.random_crop(tf.image.pad_to_bounding_box(image, 4, 4, 40, 40), (32, 32, 3))
        return tf.image.random_flip_left_right(image), label

    data = tf.data.Dataset.from_tensor_slices((arrays.x_train, arrays.y_train)).shuffle(len(arrays.x_train))
    data = data.map(augment, num_parallel_calls=1).batch(BATCH).prefetch(1)
    return lambda: model.fit(data, verbose=0)


def taken(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what the work returns."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def main() -> None:
    """Print images a second and seconds of set-up of both sides, and their ratios."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (BATCH * STEPS, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, len(images))
    arrays = Arrays(images, labels, images[:1], labels[:1], tuple("0123456789"), *channel_statistics(images))
    print("| network | ours, images/s | plain Keras | ratio (range) | ours, set-up s | plain Keras |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        measure([ours, plain], NETWORKS[0], arrays, Path(folder))  # What a process does only once.
        for axes in NETWORKS:
            steps, setups = measure([ours, plain], axes, arrays, Path(folder))
            rates = [[len(images) / seconds for seconds in side] for side in steps]
            ratios = [one / other for one, other in zip(*rates, strict=True)]
            print(
                f"| `{Architecture.from_axes(**axes).name}` | {statistics.median(rates[0]):.0f} "
                f"| {statistics.median(rates[1]):.0f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
                f"| {setups[0]:.2f} | {setups[1]:.2f} |",
                flush=True,
            )


def measure(
    sides: list[Callable[..., Callable[[], Any]]], axes: dict[str, Any], arrays: Arrays, folder: Path
) -> tuple[list[list[float]], list[float]]:
    """Seconds of each fit of each side, and seconds of each side's set-up, beyond a fit."""
    fits, before = [], []
    for side in sides:
        building, fit = taken(lambda side=side: side(axes, arrays, folder))
        fits.append(fit)
        before.append(building + taken(fit)[0])
    steps: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for found, fit in zip(steps, fits, strict=True):
            found.append(taken(fit)[0])
    return steps, [first - statistics.median(found) for first, found in zip(before, steps, strict=True)]


if __name__ == "__main__":
    main()
