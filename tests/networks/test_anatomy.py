from __future__ import annotations

from resnet_search.networks.anatomy import anatomy
from resnet_search.networks.architecture import Architecture


def test_resnext_widths_in_a_search_and_in_the_paper():
    search = Architecture.from_axes(block="resnext", n=1, width=16, cardinality=4)
    assert [(search.inner(stage), search.outputs(stage)) for stage in range(3)] == [(32, 64), (64, 128), (128, 256)]
    paper = Architecture.from_axes(block="resnext", depth=29, width=64, cardinality=8, base_width=64)
    assert [(paper.inner(stage), paper.outputs(stage)) for stage in range(3)] == [(512, 256), (1024, 512), (2048, 1024)]


def test_bottleneck_strides_on_its_3x3_or_its_first():
    def strides(**axes):
        network = anatomy(Architecture(block="bottleneck", blocks=(2, 2), width=8, **axes))
        return [[[unit.stride for unit in block.branch] for block in stage.expand(2)] for stage in network.stages]

    assert strides() == [[[1, 1, 1], [1, 1, 1]], [[1, 2, 1], [1, 1, 1]]]
    assert strides(downsample="conv1")[1] == [[2, 1, 1], [1, 1, 1]]
    assert strides(downsample="last") == [[[1, 1, 1], [1, 2, 1]], [[1, 1, 1], [1, 1, 1]]]


def test_shortcuts():
    def kinds(shortcut, block="basic"):
        network = anatomy(Architecture(block=block, blocks=(2, 2), width=8, shortcut=shortcut))
        return [block.shortcut for stage in network.stages for block in stage.expand(2)]

    assert kinds("identity") == ["identity"] * 4
    assert kinds("projection") == ["identity", "identity", "projection", "identity"]
    assert kinds("all_projection") == ["projection"] * 4
    assert kinds("avgpool") == ["identity", "identity", "avgpool", "identity"]
    assert kinds("avgpool", "bottleneck") == ["projection", "identity", "avgpool", "identity"]


def test_the_preactivation_is_shared_where_the_shortcut_is_projected():
    network = anatomy(Architecture(block="preact_basic", blocks=(1, 1), width=8))
    assert [stage.first.shared for stage in network.stages] == [False, True]
    assert network.final_norm


def test_biases_stand_where_no_norm_follows():
    network = anatomy(Architecture(block="preact_bottleneck", blocks=(2, 2), width=8, bias="unnormalised"))
    assert [unit.bias for unit in network.stages[0].first.branch] == [False, False, True]
    assert network.stem[0].bias
    assert network.stages[0].first.projection.bias
