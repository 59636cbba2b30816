"""The child process that makes a SavedModel from a trial's weights, with TensorFlow whatever backend trained them.

Started as `python -m resnet_search.export.build REQUEST`, REQUEST being a `Request` as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

INPUT, OUTPUT = "images", "probabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to build. `images` is a .npy of raw images whose probabilities, by Keras, go to `expected` (.npy, float32).

    `error` is the file that receives one line if `weights` do not fit.
    """

    weights: str
    architecture: dict[str, Any]
    image_shape: tuple[int, int, int]  # height, width, channels
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: str
    expected: str
    saved_model: str
    error: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        height, width, channels = values.pop("image_shape")
        return cls(**values, image_shape=(height, width, channels))


def main() -> None:
    """Build, write and leave; status 3 if the weights cannot be used, with the reason in `error`."""
    request = Request.from_json(sys.argv[1])
    try:
        network = load_network(request)
    except Exception as error:  # noqa: BLE001 - h5py and Keras raise many kinds for a damaged file
        words = " ".join(str(error).split())
        Path(request.error).write_text(f"{type(error).__name__}: {words[:300]}", encoding="utf-8")
        sys.exit(BAD_WEIGHTS)
    write_expected(network, request)
    write_saved_model(network, request)


BAD_WEIGHTS = 3


def load_network(request: Request) -> Any:
    """The trial's network with its scored weights, in float32."""
    import keras
    import numpy as np

    from resnet_search.networks.architecture import Architecture
    from resnet_search.networks.layers import GroupedConv2D
    from resnet_search.networks.model import build_model

    # A user's ~/.keras/keras.json may say otherwise.
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    network = build_model(
        Architecture.from_dict(request.architecture),
        input_shape=request.image_shape,
        classes=request.classes,
        mean=request.mean,
        std=request.std,
    )
    for layer in network.layers:
        if isinstance(layer, GroupedConv2D):
            # TensorFlow fuses a bias into the convolution, and without oneDNN has no kernel for that with groups.
            layer.form = "split" if layer.use_bias else "native"
    network.load_weights(request.weights)
    for weight in network.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            message = f"{weight.path} is not finite"
            raise ValueError(message)
    return network


def write_expected(network: Any, request: Request) -> None:
    """What Keras itself gives for the sample of images."""
    import keras
    import numpy as np

    logits = network(np.load(request.images), training=False)
    np.save(request.expected, keras.ops.convert_to_numpy(keras.ops.softmax(logits)))


def write_saved_model(network: Any, request: Request) -> None:
    """uint8 (batch, H, W, C) -> float32 (batch, classes), any batch; `serve` and the signature `serving_default`."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = [weight.value for weight in network.weights]
    signature = tf.TensorSpec((None, *request.image_shape), tf.uint8, name=INPUT)

    def serve(images: Any) -> dict[str, Any]:
        return {OUTPUT: tf.nn.softmax(network(images, training=False))}

    module.serve = tf.function(serve, input_signature=[signature])
    tf.saved_model.save(module, request.saved_model, signatures={"serving_default": module.serve})


if __name__ == "__main__":
    main()
