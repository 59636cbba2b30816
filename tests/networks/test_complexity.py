from __future__ import annotations

import itertools
import json
import random
from dataclasses import fields
from functools import cache

import pytest

from resnet_search.errors import ArchitectureError
from resnet_search.networks.anatomy import anatomy
from resnet_search.networks.architecture import BLOCKS, SHORTCUTS, Architecture, applies
from resnet_search.networks.axes import CHOICES
from resnet_search.networks.complexity import Complexity, complexity
from resnet_search.networks.dialect import ACTIVATIONS


def counts(a, **kwargs):
    found = complexity(a, **kwargs)
    return {"trainable": found.trainable, "nontrainable": found.nontrainable, "macs": found.macs}


def test_cifar_goldens(cifar10):
    assert len(cifar10) == 60
    assert {key: counts(a) for key, (a, _) in cifar10.items()} == {key: row for key, (_, row) in cifar10.items()}


@pytest.mark.parametrize("n", [3, 5, 18])
def test_closed_forms(n):
    v1 = Architecture.from_axes(block="basic", n=n, width=16, shortcut="identity")
    v2 = Architecture.from_axes(block="preact_bottleneck", n=n, width=16)
    assert complexity(v1).trainable == 97_216 * n - 21_926
    assert complexity(v2).trainable == 92_736 * n + 34_010
    for block, extra in (("basic", 672), ("bottleneck", 10_752)):
        bare = Architecture.from_axes(block=block, n=n, width=16)
        se = Architecture.from_axes(block=block, n=n, width=16, attention="se")
        assert complexity(se).trainable - complexity(bare).trainable == extra * n


def test_imagenet_goldens(golden):
    rows = json.loads((golden / "imagenet.json").read_text())
    stages = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}

    def cost(block, depth, **axes):
        a = Architecture(block=block, blocks=stages[depth], width=64, stem="imagenet", **axes)
        return complexity(a, (224, 224, 3), 1000)

    for name, (total, trainable) in rows["keras.applications"]["total/trainable"].items():
        depth = name.removeprefix("ResNet").removesuffix("V2")
        if name.endswith("V2"):
            found = cost("preact_bottleneck", depth, bias="unnormalised", downsample="last")
        else:
            found = cost("bottleneck", depth, bias="all", downsample="conv1")
        assert (found.trainable + found.nontrainable, found.trainable) == (total, trainable), name
    se = {"attention": "se", "attention_bias": True}
    for name, trainable in (rows["torchvision trainable"] | rows["timm trainable"]).items():
        attention = se if name.startswith("se") else {}
        depth, _, groups = name.removeprefix("se").removeprefix("resnet").removeprefix("resnext").partition("_")
        if groups:
            cardinality, base_width = groups.removesuffix("d").split("x")
            found = cost("resnext", depth, cardinality=int(cardinality), base_width=int(base_width), **attention)
        else:
            found = cost("bottleneck" if int(depth) >= 50 else "basic", depth, **attention)
        assert found.trainable == trainable, name
    resnext = cost("resnext", "50", cardinality=32, base_width=4, **se)
    assert resnext.trainable + resnext.nontrainable == rows["qubvel total (trainable)"]["seresnext50"][0]


def test_the_keras_example():
    """Biases everywhere, projections without norm, inner widths 16, 64, 128 in its second version."""
    totals = {}
    for depth in (20, 32, 56, 110):
        v1 = complexity(Architecture.from_axes(block="basic", depth=depth, width=16, bias="all", shortcut_norm=False))
        totals["v1", depth] = v1.trainable + v1.nontrainable
    for depth in (20, 29, 56, 110):
        v2 = complexity(
            Architecture.from_axes(
                block="preact_bottleneck",
                depth=depth,
                width=16,
                bias="all",
                inner_multiples=[1, 4, 8],
                downsample="conv1",
            )
        )
        totals["v2", depth] = v2.trainable + v2.nontrainable
    assert totals == {
        ("v1", 20): 274_442, ("v1", 32): 470_218, ("v1", 56): 861_770, ("v1", 110): 1_742_762,
        ("v2", 20): 574_090, ("v2", 29): 849_002, ("v2", 56): 1_673_738, ("v2", 110): 3_323_210,
    }  # fmt: skip


@cache
def drawn(count, seed):
    """Architectures of all axes at random, the rejected left out."""
    rng = random.Random(seed)
    architectures = []
    while len(architectures) < count:
        stages = rng.randint(1, 4)
        attention = rng.choice(["none", "se"])
        axes = {
            "block": rng.choice(BLOCKS),
            "blocks": tuple(rng.choice([1, 1, 2, 3]) for _ in range(stages)),
            "width": rng.choice([4, 6, 8, 16]),
            "shortcut": rng.choice(SHORTCUTS),
            "cardinality": rng.choice([1, 2, 4]),
            "base_width": rng.choice([None, None, 3]),
            "attention": attention,
            "attention_ratio": rng.choice([4, 16]),
            "attention_bias": rng.random() < 0.5,
            "stem": rng.choice(["cifar", "imagenet", "deep"]),
            "stem_width": rng.choice([None, 5]),
            "multiples": rng.choice([None, None, tuple(rng.choice([1, 1.5, 3]) for _ in range(stages))]),
            "inner_multiples": rng.choice([None, None, tuple(range(1, stages + 1))]),
            "activation": rng.choice(ACTIVATIONS),
            "dropout": rng.choice([0.0, 0.3]),
            "stochastic_depth": rng.choice([0.0, 0.2]),
            "zero_gamma": rng.random() < 0.3,
            "bias": rng.choice(["none", "all", "unnormalised"]),
            "shortcut_norm": rng.random() < 0.8,
            "downsample": rng.choice(["conv3", "conv3", "conv1", "last"]),
            "gate_bias": rng.choice([-2.0, -1.0]),
        }
        kept = {axis: value for axis, value in axes.items() if applies(axis, block=axes["block"], attention=attention)}
        try:
            architectures.append(Architecture(**kept))
        except ArchitectureError:
            continue
    return architectures


def halved(size, stride):
    return tuple((side + 1) // 2 if stride == 2 else side for side in size)


def blocks_of(a):
    """Every block of a network, first to last."""
    return [block for stage, n in zip(anatomy(a).stages, a.blocks, strict=True) for block in stage.expand(n)]


def convolutions(a, shape):
    """Every convolution of a network with the size of its output, first to last."""
    *size, channels = shape
    network = anatomy(a, channels)
    for unit in network.stem:
        size = halved(size, unit.stride)
        yield unit, size
    size = halved(size, 2) if network.pool else size
    for block in blocks_of(a):
        after = halved(size, block.stride)
        for unit in (block.projection, block.gate):
            if unit:
                yield unit, after
        for unit in block.branch:
            size = halved(size, unit.stride)
            yield unit, size


def layer_by_layer(a, shape, classes):
    """The counts of all layers in turn, where `complexity` sums first, middle and last blocks."""
    features = anatomy(a).features
    norms, trainable, macs, activations = 0, (features + 1) * classes, features * classes, classes
    for unit, (height, width) in convolutions(a, shape):
        weights = unit.kernel * unit.kernel * unit.inputs // unit.groups * unit.outputs
        norms += 2 * unit.norm
        trainable += weights + unit.outputs * unit.bias
        macs += weights * height * width
        activations += unit.outputs * height * width
    for squeeze in (block.squeeze for block in blocks_of(a) if block.squeeze):
        weights, outputs = 2 * squeeze.channels * squeeze.squeezed, squeeze.channels + squeeze.squeezed
        trainable += weights + outputs * squeeze.bias
        macs += weights
        activations += outputs
    norms += 2 * features * anatomy(a).final_norm
    return Complexity(trainable + norms, norms, macs, activations)


def test_equal_to_the_sum_of_all_layers_on_random_architectures():
    for a in drawn(500, 2)[:200]:
        assert complexity(a, (45, 38, 1), 7) == layer_by_layer(a, (45, 38, 1), 7), a.name


def test_shape_and_classes_count_for_a_network_that_was_counted_before():
    a = Architecture(block="basic", blocks=(2, 1), width=4, stem="imagenet")
    for shape in ((32, 32, 3), (32, 32, 1), (31, 32, 3), (32, 64, 3)):
        for classes in (10, 100):
            assert complexity(a, shape, classes) == layer_by_layer(a, shape, classes)
    assert complexity(a) == complexity(a, (32, 32, 3), 10)


def test_late_downsampling_strides_in_the_last_block_of_a_stage():
    """By hand: at half the side, a convolution of 3x3 has a quarter of the multiply-adds."""
    late = Architecture(block="basic", blocks=(3, 1), width=4, multiples=(1, 1), downsample="last")
    early = Architecture(block="basic", blocks=(3, 1), width=4, multiples=(1, 1))
    whole, quarter = 9 * 4 * 4 * 8 * 8, 9 * 4 * 4 * 4 * 4
    ends = 9 * 3 * 4 * 8 * 8 + 4 * 10
    projection = 4 * 4 * 4 * 4
    assert complexity(early, (8, 8, 3)).macs == ends + 6 * whole + 2 * quarter + projection
    assert complexity(late, (8, 8, 3)).macs == ends + 4 * whole + 4 * quarter


def test_activations_are_the_elements_of_all_outputs():
    """By hand: stem, two blocks of two convolutions, a projection and the classifier."""
    a = Architecture(block="basic", blocks=(1, 1), width=4)
    assert complexity(a, (9, 8, 3), 10).activations == 3 * 4 * 9 * 8 + 3 * 8 * 5 * 4 + 10


def test_random_architectures_have_every_value_of_every_axis():
    architectures = drawn(500, 2)
    for axis in fields(Architecture):
        values = {getattr(a, axis.name) for a in architectures}
        assert len(values) > 1, axis.name
        assert values >= set(CHOICES.get(axis.name, ()))


def test_random_architectures_have_unique_names_and_round_trip():
    architectures = set(drawn(500, 2))
    assert len({a.name for a in architectures}) == len(architectures)
    assert all(Architecture.from_dict(json.loads(json.dumps(a.to_dict()))) == a for a in architectures)


def of_every_kind():
    """Each block and shortcut, each stem, every way of downsampling, attention and biases, in two stages."""
    se = {"attention": "se", "attention_ratio": 4, "attention_bias": True}
    axes = [
        {"block": "plain", "bias": "all"},
        {"block": "basic", "shortcut": "avgpool", "stem": "imagenet", "shortcut_norm": False},
        {"block": "bottleneck", "shortcut": "projection", "downsample": "conv1", "bias": "unnormalised"},
        {"block": "resnext", "shortcut": "all_projection", "cardinality": 2, "stem": "deep", "bias": "unnormalised"},
        {"block": "preact_basic", "shortcut": "avgpool", "stem": "deep", "bias": "unnormalised"},
        {"block": "preact_bottleneck", "shortcut": "projection", "stem": "imagenet", "downsample": "last"},
        {"block": "preact_resnext", "shortcut": "identity", "cardinality": 2, "base_width": 3, "stem_width": 5},
        {"block": "wide", "shortcut": "all_projection", "multiples": (2, 3), **se},
        {"block": "highway", "shortcut": "projection", "bias": "all"},
    ]
    return [Architecture(**{"blocks": (2, 1), "width": 4, **values}) for values in axes]


@pytest.mark.parametrize("a", of_every_kind(), ids=lambda a: a.name)
def test_equal_to_the_built_model(a, measured):
    from resnet_search.networks.model import build_model

    shape, classes = (21, 18, 1), 7
    assert complexity(a, shape, classes) == measured(
        build_model(a, input_shape=shape, classes=classes, mean=[0], std=[1])
    )


def test_the_built_models_are_of_every_kind():
    built = of_every_kind()
    assert {a.block for a in built} == set(BLOCKS)
    assert {a.shortcut for a in built} == {*SHORTCUTS, "none"}
    assert {a.stem for a in built} == set(CHOICES["stem"])
    assert {a.bias for a in built} == set(CHOICES["bias"])
    assert {a.downsample for a in built} == set(CHOICES["downsample"])


def every_block():
    for block, shortcut in itertools.product(BLOCKS, SHORTCUTS):
        axes = {"cardinality": 4} if applies("cardinality", block=block) else {}
        yield Architecture.from_axes(block=block, n=2, width=16, shortcut=shortcut, **axes)


@pytest.mark.slow
def test_equal_to_the_built_model_for_every_block_and_shortcut(measured):
    from resnet_search.networks.model import build_model

    for a in set(every_block()):
        assert complexity(a) == measured(build_model(a)), a.name


@pytest.mark.slow
def test_equal_to_the_built_model_on_the_goldens(cifar10, measured):
    from resnet_search.networks.model import build_model

    for key, (a, _) in cifar10.items():
        if a.depth <= 32 and a.width <= 64:
            assert complexity(a) == measured(build_model(a)), key


@pytest.mark.slow
def test_equal_to_the_built_model_on_a_small_space(measured):
    import keras

    from resnet_search.networks.model import build_model

    for block, n, width in itertools.product(("basic", "bottleneck", "resnext"), (1, 2, 5), (8, 12, 32)):
        for cardinality in (2, 8) if block == "resnext" else (1,):
            a = Architecture.from_axes(block=block, n=n, width=width, cardinality=cardinality)
            if complexity(a).trainable <= 300_000:
                assert complexity(a) == measured(build_model(a)), a.name
                keras.backend.clear_session()


@pytest.mark.slow
def test_equal_to_the_built_model_on_random_architectures(measured):
    import keras

    from resnet_search.networks.model import build_model

    for number, a in enumerate(drawn(150, 2)):
        assert complexity(a, (20, 24, 3)) == measured(build_model(a, input_shape=(20, 24, 3))), a.name
        if number % 25 == 24:
            keras.backend.clear_session()
