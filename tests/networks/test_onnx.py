"""The networks as ONNX files: standard operations alone, and the same outputs in ONNX Runtime.

They need the extra `onnx`, which .ci/run installs into an environment of its own.
"""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

from resnet_search.networks.architecture import BLOCKS, Architecture, applies  # noqa: E402
from resnet_search.networks.dialect import ACTIVATIONS, BLOCK_TYPES  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402

SE = {"attention": "se", "stochastic_depth": 0.2}
CASES = [
    *(
        ({"block": block, "cardinality": 4} if applies("cardinality", block=block) else {"block": block})
        for block in BLOCKS
    ),
    *({"block": "resnext", "cardinality": 4, "activation": activation, **SE} for activation in ACTIVATIONS),
    {"block": "resnext", "cardinality": 4, "shortcut": "identity"},
    {"block": "preact_resnext", "cardinality": 4, "shortcut": "avgpool"},
    {"block": "wide", "dropout": 0.3},
    {"block": "resnext", "cardinality": 4, "stem": "imagenet"},
    {"block": "resnext", "cardinality": 4, "stem": "deep"},
    {"block": "preact_bottleneck", "stem": "imagenet", "downsample": "last", "blocks": (2, 2)},
]


@pytest.mark.parametrize("axes", CASES, ids=lambda axes: "-".join(map(str, axes.values())))
def test_standard_operations_and_the_same_outputs(axes, tmp_path):
    a = Architecture(**{"blocks": (1, 1), "width": 16, **axes})
    model = build_model(a, seed=1)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("float32")
    expected = np.asarray(model(images))
    path = str(tmp_path / "model.onnx")
    model.export(path, format="onnx", verbose=False)
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    assert {node.domain for node in graph.graph.node} == {""}
    groups = [attribute.i for node in graph.graph.node for attribute in node.attribute if attribute.name == "group"]
    assert (max(groups) == 4) == ("resnext" in a.block)
    # It would leave out the zeros around a max-pool, which are the largest there behind a bare convolution.
    wrong = ["Pad_Fusion"] if a.stem != "cifar" and BLOCK_TYPES[a.block].preactivation else []
    session = runtime.InferenceSession(path, disabled_optimizers=wrong)
    (got,) = session.run(None, {session.get_inputs()[0].name: images})
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()
