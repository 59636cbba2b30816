"""Run a SavedModel on a stream of image batches with TensorFlow and NumPy alone; a script, started by its path.

Started as `python -P serve.py SAVED_MODEL`. Standard input holds batches of raw images, uint8 (batch, height, width,
channels), standard output gets the probabilities of each, float32 (batch, classes), as `send` writes them. Both end
together. Status 3, with one line on standard error, if the SavedModel cannot be loaded.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any

UNLOADABLE = 3
_ABSENT = ("keras", "resnet_search")
_PREFIX = 8  # bytes of the length before each array


def main() -> None:
    """Answer every batch."""
    for package in _ABSENT:
        # Every import of it fails from here on.
        sys.modules[package] = None  # type: ignore[assignment]
    # A GPU may be busy, and it rounds matrix products to 10 bits.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Output of libraries must not mix with the arrays.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serving = _load(sys.argv[1])
    while (images := receive(sys.stdin.buffer)) is not None:
        send(answers, serving(images))


def send(stream: IO[bytes], array: Any) -> None:
    """Write an array: the length of its .npy in 8 little-endian bytes, then the .npy."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, array)
    stream.write(len(file.getbuffer()).to_bytes(_PREFIX, "little"))
    stream.write(file.getbuffer())
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Return the next array that `send` wrote; None at the end of the stream."""
    import numpy as np

    prefix = stream.read(_PREFIX)
    length = int.from_bytes(prefix, "little")
    file = stream.read(length)
    return np.load(io.BytesIO(file)) if prefix and len(file) == length else None


def _load(folder: str) -> Any:
    try:
        import tensorflow as tf

        model = tf.saved_model.load(folder)
        signature = model.signatures["serving_default"]
    except Exception as error:  # noqa: BLE001 - a damaged SavedModel makes TensorFlow raise many kinds
        sys.stderr.write(f"\n{type(error).__name__}: {' '.join(str(error).split())[:300]}\n")
        sys.exit(UNLOADABLE)
    # The signature holds no reference to the model, whose variables would be freed.
    signature.model = model
    return lambda images: signature(images=tf.constant(images))["probabilities"].numpy()


if __name__ == "__main__":
    main()
