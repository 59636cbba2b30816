"""The peer in whole_search.py: the same search in plain Keras Tuner, as its user would write it by hand.

    python benchmarks/plain_keras_tuner.py IMAGES.npz FOLDER --blocks basic bottleneck resnext [--grouped ours]

`keras_tuner.Hyperband`, a `build(hp)`, `model.fit` on a tf.data pipeline. Nothing of resnet-search is used, save with
`--grouped ours` its grouped convolution. Prints one JSON line a trial, with the seconds since the start, and one at
the end; these files are no part of the package.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

BEGIN = time.perf_counter()
BATCH = 128
DECAY = keras.regularizers.L2(5e-4 / 2)


def conv(x: Any, filters: int, kernel: int, strides: int = 1, groups: int = 1) -> Any:
    """A convolution without bias, He's initialisation, with weight decay."""
    options = {"use_bias": False, "kernel_initializer": "he_normal", "kernel_regularizer": DECAY}
    if groups > 1 and ARGUMENTS.grouped == "ours":
        from resnet_search.networks.layers import GroupedConv2D

        if strides > 1:
            x = keras.layers.ZeroPadding2D(1)(x)
        padding = "valid" if strides > 1 else "same"
        return GroupedConv2D(filters, kernel, strides=strides, padding=padding, groups=groups, **options)(x)
    return keras.layers.Conv2D(filters, kernel, strides, padding="same", groups=groups, **options)(x)


def residual(x: Any, block: str, width: int, strides: int, groups: int) -> Any:
    """One block behind `x`; `width` is that of the stage."""
    norm, relu = keras.layers.BatchNormalization, keras.layers.ReLU
    if block == "basic":
        out = width
        y = relu()(norm()(conv(x, width, 3, strides)))
        y = norm()(conv(y, out, 3))
    else:
        inner, out = (2 * width, 4 * width) if block == "resnext" else (width, 4 * width)
        y = relu()(norm()(conv(x, inner, 1)))
        y = relu()(norm()(conv(y, inner, 3, strides, groups)))
        y = norm()(conv(y, out, 1))
    if strides > 1 or x.shape[-1] != out:
        x = norm()(conv(x, out, 1, strides))
    return relu()(keras.layers.Add()([x, y]))


def build(hp: Any) -> keras.Model:
    """The network of some hyperparameters, compiled."""
    n, width = hp.Choice("n", [1, 2, 3]), hp.Choice("width", [8, 16])
    block = hp.Choice("block", ARGUMENTS.blocks)
    groups = 1
    if "resnext" in ARGUMENTS.blocks:
        with hp.conditional_scope("block", ["resnext"]):
            groups = hp.Choice("cardinality", [2, 4])
    groups = groups if block == "resnext" else 1
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2.0)(images)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(conv(x, width, 3)))
    for stage in range(3):
        for place in range(n):
            strides = 2 if stage > 0 and place == 0 else 1
            x = residual(x, block, width * 2**stage, strides, groups)
    logits = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(images, logits)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def pipelines(path: str) -> tuple[Any, Any]:
    """Training images, padded by 4, cropped and mirrored at random, and validation images."""
    with np.load(path) as arrays:
        x_train, y_train, x_validation, y_validation = (
            arrays[name] for name in ("x_train", "y_train", "x_validation", "y_validation")
        )

    def augmented(image: Any, label: Any) -> tuple[Any, Any]:
        image = tf.image.random_crop(tf.pad(image, [[4, 4], [4, 4], [0, 0]]), (32, 32, 3))
        return tf.image.random_flip_left_right(image), label

    training = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(len(x_train), seed=ARGUMENTS.seed)
    training = training.map(augmented, tf.data.AUTOTUNE).batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return training, tf.data.Dataset.from_tensor_slices((x_validation, y_validation)).batch(500)


class Timed(keras_tuner.Hyperband):
    """Says when each trial began and ended, and changes nothing."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter() - BEGIN
        results = super().run_trial(trial, *args, **kwargs)
        score = max(max(history.history["val_accuracy"]) for history in results)
        values = trial.hyperparameters.values
        tell(trial=trial.trial_id, begin=begin, end=time.perf_counter() - BEGIN, epochs=values, score=score)
        return results


def tell(**values: Any) -> None:
    """One line of what was measured."""
    print(json.dumps(values), flush=True)


def main() -> None:
    """Search, and say how long it took and what it found."""
    training, validation = pipelines(ARGUMENTS.images)
    tuner = Timed(
        build, objective="val_accuracy", max_epochs=9, factor=3, seed=ARGUMENTS.seed,
        directory=ARGUMENTS.folder, project_name="search", overwrite=True,
    )  # fmt: skip
    tuner.search(training, validation_data=validation, verbose=0)
    trials = tuner.oracle.trials.values()
    values = [trial.hyperparameters.values for trial in trials]
    tell(
        seconds=time.perf_counter() - BEGIN,
        trials=len(trials),
        epochs=sum(value["tuner/epochs"] - value["tuner/initial_epoch"] for value in values),
        best=max(trial.score for trial in trials if trial.score is not None),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("folder")
    parser.add_argument("--blocks", nargs="+", default=["basic", "bottleneck", "resnext"])
    parser.add_argument("--grouped", choices=("keras", "ours"), default="keras")
    parser.add_argument("--seed", type=int, default=1)  # Keras Tuner takes 0 for no seed.
    ARGUMENTS = parser.parse_args()
    main()
