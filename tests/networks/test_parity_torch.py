"""The same weights give the same outputs as pytorchcv's networks, which this project did not write.

They need the extra `parity`, which .ci/run installs into an environment of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
try:  # pytorchcv imports torchvision, which wants these two from a build with CUDA
    LIBRARY = torch.library.Library("torchvision", "DEF")
    LIBRARY.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    LIBRARY.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
except RuntimeError:  # another test, or a build that has them
    pass
provider = pytest.importorskip("pytorchcv.model_provider")

from resnet_search.networks.architecture import Architecture  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402
from resnet_search.networks.presets import preset  # noqa: E402

RENAMED = (
    (r"features\.init_block(\.conv)*", "stem_conv1"),
    (r"features\.init_block(\.conv)?\.bn", "stem_conv1_norm"),
    (r"features\.stage(\d+)\.unit(\d+)\.body\.conv(\d+)(\.conv)?$", r"stage\1_block\2_conv\3"),
    (r"features\.stage(\d+)\.unit(\d+)\.body\.conv(\d+)\.bn", r"stage\1_block\2_conv\3_norm"),
    (r"features\.stage(\d+)\.unit(\d+)\.identity_conv(\.conv)?$", r"stage\1_block\2_shortcut"),
    (r"features\.stage(\d+)\.unit(\d+)\.identity_conv\.bn", r"stage\1_block\2_shortcut_norm"),
    (r"features\.stage(\d+)\.unit(\d+)\.se\.(conv1|fc1)", r"stage\1_block\2_reduce"),
    (r"features\.stage(\d+)\.unit(\d+)\.se\.(conv2|fc2)", r"stage\1_block\2_excite"),
    (r"features\.post_activ\.bn", "final_norm"),
    (r"output", "logits"),
)
ORDER = ("weight", "bias", "running_mean", "running_var")
SE = {"attention": "se", "attention_bias": True}
NETWORKS = {
    "preresnet20_cifar10": Architecture.from_axes(block="preact_basic", depth=20, width=16),
    "seresnet20_cifar10": Architecture.from_axes(block="basic", depth=20, width=16, **SE),
    "resnet20_cifar10": Architecture.from_axes(block="basic", depth=20, width=16),
    "resnet164bn_cifar10": preset("resnet-164").architecture,
    "seresnet164bn_cifar10": Architecture.from_axes(block="bottleneck", depth=164, width=16, **SE),
    "preresnet164bn_cifar10": preset("preact-resnet-164").architecture,
    "wrn16_10_cifar10": Architecture.from_axes(block="wide", depth=16, width=160),
    "resnext29_32x4d_cifar10": preset("resnext-29-32x4d").architecture,
    "resnet18": preset("resnet-18").architecture,
    "resnet50b": preset("resnet-50").architecture,
    "resnet50": replace(preset("resnet-50").architecture, downsample="conv1"),
    "seresnet50b": preset("se-resnet-50").architecture,
    "resnext50_32x4d": preset("resnext-50-32x4d").architecture,
    "seresnext50_32x4d": preset("se-resnext-50-32x4d").architecture,
}
FAST = ("preresnet20_cifar10", "seresnet20_cifar10")


def layer_of(name):
    for pattern, ours in RENAMED:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    raise KeyError(name)


def disturb(model):
    """Statistics and scales of its own for every batch norm; small ones, or 50 layers of SE amplify the last bit."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.25, 0.75)
            module.running_var.data.uniform_(0.5, 1.5)
            for values in (module.bias, module.running_mean):
                values.data.uniform_(-0.1, 0.1)


def transfer(theirs, ours):
    found = {}
    for key, values in theirs.state_dict().items():
        name, _, kind = key.rpartition(".")
        if kind in ORDER:
            found.setdefault(layer_of(name), {})[kind] = values.numpy()
    for name, values in found.items():
        layer = ours.get_layer(name)
        weights = [values[kind] for kind in ORDER if kind in values]
        if weights[0].ndim == 4:
            weights[0] = weights[0].transpose(2, 3, 1, 0)
        elif weights[0].ndim == 2:
            weights[0] = weights[0].T
        layer.set_weights([value.reshape(own.shape) for value, own in zip(weights, layer.weights, strict=True)])
    assert set(found) == {layer.name for layer in ours.layers if layer.weights}


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_same_weights_same_logits_as_pytorchcv(name):
    theirs = provider.get_model(name).eval()
    disturb(theirs)
    small = name.endswith("_cifar10")
    shape, classes = ((32, 32, 3), 10) if small else ((224, 224, 3), 1000)
    ours = build_model(NETWORKS[name], input_shape=shape, classes=classes, mean=(0, 0, 0), std=(1, 1, 1))
    transfer(theirs, ours)
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    with torch.no_grad():
        expected = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    got = np.asarray(ours(images))
    tolerance = 1e-4 * np.abs(expected).max()
    assert np.abs(got - expected).max() <= tolerance
    assert np.abs(expected[0] - expected[1]).max() > 20 * tolerance  # it is the images that the logits tell apart
