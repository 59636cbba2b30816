"""Parts of a trial's compiled steps besides the network: batches, the loss, a heartbeat, answers, a training mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from resnet_search.files import replacing


def batches(
    inputs: Any, labels: Any = None, *, size: int, together: int = 1, images: NDArray[np.uint8] | None = None
) -> dict[str, Any]:
    """Return arguments for Keras's `fit`, `evaluate`, `predict`: equally long arrays as unshuffled batches of `size`.

    `together`: of `run_together`: on JAX, so many batches are one batch to Keras.
    `images`: the first input is an index into them, and each batch gets the images themselves in its place.

    On TensorFlow, Keras's own input pipeline tunes itself as it runs. With more than one worker on a processor, an
    epoch then ends only when the tuner next wakes, after 5.1, 10.2 or 20.5 s (docs/decisions.md).
    """
    if keras.backend.backend() != "tensorflow":
        if together > 1:
            missing = -len(labels) % (size * together)
            inputs = tuple(_padded(values, missing) for values in inputs)
            labels = _padded(labels, missing, value=_NO_LABEL)
        if images is not None:
            return {"x": _Gathered(images, inputs, labels, size * together)}
        return {"x": inputs, "batch_size": size * together, **({} if labels is None else {"y": labels})}
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    slices = inputs if labels is None else (inputs, labels)
    dataset = tf.data.Dataset.from_tensor_slices(slices).batch(size)
    if images is not None:

        def gathered(inputs: Any, labels: Any) -> Any:
            index, *others = inputs
            batch = tf.numpy_function(lambda index: np.asarray(images[index]), [index], tf.uint8)
            return (tf.ensure_shape(batch, (index.shape[0], *images.shape[1:])), *others), labels

        dataset = dataset.map(gathered)
    return {"x": dataset.prefetch(1).with_options(options)}


class _Gathered(keras.utils.PyDataset):
    """Batches whose images are read when they are needed; for backends other than TensorFlow."""

    def __init__(self, images: NDArray[np.uint8], inputs: Any, labels: NDArray[Any], size: int) -> None:
        super().__init__()
        self._images, self._inputs, self._labels, self._size = images, inputs, labels, size

    def __len__(self) -> int:
        return math.ceil(len(self._labels) / self._size)

    def __getitem__(self, number: int) -> Any:
        here = slice(number * self._size, (number + 1) * self._size)
        index, *others = (values[here] for values in self._inputs)
        return (np.asarray(self._images[index]), *others), self._labels[here]


def steps_per_execution() -> int:
    """Return the training steps per call of the compiled function: many on a GPU, where Python would be the bottleneck.

    On a processor that gains nothing with TensorFlow, and with JAX, whose convolutions are slow in a loop, it takes
    eight times as long (docs/decisions.md).
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gpu = bool(tf.config.list_physical_devices("GPU"))
    else:
        import jax

        gpu = jax.default_backend() == "gpu"
    return _STEPS_ON_A_GPU if gpu else 1


_STEPS_ON_A_GPU = 25


def run_together(model: Any, together: int) -> None:
    """Let `fit` of a compiled model run `together` steps in each call; its batches are those of `batches`.

    Keras's trainer for JAX would call the compiled function at each step all the same. Here, one program serves the
    last call of an epoch too, which may have fewer steps.
    """
    if keras.backend.backend() == "tensorflow" or together == 1:
        model.steps_per_execution = together
        return
    import jax

    @partial(jax.jit, donate_argnums=0)
    def steps(state: Any, data: Any) -> Any:
        inputs, labels = jax.tree.map(lambda values: values.reshape(together, -1, *values.shape[1:]), data)

        def step(number: Any, state: Any) -> Any:
            batch = jax.tree.map(lambda values: values[number], (inputs, labels))
            return model.train_step(state, batch)[1]

        return jax.lax.fori_loop(0, (labels[:, 0] != _NO_LABEL).sum(), step, state)

    model.train_function = lambda state, iterator: ({}, steps(state, next(iterator)))


_NO_LABEL = -1


def _padded(values: NDArray[Any], missing: int, value: int = 0) -> NDArray[Any]:
    return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)], constant_values=value)


def validation_batch(shape: tuple[int, ...], *, part: int, parts: int) -> int:
    """Return the batch size of validation; `shape`: (images, height, width, channels) of all images.

    It is 500 images of 32 x 32, because no activations are kept for gradients, or fewer larger ones in proportion,
    divided into parts like training batches, and at least the images of a training step. It is reduced, to half at
    most, if that avoids a smaller last batch, which XLA would compile separately.
    """
    images, height, width, _ = shape
    fitting = _VALIDATION_BATCH * 32 * 32 // (height * width)
    most = max(1, part, min(_VALIDATION_BATCH, fitting) // parts)
    return next((size for size in range(most, most // 2, -1) if images % size == 0), most)


_VALIDATION_BATCH = 500


class Alive(keras.callbacks.Callback):
    """Calls a function after each step of training, validation and estimation."""

    # Without this, Keras waits for the metrics of every step.
    async_safe = True

    def __init__(self, alive: Callable[[], None]) -> None:
        super().__init__()
        self._alive = alive

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        del batch, logs
        self._alive()

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


class Answers(keras.metrics.Metric):
    """Records for each image whether an evaluation classifies it correctly; the value is the number of correct ones."""

    def __init__(self, images: int) -> None:
        super().__init__(name="answers")
        self.right = self.add_variable((images,), "zeros", name="right")
        self.seen = self.add_variable((), "zeros", dtype="int32", name="seen")

    def update_state(self, labels: Any, logits: Any, sample_weight: Any = None) -> None:
        del sample_weight
        ops = keras.ops
        known = ops.reshape(ops.cast(labels, "int32"), (-1,))
        # In bfloat16 too: `argmax` sees what the accuracy sees.
        right = ops.cast(ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), known), "float32")
        # The last batch may be smaller, and its size unknown while the step is traced.
        places = self.seen + ops.cumsum(ops.ones_like(known)) - 1
        self.right.assign(ops.scatter_update(self.right, places[:, None], right))
        self.seen.assign(self.seen + ops.sum(ops.ones_like(known)))

    def result(self) -> Any:
        return keras.ops.sum(self.right)

    def write(self, path: Path) -> None:
        """Write one bit an image, image i being bit i."""
        bits = np.packbits(keras.ops.convert_to_numpy(self.right) > 0, bitorder="little")
        with replacing(path, durable=False) as place:
            place.write_bytes(bits.tobytes())


class InTrainingMode(keras.Model):
    """Runs a network in training mode, so that its batch norms use and record the statistics of each batch."""

    def __init__(self, network: Any) -> None:
        super().__init__(name="in_training_mode")
        self.network = network
        # Otherwise Keras first runs a batch through it, one operation at a time.
        self.built = True

    def call(self, images: Any) -> Any:
        return self.network(images, training=True)


def cross_entropy(smoothing: float, classes: int) -> Any:
    """Return the cross-entropy of logits with integer labels; `smoothing` is spread evenly over all classes."""

    def loss(labels: Any, logits: Any) -> Any:
        targets = keras.ops.one_hot(keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,)), classes)
        targets = targets * (1 - smoothing) + smoothing / classes
        return keras.losses.categorical_crossentropy(targets, logits, from_logits=True)

    return loss
