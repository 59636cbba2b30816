"""The child process that builds a SavedModel from the weights of trials, with TensorFlow whatever backend trained them.

Started as `python -m resnet_search.export.build REQUEST`, REQUEST being a `Request` as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from resnet_search.export.interface import INPUT, OUTPUT, VALUES
from resnet_search.training.datasets.values import BRIGHTEST, shift_of

BAD_WEIGHTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A trained network: a member of an ensemble, or the only network."""

    weights: str
    architecture: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to build. Keras's probabilities for `images` (.npy, raw images) are written to `expected` (.npy, float32).

    `values`: the values that are black and white, if the network's images were not bytes. `keras`: the .keras file to
    write as well, or empty. `error`: the file for a one-line message if the weights of a
    member do not fit.
    """

    members: tuple[Member, ...]
    image_shape: tuple[int, int, int]  # height, width, channels
    classes: int
    images: str
    expected: str
    saved_model: str
    keras: str
    error: str
    values: tuple[float, float] | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        height, width, channels = values.pop("image_shape")
        members = tuple(Member(**member) for member in values.pop("members"))
        stated = values.pop("values")
        return cls(
            **values,
            members=members,
            image_shape=(height, width, channels),
            values=None if stated is None else (float(stated[0]), float(stated[1])),
        )


def main() -> None:
    """Build, write and exit; status 3 if the weights cannot be used, with the reason in `error`."""
    request = Request.from_json(sys.argv[1])
    networks = []
    for member in request.members:
        try:
            networks.append(load_network(member, request.image_shape, request.classes))
        except Exception as error:  # noqa: BLE001 - h5py and Keras raise many kinds for a damaged file
            words = " ".join(str(error).split())
            told = f"{member.weights}: does not hold the weights of the trial: {type(error).__name__}: {words[:300]}"
            Path(request.error).write_text(told, encoding="utf-8")
            sys.exit(BAD_WEIGHTS)
    write_expected(networks, request)
    write_saved_model(networks, request)
    if request.keras:
        from resnet_search.export.plain import plain_model

        plain_model(networks).save(request.keras)


def load_network(member: Member, image_shape: tuple[int, int, int], classes: int) -> Any:
    """Load a trial's network with its scored weights, in float32."""
    import keras
    import numpy as np

    from resnet_search.networks.architecture import Architecture
    from resnet_search.networks.layers import GroupedConv2D
    from resnet_search.networks.model import build_model
    from resnet_search.training.checkpoint import open_h5

    with open_h5(Path(member.weights)):
        pass  # It holds all of its values itself.
    network = build_model(
        Architecture.from_dict(member.architecture),
        input_shape=image_shape,
        classes=classes,
        mean=member.mean,
        std=member.std,
    )
    for layer in network.layers:
        if isinstance(layer, GroupedConv2D):
            # TensorFlow fuses a bias into the convolution; without oneDNN it has no such kernel for groups.
            layer.form = "split" if layer.use_bias else "native"
    network.load_weights(member.weights)
    for weight in network.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            message = f"{weight.path} is not finite"
            raise ValueError(message)
    return network


def write_expected(networks: Sequence[Any], request: Request) -> None:
    """Return Keras's own probabilities for the images: the mean over the networks."""
    import keras
    import numpy as np

    from resnet_search.export.verify import in_batches

    def probabilities(network: Any) -> Any:
        def run(images: Any) -> Any:
            return keras.ops.convert_to_numpy(keras.ops.softmax(network(images, training=False)))

        return np.concatenate(list(in_batches(run, np.load(request.images, mmap_mode="r")))).astype("float64")

    np.save(request.expected, np.mean([probabilities(network) for network in networks], axis=0).astype("float32"))


def write_saved_model(networks: Sequence[Any], request: Request) -> None:
    """uint8 (batch, H, W, C) -> float32 (batch, classes), any batch; `serve` and the signature `serving_default`.

    If the network's images were not bytes, the signature `values` takes their own numbers, in float32.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = [weight.value for network in networks for weight in network.weights]
    signature = tf.TensorSpec((None, *request.image_shape), tf.uint8, name=INPUT)

    def serve(images: Any) -> dict[str, Any]:
        outputs = [tf.nn.softmax(network(images, training=False)) for network in networks]
        return {OUTPUT: outputs[0] if len(outputs) == 1 else tf.add_n(outputs) / len(outputs)}

    module.serve = tf.function(serve, input_signature=[signature])
    signatures = {"serving_default": module.serve}
    if request.values is not None:
        low, high = request.values
        taken = tf.TensorSpec((None, *request.image_shape), tf.float32, name=VALUES)
        module.serve_values = tf.function(
            lambda values: serve(_bytes_of(values, low, high)), input_signature=[taken], autograph=False
        )
        signatures[VALUES] = module.serve_values
    tf.saved_model.save(module, request.saved_model, signatures=signatures)


def _bytes_of(values: Any, low: float, high: float) -> Any:
    """The rule of `datasets.values` in TensorFlow."""
    import tensorflow as tf

    values = tf.clip_by_value(values, low, high)
    if shift := shift_of(low, high):
        return tf.cast(tf.floor(values / 2**shift), tf.uint8)
    return tf.cast(tf.round((values - low) * (BRIGHTEST / (high - low))), tf.uint8)


if __name__ == "__main__":
    main()
