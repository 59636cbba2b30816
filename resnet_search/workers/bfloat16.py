"""Whether this machine's processor trains faster in bfloat16: a one-second test. Imports TensorFlow when called."""

from __future__ import annotations

import time
from functools import cache
from typing import Any


@cache
def is_faster() -> bool:
    """Return whether a wide convolution takes clearly less time in bfloat16, forward and backward.

    The layer is the most common one of `networks.precision.is_wide` blocks: 3x3, 16 channels in and out, 32x32 pixels.
    The types take turns, and the shortest time of each counts, since other programs can only add to it.
    """
    import tensorflow as tf

    with tf.device("CPU"):
        steps = [_step(tf, kind) for kind in (tf.float32, tf.bfloat16)]
        for step in steps:
            step()  # compiles
        times = [[_seconds(step) for step in steps] for _ in range(_TURNS)]
    in_float32, in_bfloat16 = map(min, zip(*times, strict=True))
    return bool(in_bfloat16 < _CLEARLY * in_float32)


def _step(tf: Any, kind: Any) -> Any:
    """Return a compiled function that computes a convolution and its gradients in a type."""
    images = tf.ones((_BATCH, 32, 32, _CHANNELS), kind)
    kernel = tf.Variable(tf.ones((3, 3, _CHANNELS, _CHANNELS), kind))

    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = tf.nn.conv2d(images, kernel, 1, "SAME")
        return tape.gradient(outputs, [images, kernel], outputs)

    return tf.function(step)


def _seconds(step: Any) -> float:
    start = time.perf_counter()
    step()[0].numpy()
    return time.perf_counter() - start


_TURNS = 8
_BATCH, _CHANNELS = 64, 16
# Slower layers around it take up a part of the gain, and scores in float32 are the same on every machine.
_CLEARLY = 0.9
