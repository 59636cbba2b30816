from __future__ import annotations

import json

import pytest

from resnet_search.errors import UsageError
from resnet_search.networks.presets import PRESETS, preset

PUBLISHED = {  # rows of published_errors.json by the preset they belong to
    **{f"resnet-{depth}": f"ResNet-{depth} v1 A" for depth in (20, 32, 44, 56, 110, 1202)},
    "preact-resnet-110": "ResNet-110 pre-act",
    "resnet-164": "ResNet-164 v1 bottleneck",
    "preact-resnet-164": "ResNet-164 pre-act bottleneck",
    "preact-resnet-1001": "ResNet-1001 pre-act bottleneck",
    "wrn-16-4": "WRN-16-4",
    "wrn-16-8": "WRN-16-8",
    "wrn-40-4": "WRN-40-4",
    "wrn-28-10": "WRN-28-10",
    "resnext-29-8x64d": "ResNeXt-29 8x64d",
    "resnext-29-16x64d": "ResNeXt-29 16x64d",
    "se-resnet-110": "SE-ResNet-110",
    "se-preact-resnet-110": "SE-ResNet-110",
    "se-resnet-164": "SE-ResNet-164",
    "se-wrn-16-8": "SE-WRN-16-8",
    "highway-32": "Highway-32",
}
CIFAR = {  # keys of cifar10.json by preset
    "resnet-20": "v1-20 optA",
    "resnet-110": "v1-110 optA",
    "plain-20": "plain-20",
    "plain-44": "plain-44",
    "preact-resnet-164": "preact-164 bottleneck proj",
    "resnet-164": "v1-164 bottleneck optB BN",
    "wrn-16-4": "WRN-16-4",
    "wrn-28-10": "WRN-28-10",
    "resnext-29-8x64d": "ResNeXt-29 8x64d",
    "resnext-29-32x4d": "ResNeXt-29 32x4d",
    "se-resnet-20": "SE-v1-20 r16 fc-nobias optB",
    "se-resnet-164": "SE-preact-164 bott r16 fc-nobias",
    "resnet-18-cifar": "ResNet-18 CIFAR stem3x3/1 nopool",
    "se-resnet-50-cifar": "SE-ResNet-50 CIFAR stem r16 nobias",
}


def test_cifar_counts(cifar10):
    for name, key in CIFAR.items():
        found = PRESETS[name].complexity
        counts = {"trainable": found.trainable, "nontrainable": found.nontrainable, "macs": found.macs}
        assert counts == cifar10[key][1], name


def test_imagenet_counts(golden):
    rows = json.loads((golden / "imagenet.json").read_text())
    trainable = {name: each.complexity.trainable for name, each in PRESETS.items()}
    for depth in (18, 34, 50, 101, 152):
        assert trainable[f"resnet-{depth}"] == rows["torchvision trainable"][f"resnet{depth}"]
    for depth in (50, 101, 152):
        both = rows["keras.applications"]["total/trainable"]
        assert trainable[f"resnet-{depth}-v2"] == both[f"ResNet{depth}V2"][1]
        assert trainable[f"keras-resnet-{depth}"] == both[f"ResNet{depth}"][1]
        assert trainable[f"se-resnet-{depth}"] == rows["timm trainable"][f"seresnet{depth}"]
    for name in ("resnext-50-32x4d", "resnext-101-32x8d"):
        assert trainable[name] == rows["torchvision trainable"][name.replace("-", "_").replace("resnext_", "resnext")]
    for name in ("se-resnext-50-32x4d", "se-resnext-101-32x4d", "resnext-101-32x4d"):
        key = name.replace("se-", "se").replace("-", "_").replace("resnext_", "resnext")
        assert trainable[name] == rows["timm trainable"][key]


def test_the_keras_example_counts():
    totals = {}
    for name, each in PRESETS.items():
        if name.startswith("keras-resnet-v"):
            totals[name.removeprefix("keras-resnet-")] = each.complexity.trainable + each.complexity.nontrainable
    assert totals["v1-20"] == 274_442
    assert totals["v1-110"] == 1_742_762
    assert totals["v2-20"] == 574_090
    assert totals["v2-110"] == 3_323_210


def test_published_errors(golden):
    rows = {row[0]: row[1] for row in json.loads((golden / "published_errors.json").read_text())["rows"]}
    assert {name: PRESETS[name].error for name in PUBLISHED} == {name: rows[key] for name, key in PUBLISHED.items()}
    assert set(rows) - set(PUBLISHED.values()) == {"Highway-19"}


def test_every_preset_has_its_depth_in_its_name():
    for name, each in PRESETS.items():
        assert str(each.architecture.depth) in name.split("-"), name
        assert each.source
        assert each.error is None or each.note, name


def test_preset_is_found_in_any_case():
    assert preset("ResNet-20") is PRESETS["resnet-20"]


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(UsageError, match="resnet-110"):
        preset("resnet-111")
    with pytest.raises(UsageError, match="resnet-20"):
        preset("resnet20")
    for name, where in (("vgg", "model"), ("resnet20", "--model")):
        with pytest.raises(UsageError, match=f"^{where}: got '{name}'; allowed: ") as raised:
            preset(name, where)
        assert "resnet-search models" in raised.value.cure


@pytest.mark.slow
def test_equal_to_the_built_model(measured, monkeypatch):
    import keras

    from resnet_search.networks.model import build_model

    monkeypatch.setattr(keras.initializers, "HeNormal", lambda seed: keras.initializers.Zeros())
    # Without drawing two billion weights. A deeper network repeats the blocks of its stages; test_model builds the
    # deepest one.
    built = {name: each for name, each in PRESETS.items() if each.architecture.depth <= 56}
    assert {each.architecture.stem for each in built.values()} == {p.architecture.stem for p in PRESETS.values()}
    assert {each.architecture.block for each in built.values()} == {p.architecture.block for p in PRESETS.values()}
    for name, each in built.items():
        model = build_model(each.architecture, input_shape=each.input_shape, classes=each.classes)
        assert measured(model) == each.complexity, name
        keras.backend.clear_session()
