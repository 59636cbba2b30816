"""What the compiled steps of a trial are made of beside its network: the loss, a sign of life, a mode of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class Alive(keras.callbacks.Callback):
    """Calls a function after each step of training, validation and estimation."""

    # Otherwise Keras waits for the metrics of every step.
    async_safe = True

    def __init__(self, alive: Callable[[], None]) -> None:
        super().__init__()
        self._alive = alive

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        del batch, logs
        self._alive()

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


class InTrainingMode(keras.Model):
    """Runs a network as in training, so that its batch normalisations see and record the statistics of each batch."""

    def __init__(self, network: Any) -> None:
        super().__init__(name="in_training_mode")
        self.network = network

    def call(self, images: Any) -> Any:
        return self.network(images, training=True)


def cross_entropy(smoothing: float, classes: int) -> Any:
    """Cross-entropy of logits with integer labels, `smoothing` spread evenly over all classes."""

    def loss(labels: Any, logits: Any) -> Any:
        targets = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), classes)
        targets = targets * (1 - smoothing) + smoothing / classes
        return keras.losses.categorical_crossentropy(targets, logits, from_logits=True)

    return loss
